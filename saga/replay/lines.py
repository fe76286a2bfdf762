"""Exported histories: JSON Lines that stand alone, because the definitions stand in them too.

The first line says what the file is, the last one that it is whole. A definition stands before the first
process that follows it, and the current one of its type before any other; the transitions of a process follow
each other, as the stores keep them.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, cast

from saga.definition.canonical import definition_hash
from saga.definition.catalog import KnownDefinition, known_definition
from saga.errors import SagaError, UnknownDefinition, UnreadableLog
from saga.messages.json_text import Json, from_text, to_text
from saga.messages.timestamps import is_point_in_time
from saga.ports.definitions import StoredDefinition
from saga.process.codec import Document, decode_transition, encode_transition
from saga.process.transition import Transition
from saga.replay.history import Grouping, History

FORMAT = 1
_PROCESS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class UnreadableExport(SagaError):  # noqa: N818 - what is the case with the file
    """Say at which line a file is no export that this version can read, and why."""

    code = "unreadable-export"

    def __init__(self, source: str, line: int, problem: str) -> None:
        super().__init__(f"{source}, line {line}: {problem}")
        self.source = source
        self.line = line


@dataclass(frozen=True, slots=True)
class End:
    """Mark the end of a whole export."""

    processes: int


Line: TypeAlias = StoredDefinition | Transition | UnreadableLog | End


def header_line() -> str:
    """Write the first line."""
    return to_text({"kind": "export", "format": FORMAT})


def definition_line(stored: StoredDefinition) -> str:
    """Write a definition."""
    return to_text(
        {
            "kind": "definition",
            "hash": stored.hash,
            "process_type": stored.process_type,
            "text": stored.text,
            "registered_at": stored.registered_at,
        }
    )


def transition_line(transition: Transition) -> str:
    """Write a transition."""
    return to_text(cast("Json", {"kind": "transition", **encode_transition(transition)}))


def end_line(processes: int) -> str:
    """Write the last line."""
    return to_text({"kind": "end", "processes": processes})


def read_lines(lines: Iterable[str], source: str) -> Iterator[Line]:
    """Read an export, line by line. Raises UnreadableExport; a transition that can't be read is its error."""
    end: End | None = None
    latest: str | None = None
    number = processes = 0
    for number, text in enumerate(lines, start=1):
        if end is not None:
            raise UnreadableExport(source, number, "something stands behind the end")
        document = _document(text, source, number)
        if number == 1:
            _check_header(document, source)
            continue
        match line := _line(document, source, number):
            case End():
                end = line
            case Transition() | UnreadableLog() if line.process_id != latest:
                latest = line.process_id
                processes += 1
            case _:
                pass
        yield line
    if end is None:
        raise UnreadableExport(source, number, "the end is missing: the export broke off, make it again")
    if end.processes != processes:
        problem = (
            f"the end counts {end.processes} processes, and {processes} stand before it: lines were moved"
        )
        raise UnreadableExport(source, number, f"{problem}, or are missing")


class ExportedHistories:
    """Give the histories of an exported file; each call reads it anew, so that none of it is kept."""

    def __init__(self, lines: Iterable[str], source: str) -> None:
        """Take the lines, which must give the same again each time, and the name of the file."""
        self._lines = lines
        self._source = source
        self._definitions: dict[str, StoredDefinition] = {}
        self._known: dict[str, KnownDefinition] = {}

    async def every(self, after: str = "") -> AsyncIterator[History]:
        """Stream the history of each process behind the id `after`. Raises UnreadableExport."""
        for history in self._histories():
            if history.process_id > after:
                yield history

    async def one(self, process_id: str) -> History | None:
        """Give the history of one process. Raises UnreadableExport."""
        for history in self._histories():
            if history.process_id == process_id:
                return history
        return None

    async def definition(self, hash_: str) -> KnownDefinition:
        """Give a definition that stands before the histories given so far. Raises UnknownDefinition."""
        known = self._known.get(hash_)
        if known is None:
            stored = self._definitions.get(hash_)
            if stored is None:
                raise UnknownDefinition(f"no definition with the hash {hash_} stands in {self._source}")
            self._known[hash_] = known = known_definition(stored)
        return known

    def _histories(self) -> Iterator[History]:
        grouped = Grouping()
        for line in read_lines(self._lines, self._source):
            match line:
                case StoredDefinition():
                    self._definitions[line.hash] = line
                case End():
                    pass
                case _:
                    history = grouped.add(line)
                    if history is not None:
                        yield history
        last = grouped.end()
        if last is not None:
            yield last


def _document(text: str, source: str, number: int) -> dict[str, Json]:
    try:
        document = from_text(text)
        if "\\u" in text:
            to_text(document).encode()
    except UnicodeEncodeError:
        raise UnreadableExport(
            source, number, "it holds half of a surrogate pair, which no store keeps"
        ) from None
    except (ValueError, RecursionError):
        raise UnreadableExport(source, number, "is not JSON") from None
    if not isinstance(document, dict):
        raise UnreadableExport(source, number, "is no object")
    return document


def _check_header(document: dict[str, Json], source: str) -> None:
    format_ = document.get("format")
    if document.get("kind") != "export" or type(format_) is not int:
        raise UnreadableExport(source, 1, "this is no export: `saga export` writes one")
    if format_ > FORMAT:
        raise UnreadableExport(source, 1, f"format {format_} is newer than {FORMAT}: upgrade Batuta")


def _line(document: dict[str, Json], source: str, number: int) -> Line:
    match document.pop("kind", None):
        case "definition":
            return _definition(document, source, number)
        case "transition":
            process_id = document.get("p")
            if not (isinstance(process_id, str) and _PROCESS_ID.fullmatch(process_id)):
                raise UnreadableExport(source, number, "p is no id of a process")
            try:
                return decode_transition(cast("Document", document))
            except UnreadableLog as error:
                return error
        case "end":
            processes = document.get("processes")
            return End(processes if isinstance(processes, int) else 0)
        case kind:
            raise UnreadableExport(source, number, f"this version knows no line of the kind {kind!r}")


def _definition(document: dict[str, Json], source: str, number: int) -> StoredDefinition:
    match document:
        case {
            "hash": str(hash_),
            "process_type": str(process_type),
            "text": str(text),
            "registered_at": int(registered_at),
        }:
            if definition_hash(text) != hash_:
                raise UnreadableExport(source, number, "the text of the definition has another hash")
            if not _is_of_type(text, process_type):
                raise UnreadableExport(source, number, f"its text is no definition of {process_type[:80]!r}")
            if not is_point_in_time(registered_at):
                raise UnreadableExport(source, number, "registered_at is no point in time")
            return StoredDefinition(hash_, process_type, text, registered_at)
        case _:
            raise UnreadableExport(
                source, number, "the definition lacks a member, or has one of another kind"
            )


def _is_of_type(text: str, process_type: str) -> bool:
    try:
        document = from_text(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("process_type") == process_type
