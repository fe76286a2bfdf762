"""Time travel: a process as it stood after any of its events, and what changed between two of them."""

from typing import cast

import jsonpatch

from saga.errors import SagaError
from saga.messages.json_text import JsonObject
from saga.process.state import ProcessState
from saga.replay.history import Histories, History, state_at
from saga.views.estimate import estimated_end
from saga.views.process import process_document


class UnknownEvent(SagaError):  # noqa: N818 - says what is the case
    """Say that a log has no event of that number, and which its last is."""

    code = "unknown-event"

    def __init__(self, process_id: str, number: int, last: int) -> None:
        super().__init__(f"the log of process {process_id} has no event {number}: its last is {last}")
        self.number = number
        self.last = last


class Past:
    """Answer what was, from recorded histories alone: the same answer at any time, and from any copy."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories

    async def state(self, process_id: str, number: int | None) -> JsonObject | None:
        """Write a process as it stood after event `number`, or after its last one; None for a stranger.

        Raises UnknownEvent, UnreadableLog and UnknownDefinition.
        """
        history = await self._histories.one(process_id)
        return None if history is None else await self.document(history, number)

    async def difference(self, process_id: str, first: int, second: int) -> list[JsonObject] | None:
        """Give the JSON Patch (RFC 6902) from how a process stood after one event to how after another.

        Raises as `state` does.
        """
        history = await self._histories.one(process_id)
        if history is None:
            return None
        return await self.patch(history, first, second)

    async def patch(self, history: History, first: int, second: int) -> list[JsonObject]:
        """Give the JSON Patch between two points of a history."""
        before, after = await self.document(history, first), await self.document(history, second)
        return cast("list[JsonObject]", jsonpatch.make_patch(before, after).patch)

    async def document(self, history: History, number: int | None) -> JsonObject:
        """Write a history's process as it stood then, in the shape of any other.

        Its end is estimated from what the definition declares: what steps took later was not known then.
        """
        state = _state(history, number)
        known = await self._histories.definition(state.origin.definition_hash)
        end = estimated_end(known.graph, state, durations={}, now=state.updated_at)
        return process_document(known.graph, state, estimated_end=end)


def _state(history: History, number: int | None) -> ProcessState:
    wanted = history.version if number is None else number
    if number is None:
        history.whole()
    state = state_at(history, wanted)
    if state is None:
        raise UnknownEvent(history.process_id, wanted, history.version)
    return state
