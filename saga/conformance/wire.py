"""The port to the participant that is checked: what is sent as it is, and what came back, read in one way."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from saga.messages.json_text import Json, JsonObject


class NotReachable(Exception):  # noqa: N818 - the name of what was found
    """Say why the participant can't be checked: nobody is there, with what to do about it."""


class Word(StrEnum):
    """Tell what an answer amounts to."""

    COMPLETED = "completed"
    FAILED = "failed"
    ELSEWHERE = "elsewhere"  # taken on; the answer comes by a way that the check can't hear
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what came back of one sending.

    `said` is how it looked on the wire, for people. `problems` say where it breaks the contract's form, `notes`
    what is allowed and worth knowing. `is_late` says that neither it nor a sign of progress came in time.
    """

    word: Word
    said: str
    output: Json = None
    code: str = ""
    retryable: bool = False
    is_late: bool = False
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def with_problems(self, more: tuple[str, ...]) -> "Answer":
        """Add what was seen to be wrong on the way to it."""
        return replace(self, problems=(*more, *self.problems)) if more else self

    @property
    def is_final_failure(self) -> bool:
        """Say whether nothing is tried again after it."""
        return self.word is Word.FAILED and not self.retryable


class Wire(Protocol):
    """Carry messages to one participant and its answers back."""

    async def ask(self, command: JsonObject, *, within_s: float) -> Answer:
        """Send a command and wait for its answer: for `within_s`, and as long again for a late one.

        Each sign of progress begins the time anew, up to ten times. Raises NotReachable where nobody was ever
        reached; whoever is lost later is silent.
        """
        ...

    async def throw(self, body: bytes, *, action: str, within_s: float) -> Answer | None:
        """Send what is no command. It has an answer over HTTP, and none, so None, over a broker."""
        ...
