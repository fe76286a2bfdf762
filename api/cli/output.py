"""Where output goes: data to stdout in the form that was asked for, everything else to stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import cast

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from saga.messages.json_text import Json, JsonObject, to_text

# Into a pipe or a file a table is as wide as it needs to be.
_WIDTH_OF_A_PIPE = 200


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def stdout() -> Console:
    """Give the console for data."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def say(message: str) -> None:
    """Tell a person something that is no data."""
    sys.stderr.write(f"{message}\n")


def show(document: JsonObject, output: Output, table: Callable[[JsonObject], RenderableType]) -> None:
    """Print one document."""
    if output is Output.TABLE:
        stdout().print(table(document))
    else:
        _write(document, output)


def show_all(
    documents: Sequence[JsonObject], output: Output, table: Callable[[Sequence[JsonObject]], RenderableType]
) -> None:
    """Print many documents: as a table, as one JSON array, or one a line."""
    match output:
        case Output.TABLE:
            stdout().print(table(documents))
        case Output.JSON:
            _write(cast("Json", documents), output)
        case Output.JSONL:
            for document in documents:
                _write(document, output)


@contextmanager
def streamed(
    output: Output, lines: Callable[[JsonObject], Iterable[str]]
) -> Iterator[Callable[[JsonObject], None]]:
    """Print documents as they come, so that none of them is kept: `lines` writes one for people."""
    is_first = True

    def put(document: JsonObject) -> None:
        nonlocal is_first
        match output:
            case Output.TABLE:
                sys.stdout.writelines(f"{line}\n" for line in lines(document))
            case Output.JSON:
                text = json.dumps(document, indent=2, ensure_ascii=False)
                sys.stdout.write(("[\n" if is_first else ",\n") + text)
            case Output.JSONL:
                sys.stdout.write(f"{to_text(document)}\n")
        is_first = False

    yield put
    if output is Output.JSON:
        sys.stdout.write("[]\n" if is_first else "\n]\n")
    sys.stdout.flush()


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many are done; elsewhere nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _write(value: Json, output: Output) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False) if output is Output.JSON else to_text(value)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
