"""Which address of a service is called next: pure, the time comes in as an argument (seconds).

The least busy address that is well takes the next command; those that tie, in turn. An address that fails
again and again is ejected for a while, then one command at a time may try it. Commands that failed before go
where the last call went well, and never try out an address while another one is well: so no process spends all
its attempts on bad addresses. The circuit breaker is no machine of its own: it is open when all are ejected.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from saga.calling.line import Call, Line, LineState
from saga.calling.verdict import Health

_SILENT_AFTER_S = 1.0
_SILENT_FACTOR = 5.0
# Who has waited so long may go where nothing is known yet, and where slow starting would hold it.
PATIENCE_S = 1.0


class Breaker(StrEnum):
    """Say whether a service is called at all."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"  # some command may try
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what a command needs: whether it is a first attempt, is ready to wait, and who refused it already."""

    is_first: bool = True
    is_patient: bool = True
    refused_by: frozenset[int] = frozenset()


class Balance:
    """Hold the addresses of one service, and begin and end calls on them."""

    def __init__(self, addresses: int, *, limit: int) -> None:
        self.lines: Sequence[Line] = [Line(index, limit) for index in range(addresses)]
        self._turn = 0

    def begin(self, wish: Wish, now: float) -> Call | None:
        """Choose an address and begin a call there; None where the command has to wait."""
        line = self._choose(wish, now)
        if line is None:
            return None
        self._turn += 1
        return line.begin(now, self._turn)

    def end(self, call: Call, health: Health, now: float, *, rest_s: float | None = None) -> bool:
        """End a call, and say whether its address is ejected for it."""
        return self.lines[call.index].end(call, health, now, rest_s)

    def abandon(self, call: Call) -> None:
        """End a call that was broken off here."""
        self.lines[call.index].abandon(call)

    def may_yet(self, refused_by: Collection[int], now: float) -> bool:
        """Say whether an address that has not refused the command may take it soon."""
        in_use = self._among(now, LineState.WELL) or self._among(now, LineState.SILENT, LineState.PROBING)
        return any(line.index not in refused_by for line in in_use)

    def breaker(self, now: float) -> Breaker:
        """Say whether the service is called."""
        states = self.states(now)
        if any(state not in {LineState.EJECTED, LineState.PROBING} for state in states):
            return Breaker.CLOSED
        return Breaker.HALF_OPEN if LineState.PROBING in states else Breaker.OPEN

    def states(self, now: float) -> Sequence[LineState]:
        """Say where each address stands."""
        silence_s = self._silence_s()
        return [line.state(now, silence_s) for line in self.lines]

    def returns_in_s(self, now: float) -> float | None:
        """Say when the first address is in use again; None where one is."""
        waits = [max(line.returns_at if line.is_out else 0.0, line.rests_until) - now for line in self.lines]
        soonest = min(waits)
        return soonest if soonest > 0 else None

    def _choose(self, wish: Wish, now: float) -> Line | None:
        well = self._among(now, LineState.WELL)
        if wish.is_first or not well:
            probing = self._among(now, LineState.PROBING)
            for line in probing:
                if line.index not in wish.refused_by and not line.is_probed:
                    return line
        usable = [
            line for line in (well or self._among(now, LineState.SILENT)) if line.index not in wish.refused_by
        ]
        proven = [line for line in usable if line.is_proven]
        if proven and not wish.is_first and wish.is_patient:
            usable = proven
        # Slowly only where there is a choice: a single address has to take what comes.
        slowly = len(self.lines) > 1 and wish.is_patient
        free = [line for line in usable if line.has_room(slowly=slowly)]
        if not free:
            return None
        doubts = (lambda line: line.failures) if not wish.is_first else (lambda _: 0)
        return min(free, key=lambda line: (doubts(line) > 0, len(line.outstanding), line.taken))

    def _among(self, now: float, *states: LineState) -> list[Line]:
        silence_s = self._silence_s()
        return [line for line in self.lines if line.state(now, silence_s) in states]

    def _silence_s(self) -> float:
        """Say at which age a call is suspicious: well beyond the slowest that this service answered lately."""
        slowest_s = max(line.slowest_s for line in self.lines)
        has_answered = any(line.slowest_s > 0 for line in self.lines)
        return max(_SILENT_AFTER_S, slowest_s * _SILENT_FACTOR) if has_answered else math.inf
