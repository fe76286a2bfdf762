"""Write processes of the store to a file, and bring those of a file into the store."""

import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from api.backends import StorePorts
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, progress, say, streamed
from api.cli.replays import place
from api.cli.store import lines_once, with_store
from api.cli.tables import plain
from saga.definition.catalog import Catalog
from saga.errors import SagaError
from saga.messages.json_text import JsonObject
from saga.ports.definitions import StoredDefinition
from saga.process.transition import Transition
from saga.replay.exporting import ExportHistories, Written
from saga.replay.history import StoredHistories
from saga.replay.importing import Fate, ImportHistories
from saga.replay.lines import End, UnreadableExport, read_lines


def export(process_ids: Sequence[str], file: Path | None, *, resume: bool) -> Exit:
    """Export processes; those that can't be are named, and all others are written."""
    with _alone(file) as is_regular:
        return _export(process_ids, file, resume=resume and is_regular)


def _export(process_ids: Sequence[str], file: Path | None, *, resume: bool) -> Exit:
    written = _written(file) if resume and file is not None else None

    async def work(store: StorePorts) -> int:
        histories = StoredHistories(store.log, Catalog(store.definitions))
        exporting = ExportHistories(histories, store.definitions)
        failed = 0
        with _opened(file, append=written is not None) as out, progress("lines", None) as advance:
            async for line in exporting.lines(only=process_ids, written=written):
                if isinstance(line, SagaError):
                    say(str(line))
                    failed += 1
                else:
                    out.write(f"{line}\n")
                    advance()
        return failed

    failed = with_store(work)
    if failed:
        raise CommandError(Exit.ERROR, f"{failed} processes are not in the export")
    return Exit.WELL


def import_(output: Output, file: str) -> Exit:
    """Import the processes of a file; those that are refused are named, and all others are taken."""
    source = "stdin" if file == "-" else file
    lines = lines_once(file)
    counted = dict.fromkeys(Fate, 0)

    async def work(store: StorePorts) -> None:
        importing = ImportHistories(store.log, store.projections, store.definitions)
        with streamed(output, _lines) as put, progress("imported", None) as advance:
            async for imported in importing(read_lines(lines, source)):
                counted[imported.fate] += 1
                if imported.fate is Fate.REFUSED:
                    put(imported.document())
                advance()

    with_store(work, may_write=True)
    say(", ".join(f"{count} {fate}" for fate, count in counted.items()))
    return Exit.ERROR if counted[Fate.REFUSED] else Exit.WELL


@contextmanager
def _alone(file: Path | None) -> Iterator[bool]:
    """Hold a file against any other export, before it is looked at or cut; say whether it is a regular one."""
    if file is None or (file.exists() and not (file.is_file() or file.is_dir())):
        yield False
        return
    with _writable(file), file.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CommandError(Exit.ERROR, f"another export writes {file} just now") from None
        yield True


@contextmanager
def _writable(file: Path | str) -> Iterator[None]:
    """End the command where a file can't be written, its disk is full, say."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(Exit.ERROR, f"{file} can't be written: {error.strerror}") from None


@contextmanager
def _opened(file: Path | None, *, append: bool) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    with _writable(file), file.open("a" if append else "w", encoding="utf-8", newline="\n") as out:
        yield out


def _written(file: Path) -> Written | None:
    """See how far an export came, and cut off what is behind its last whole process; None for nothing of use.

    The last process that stands there may not be whole: it is written anew.
    """
    written = Written()
    starts: list[tuple[str, int, int]] = []
    definitions: dict[str, int] = {}
    offsets = _Offsets(file)
    try:
        for line in read_lines(offsets, str(file)):
            match line:
                case StoredDefinition():
                    definitions[line.hash] = offsets.start
                case End():
                    raise CommandError(Exit.ERROR, f"{file} is whole: there is nothing to go on with")
                case Transition() if not starts or starts[-1][0] != line.process_id:
                    starts = [*starts[-1:], (line.process_id, offsets.start, written.processes)]
                    written.processes += 1
                case _:
                    pass
    except UnreadableExport as error:
        if error.line == 1:
            raise CommandError(Exit.ERROR, str(error)) from None
    if not starts:
        return None
    _, offset, count = starts[-1]
    with file.open("r+b") as out:
        out.truncate(offset)
    written.processes = count
    written.definitions.update(hash_ for hash_, start in definitions.items() if start < offset)
    written.last = starts[0][0] if len(starts) > 1 else ""
    return written


class _Offsets:
    """Give the lines of a file, and where the latest one starts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.start = 0

    def __iter__(self) -> Iterator[str]:
        with self._file.open("rb") as lines:
            following = 0
            for line in lines:
                self.start, following = following, following + len(line)
                yield line.decode("utf-8", "replace")


def _lines(imported: JsonObject) -> Iterator[str]:
    problem = imported["problem"]
    if isinstance(problem, dict):
        yield f"{plain(imported['process_id'])} {plain(imported['outcome'])}"
        yield f"  {place(problem)}: {plain(problem['detail'])}"
