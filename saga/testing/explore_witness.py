"""What an outsider notes of a process who reads only its log: plain words per step, no masks, no budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from saga.messages.json_text import JsonText, from_text
from saga.process import events as ev
from saga.process.status import Direction, EffortStatus, OperatorAction

UNTOUCHED = "untouched"
OPEN = "open"
EXPANDED = "expanded"  # its instances are worked on; each has a standing of its own
COMPLETED = "completed"
SKIPPED = "skipped"
SETTLED = frozenset({COMPLETED, SKIPPED})

NOT_UNDONE = ""
FOUND_NOTHING = "found nothing"
UNDONE = "undone"
GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one step, or of one instance of it.

    `maybe` are the attempts of which nobody said that they had no effect; `happened` says that somebody
    reported one. `undone` is what came of its undo.
    """

    action: str = UNTOUCHED
    is_tried: bool = False
    maybe: frozenset[int] = frozenset()
    happened: bool = False
    undone: str = NOT_UNDONE

    @property
    def may_have_happened(self) -> bool:
        """Say whether the world may hold an effect of it."""
        return self.happened or bool(self.maybe)

    def key(self) -> tuple[object, ...]:
        """Give what still matters of it: nothing of its attempts once it is undone, or reported."""
        if self.undone in {UNDONE, GIVEN_UP}:
            return (self.action, self.is_tried, self.undone)
        if self.happened:
            return (self.action, self.is_tried, self.undone, True)
        return (self.action, self.is_tried, self.undone, self.maybe)


_NOTHING = Standing()


@dataclass(frozen=True, slots=True)
class Witness:
    """What was seen of a process so far; `seen` gives what is known after one more event.

    `has_word` says that a person just said that a step had no effect.
    """

    standings: Mapping[str, Standing] = field(default_factory=lambda: MappingProxyType({}))
    has_turned_back: bool = False
    has_joined: bool = False
    has_word: bool = False

    def of(self, name: str) -> Standing:
        """Give what is known of a step or an instance."""
        return self.standings.get(name, _NOTHING)

    def parts(self, step: str) -> Mapping[str, Standing]:
        """Give the standing of a step, and those of its instances, by name."""
        prefix = f"{step}["
        return {name: one for name, one in self.standings.items() if name == step or name.startswith(prefix)}

    def key(self) -> object:
        """Give what two witnesses have in common that judge alike whatever follows."""
        standings = frozenset((name, *one.key()) for name, one in self.standings.items())
        return (self.has_turned_back, self.has_joined, standings)

    def seen(self, event: ev.Event) -> "Witness":
        """Note one more event."""
        match event:
            case ev.TurnedBack():
                closed = {name: replace(self.of(name), action=str(status)) for name, status in event.closes}
                standings = MappingProxyType({**self.standings, **closed})
                return replace(self, standings=standings, has_turned_back=True)
            case ev.LockJoined():
                return replace(self, has_joined=True)
            case ev.OperatorActed(action=OperatorAction.RESOLVE):
                return replace(self, has_word=event.outcome == "failed")
            case _:
                pass
        step = getattr(event, "step", None)
        if not isinstance(step, str):
            return self
        standing = _after(self.of(step), event, has_word=self.has_word)
        is_word_used = isinstance(event, ev.VerifyConcluded)
        return replace(
            self,
            standings=MappingProxyType({**self.standings, step: standing}),
            has_word=self.has_word and not is_word_used,
        )


def _after(before: Standing, event: ev.Event, *, has_word: bool) -> Standing:
    """Give what is known of a step after an event of its own."""
    match event:
        case ev.ResultKept():
            # What it did is not this process's to undo.
            return replace(before, action=COMPLETED if event.becomes is EffortStatus.DONE else SKIPPED)
        case ev.SignalAwaited():
            return replace(before, action=OPEN)
        case ev.Expanded():
            return replace(before, action=EXPANDED)
        case ev.Gathered():
            return replace(before, action=COMPLETED)
        case ev.Skipped(direction=Direction.ACTION):
            # Where a person says so, that is all there is to know.
            return replace(before, action=SKIPPED, maybe=frozenset())
        case ev.Skipped(direction=Direction.COMPENSATION):
            return replace(before, undone=GIVEN_UP)
        case ev.AttemptCompleted(direction=Direction.COMPENSATION):
            return replace(before, undone=FOUND_NOTHING if found_nothing(event.output) else UNDONE)
        case ev.VerifyConcluded():
            left = before.maybe - {event.attempt} if event.had_no_effect else before.maybe
            return replace(before, action=_word(event.becomes), maybe=frozenset() if has_word else left)
        case _:
            return _after_attempt(before, event)


def _after_attempt(before: Standing, event: ev.Event) -> Standing:
    match event:
        case ev.AttemptStarted(direction=Direction.ACTION):
            return replace(before, action=OPEN, is_tried=True, maybe=before.maybe | {event.attempt})
        case ev.AttemptCompleted(direction=Direction.ACTION):
            return replace(_reported(before), action=COMPLETED)
        case ev.AttemptFailed(direction=Direction.ACTION):
            left = before.maybe if event.effect_unknown else before.maybe - {event.attempt}
            return replace(before, action=_word(event.becomes), maybe=left)
        case ev.AttemptTimedOut(direction=Direction.ACTION):
            return replace(before, action=_word(event.becomes))
        case ev.Observed(direction=Direction.ACTION, reply="completed"):
            return _reported(before)
        case ev.Observed(direction=Direction.ACTION, effect_unknown=False):
            return replace(before, maybe=before.maybe - {event.attempt})
        case _:
            return before


def _reported(before: Standing) -> Standing:
    """Note that an effect took place: an undo that found nothing came before it."""
    is_news = not before.happened and before.undone == FOUND_NOTHING
    return replace(before, happened=True, undone=NOT_UNDONE if is_news else before.undone)


def found_nothing(output: JsonText) -> bool:
    """Say whether an undo was acknowledged with the word that there was nothing to undo."""
    said = from_text(output)
    return isinstance(said, dict) and said.get("nothing_to_undo") is True


def _word(becomes: EffortStatus) -> str:
    return OPEN if becomes in {EffortStatus.RETRYING, EffortStatus.VERIFYING} else str(becomes)
