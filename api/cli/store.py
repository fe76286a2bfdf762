"""The command line's way to the store itself, by the SAGA_ settings: without a server, and without a broker."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import uvloop

from api.backends import Backends, StorePorts, opened_backends, opened_store
from api.cli.outcome import CommandError, Exit
from api.collector import spare_the_collector
from api.settings import SettingsError, load_settings, load_store_settings
from saga.definition.catalog import Catalog
from saga.errors import BusUnavailable, InvalidDefinition, NotReady, SagaError, StoreUnavailable
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

    return _to_its_end(run())


def with_backends(work: Callable[[Backends], Awaitable[T]]) -> T:
    """Open store and broker as a server does, do the work on them, and close them."""

    async def run() -> T:
        async with opened_backends(load_settings(), _Silent()) as backends:
            await backends.ping()
            return await work(backends)

    return _to_its_end(run())


def _to_its_end(running: Coroutine[None, None, T]) -> T:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(running)
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
    if not file.exists():
        raise CommandError(Exit.NOT_FOUND, f"there is no file {file}")
    if not file.is_file():
        raise CommandError(Exit.USAGE, f"{file} is no file that can be read more than once")
    return _Lines(file)


def lines_once(file: str) -> Iterable[str]:
    """Give the lines of a file, or of a pipe, to be read once; `-` is stdin."""
    if file == "-":
        return _decoded(sys.stdin.buffer, "stdin")
    path = Path(file)
    return _Lines(path) if path.is_fifo() else lines_of(path)


def failure(error: SagaError) -> CommandError:
    """Say how an error of the domain ends a command."""
    match error:
        case BusUnavailable():
            return CommandError(Exit.NOT_REACHABLE, f"the broker is not reachable: {error}")
        case StoreUnavailable() | NotReady():
            return CommandError(Exit.NOT_REACHABLE, f"the store is not reachable: {error}")
        case InvalidDefinition():
            return CommandError(Exit.USAGE, str(error))
        case _:
            return CommandError(Exit.ERROR, str(error))


class _Silent:
    """Hear nothing: nobody reads the metrics of a command."""

    def reached(self, point: str) -> None:
        pass

    def counted(self, name: str, **labels: str) -> None:
        pass


async def _awaited(work: Awaitable[T]) -> T:
    return await work


class _Lines:
    """The lines of a file, which is opened anew each time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __iter__(self) -> Iterator[str]:
        try:
            with self._file.open("rb") as lines:
                yield from _decoded(lines, str(self._file))
        except OSError as error:
            raise CommandError(Exit.ERROR, f"{self._file} can't be read: {error.strerror}") from None


def _decoded(lines: Iterable[bytes], source: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            problem = "is no text in UTF-8 (if it is compressed, unpack it first)"
            raise CommandError(Exit.ERROR, f"{source}, line {number}: {problem}") from None
