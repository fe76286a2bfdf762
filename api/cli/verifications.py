"""Verify recorded processes, of the store or of an exported file, against today's code."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import cast

from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, progress, say, streamed
from api.cli.replays import place, shown
from api.cli.store import with_histories
from api.cli.tables import plain
from saga.definition.canonical import canonical_text, definition_hash
from saga.definition.catalog import KnownDefinition, known_definition
from saga.definition.sources import load_definitions
from saga.messages.json_text import JsonObject
from saga.ports.definitions import StoredDefinition
from saga.replay.history import Histories, History
from saga.replay.verifying import Verification, Verified


def verify(output: Output, file: str | None, process_id: str | None, *, definitions: Sequence[str]) -> Exit:
    """Verify one process, or all that are there."""

    async def work(histories: Histories) -> Exit:
        verification = Verification(histories, _others(definitions))
        tally = _Tally()
        with streamed(output, _lines) as put, progress("verified", None) as advance:
            async for history in _chosen(histories, process_id):
                verified = await verification.verify(history)
                if verified is None:
                    continue
                tally.count(verified)
                if process_id is not None or not verified.is_well:
                    put(verified.document())
                advance()
        return tally.exit()

    return with_histories(None if file is None else Path(file), work)


class _Tally:
    """Count what many verifications found."""

    def __init__(self) -> None:
        self._processes = self._events = self._wrong = 0

    def count(self, verified: Verified) -> None:
        """Count one process."""
        self._processes += 1
        self._events += verified.events
        self._wrong += not verified.is_well

    def exit(self) -> Exit:
        """Say what was found, and give the exit code."""
        say(f"{self._processes} processes, {self._events} events: {self._wrong} differ")
        return Exit.ERROR if self._wrong else Exit.WELL


async def _chosen(histories: Histories, process_id: str | None) -> AsyncIterator[History]:
    if process_id is None:
        async for history in histories.every():
            yield history
        return
    found = await histories.one(process_id)
    if found is None:
        raise CommandError(Exit.NOT_FOUND, f"there is no process {process_id}")
    yield found


def _others(sources: Sequence[str]) -> dict[str, KnownDefinition] | None:
    """Load the definitions that are to judge instead, by their types; None where none is given."""
    if not sources:
        return None
    found = [definition for source in sources for definition in load_definitions(source)]
    texts = {definition.process_type: canonical_text(definition) for definition in found}
    return {
        process_type: known_definition(StoredDefinition(definition_hash(text), process_type, text, 0))
        for process_type, text in texts.items()
    }


def _lines(verified: JsonObject) -> Iterator[str]:
    """Write one process: what was found, and each decision that differs with what it was and would be."""
    yield f"{plain(verified['process_id'])} {plain(verified['outcome'])}, {verified['events']} events"
    problem = verified["problem"]
    if isinstance(problem, dict):
        yield f"  {place(problem)}: {plain(problem['detail'])}"
    for one in cast("list[JsonObject]", verified["differences"]):
        yield f"  event {one['sequence']}, on {plain(one['message'])}"
        yield f"    then: {_events(one['then'])}"
        refusal = one["refusal"]
        yield f"    now:  {_events(one['now']) if refusal is None else f'refused, {plain(refusal)}'}"
        for field in cast("list[JsonObject]", one["fields"]):
            yield f"    {place(field)}: then {shown(field['then'])}, now {shown(field['now'])}"


def _events(events: object) -> str:
    listed = cast("list[JsonObject]", events)
    words = (" ".join(plain(one[name]) for name in ("type", "step") if one.get(name)) for one in listed)
    return ", ".join(words) or "nothing"
