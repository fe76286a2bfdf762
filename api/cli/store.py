"""The command line's way to the store itself, by the SAGA_ settings: without a server, and without a broker."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import uvloop

from api.backends import StorePorts, opened_store
from api.cli.outcome import CommandError, Exit
from api.collector import spare_the_collector
from api.settings import SettingsError, load_store_settings
from saga.definition.catalog import Catalog
from saga.errors import InvalidDefinition, NotReady, SagaError, StoreUnavailable
from saga.replay.history import Histories, StoredHistories
from saga.replay.lines import ExportedHistories
from saga.replay.past import UnknownEvent

T = TypeVar("T")


def with_store(work: Callable[[StorePorts], Awaitable[T]], *, may_write: bool = False) -> T:
    """Open the store, do the work on it, and close it; each failure ends the command with its exit code."""

    async def run() -> T:
        async with opened_store(load_store_settings(), may_write=may_write) as store:
            spare_the_collector()
            return await work(store)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())
    except SettingsError as error:
        raise CommandError(Exit.USAGE, "\n".join(error.problems)) from None
    except SagaError as error:
        raise failure(error) from None


def with_histories(file: Path | None, work: Callable[[Histories], Awaitable[T]]) -> T:
    """Do work on the histories of an exported file, or of the store where there is none."""
    if file is None:
        return with_store(lambda store: work(StoredHistories(store.log, Catalog(store.definitions))))
    return on_histories(work(exported(file)))


def on_histories(work: Awaitable[T]) -> T:
    """Do work on exported histories; each failure ends the command with its exit code."""
    try:
        return asyncio.run(_awaited(work))
    except UnknownEvent as error:
        raise CommandError(Exit.NOT_FOUND, str(error)) from None
    except SagaError as error:
        raise failure(error) from None


def exported(file: Path) -> ExportedHistories:
    """Give the histories of an exported file."""
    return ExportedHistories(lines_of(file), str(file))


def lines_of(file: Path) -> Iterable[str]:
    """Give the lines of a file, from the beginning each time."""
    if not file.is_file():
        raise CommandError(Exit.NOT_FOUND, f"there is no file {file}")
    return _Lines(file)


def failure(error: SagaError) -> CommandError:
    """Say how an error of the domain ends a command."""
    match error:
        case StoreUnavailable() | NotReady():
            return CommandError(Exit.NOT_REACHABLE, f"the store is not reachable: {error}")
        case InvalidDefinition():
            return CommandError(Exit.USAGE, str(error))
        case _:
            return CommandError(Exit.ERROR, str(error))


async def _awaited(work: Awaitable[T]) -> T:
    return await work


class _Lines:
    """The lines of a file, which is opened anew each time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __iter__(self) -> Iterator[str]:
        try:
            with self._file.open(encoding="utf-8", newline="\n") as lines:
                yield from lines
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(Exit.ERROR, f"{self._file} can't be read: {error}") from None
