"""One address of a service as calls have shown it: pure, the time comes in as an argument (seconds)."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from saga.calling.verdict import Health

FAILURES_MAX = 3
OUT_FIRST_S = 1.0
OUT_MAX_S = 60.0
REST_MAX_S = 60.0
_REST_S = 1.0
# So many successes in a row, and its earlier ejections are forgotten.
_STEADY_AFTER = 10
# A new address, and one that comes back, may have so many calls at once, and two more with each success.
_FIRST_CALLS = 2
_REMEMBERED = 100
_EJECTIONS_COUNTED = 16
_FADING = 0.95


class LineState(StrEnum):
    """Say where an address stands."""

    WELL = "well"
    SILENT = "silent"  # its oldest call is much older than calls of this service become
    RESTING = "resting"  # it asked for a pause
    EJECTED = "ejected"
    PROBING = "probing"  # its ejection is over, and one call at a time may show that it is well again


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call that is under way."""

    index: int
    began_at: float
    is_probe: bool


@dataclass(slots=True)
class Line:
    """Follow one address."""

    index: int
    limit: int
    outstanding: dict[Call, None] = field(default_factory=dict)
    taken: int = 0  # when it was chosen last, counted in choices
    failures: int = 0
    successes: int = 0  # since it is in use, or in use again
    ejections: int = 0
    is_out: bool = False
    returns_at: float = 0.0
    rests_until: float = 0.0
    answered_at: float = float("-inf")
    slowest_s: float = 0.0
    lasted: deque[tuple[bool, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def state(self, now: float, silence_s: float) -> LineState:
        """Say where it stands; `silence_s` is the age at which a call is suspicious."""
        if self.is_out:
            return LineState.EJECTED if now < self.returns_at else LineState.PROBING
        if now < self.rests_until:
            return LineState.RESTING
        oldest = next(iter(self.outstanding), None)
        if oldest is not None and now - oldest.began_at > silence_s and self.answered_at < oldest.began_at:
            return LineState.SILENT
        return LineState.WELL

    @property
    def is_proven(self) -> bool:
        """Say whether its last call was answered well."""
        return self.successes > 0 and self.failures == 0

    @property
    def is_probed(self) -> bool:
        """Say whether a probe is under way."""
        return any(call.is_probe for call in self.outstanding)

    def has_room(self, *, slowly: bool) -> bool:
        """Say whether one more call may begin; `slowly` while it has not shown what it can take."""
        most = min(self.limit, _FIRST_CALLS * (1 + self.successes)) if slowly else self.limit
        return len(self.outstanding) < most

    def begin(self, now: float, turn: int) -> Call:
        """Begin a call."""
        call = Call(self.index, now, self.is_out)
        self.outstanding[call] = None
        self.taken = turn
        return call

    def abandon(self, call: Call) -> None:
        """End a call that was broken off here: it tells nothing about the address."""
        self.outstanding.pop(call, None)

    def end(self, call: Call, health: Health, now: float, rest_s: float | None) -> bool:
        """End a call, and say whether the address is ejected for it."""
        self.abandon(call)
        lasted_s = now - call.began_at
        self.lasted.append((health is Health.WELL, lasted_s))
        if rest_s is not None or health is Health.BUSY:
            self.rests_until = now + min(_REST_S if rest_s is None else rest_s, REST_MAX_S)
        match health:
            case Health.WELL:
                self._succeeded(lasted_s, now)
                return False
            case Health.BUSY:
                self.answered_at = now
                self.is_out = False
                return False
            case Health.FAILING:
                self.answered_at = now
                return self._failed(call, now)
            case Health.SILENT:
                # A try that meets the same silence costs as long again: it is not tried sooner than that.
                is_certain = self.answered_at < call.began_at
                return self._failed(call, now, is_certain=is_certain, cost_s=lasted_s)

    def _succeeded(self, lasted_s: float, now: float) -> None:
        self.answered_at = now
        self.is_out = False
        self.failures = 0
        self.successes += 1
        self.slowest_s = max(lasted_s, self.slowest_s * _FADING)
        if self.successes >= _STEADY_AFTER:
            self.ejections = 0

    def _failed(self, call: Call, now: float, *, is_certain: bool = False, cost_s: float = 0.0) -> bool:
        """Count a failure; `is_certain` where nothing else speaks for the address."""
        self.failures += 1
        if self.is_out:
            if not call.is_probe:
                return False  # it began before the ejection, which it can't make longer
        elif self.failures < FAILURES_MAX and not is_certain:
            return False
        self.is_out = True
        self.returns_at = now + min(max(OUT_FIRST_S * 2.0**self.ejections, cost_s), OUT_MAX_S)
        self.ejections = min(self.ejections + 1, _EJECTIONS_COUNTED)
        self.successes = 0
        return True
