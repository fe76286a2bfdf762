"""What was, read from an exported file in place of the service."""

from pathlib import Path

from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show, show_all, streamed
from api.cli.store import exported, on_histories
from api.cli.tables import event_list, patch_table, plain, process_view
from saga.messages.json_text import JsonObject
from saga.replay.history import Histories, History
from saga.replay.past import Past
from saga.views.event import event_entries

_SUMMARY = ("process_id", "process_type", "status", "started_at", "ended_at")


def show_file(output: Output, file: str, *, among: str | None) -> Exit:
    """Show the one process of a file, or one line for each where there are several."""
    histories = exported(Path(file))

    async def work() -> Exit:
        past = Past(histories)
        if among is not None or not await _has_several(histories):
            show(await past.document(await _one(histories, file, among), None), output, process_view)
            return Exit.WELL
        with streamed(output, lambda one: [" ".join(plain(one[name]) for name in _SUMMARY)]) as put:
            async for history in histories.every():
                document = await past.document(history, None)
                put({name: document[name] for name in _SUMMARY})
        say("name one with --process")
        return Exit.WELL

    return on_histories(work())


def state(output: Output, file: str, *, number: int, among: str | None) -> Exit:
    """Show a process of a file as it stood after an event."""
    histories = exported(Path(file))

    async def work() -> JsonObject:
        return await Past(histories).document(await _one(histories, file, among), number)

    show(on_histories(work()), output, process_view)
    return Exit.WELL


def difference(output: Output, file: str, first: int, second: int, *, among: str | None) -> Exit:
    """Show what changed between two events of a process of a file."""
    histories = exported(Path(file))

    async def work() -> list[JsonObject]:
        history = await _one(histories, file, among)
        return await Past(histories).patch(history, first, second)

    show_all(on_histories(work()), output, patch_table)
    return Exit.WELL


def events(output: Output, file: str, *, among: str | None, after: int) -> Exit:
    """Show the log of a process of a file."""
    histories = exported(Path(file))

    async def work() -> list[JsonObject]:
        history = await _one(histories, file, among)
        return [entry for one in history.whole() for entry in event_entries(one, after=after)]

    show_all(on_histories(work()), output, event_list)
    return Exit.WELL


async def _has_several(histories: Histories) -> bool:
    count = 0
    async for _ in histories.every():
        count += 1
        if count > 1:
            return True
    return False


async def _one(histories: Histories, file: str, among: str | None) -> History:
    """Give the process that is named, or the only one."""
    if among is None:
        if await _has_several(histories):
            raise CommandError(Exit.USAGE, f"{file} holds several processes: name one with --process")
        async for history in histories.every():
            return history
        raise CommandError(Exit.NOT_FOUND, f"{file} holds no process")
    found = await histories.one(among)
    if found is None:
        raise CommandError(Exit.NOT_FOUND, f"{file} holds no process {among}")
    return found
