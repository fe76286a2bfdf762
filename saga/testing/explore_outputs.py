"""What the participants of an explored saga answer with."""

from collections.abc import Mapping

from saga.messages.json_text import EMPTY_OBJECT, Json, JsonText, to_text
from saga.process.state import split_instance
from saga.process.status import Direction

FOUND_NOTHING = to_text({"nothing_to_undo": True})


class Outputs:
    """Give the output of each step: what was given for it, else an object with its name."""

    def __init__(self, given: Mapping[str, Json] | None = None) -> None:
        self._given = dict(given or {})

    def of(self, direction: Direction, name: str) -> JsonText:
        """Give what a success of an action, an undo or a question carries."""
        if direction is Direction.COMPENSATION:
            return EMPTY_OBJECT
        step, _ = split_instance(name)
        return to_text(self._given.get(step, {"step": step}))
