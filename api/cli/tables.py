"""How processes look on a terminal. Each status is a word; its colour only repeats what the word says."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from saga.messages.json_text import Json, JsonObject, to_text

_COLOURS = {
    "completed": "green",
    "compensated": "yellow",
    "compensating": "yellow",
    "failed": "red",
    "suspended": "red",
    "unknown": "red",
    "running": "cyan",
    "started": "cyan",
    "retrying": "magenta",
    "waiting": "magenta",
    "paused": "magenta",
}
_SETTLED = frozenset({"completed", "skipped"})
_BAR_WIDTH = 20
_SHORT = 60


def plain(value: Json) -> str:
    """Write a value so that nothing in it can steer the terminal."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else to_text(value)
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def process_list(processes: Sequence[JsonObject]) -> Table:
    """Show one line per process."""
    table = table_of("process", "type", "status", "started", "ended", "labels")
    for process in processes:
        labels = cast("JsonObject", process["labels"])
        table.add_row(
            plain(process["process_id"]),
            plain(process["process_type"]),
            _status(process["status"], attention=bool(process["attention"])),
            plain(process["started_at"]),
            plain(process["ended_at"]),
            " ".join(f"{plain(key)}:{plain(value)}" for key, value in labels.items()),
        )
    return table


def event_list(entries: Sequence[JsonObject]) -> Table:
    """Show one line per entry of the log."""
    table = table_of("#", "at", "type", "step", "attempt", "data")
    for entry in entries:
        table.add_row(
            plain(entry["sequence"]),
            plain(entry["at"]),
            plain(entry["type"]),
            plain(entry["step"]),
            plain(entry["attempt"]),
            _shortened(plain(entry["data"])),
        )
    return table


def patch_table(operations: Sequence[JsonObject]) -> Table:
    """Show one line per operation of a JSON Patch."""
    table = table_of("op", "path", "value")
    for operation in operations:
        value = operation["value"] if "value" in operation else operation.get("from")
        table.add_row(plain(operation["op"]), plain(operation["path"]), _shortened(plain(to_text(value))))
    return table


def process_view(process: JsonObject) -> RenderableType:
    """Show one process: where it stands, its steps, and what it waits for."""
    parts: list[RenderableType] = [_headline(process), _steps(process)]
    if process["forked_from"]:
        parts.append(Text(f"forked from {plain(process['forked_from'])}"))
    parts += [_wait(wait) for wait in cast("list[JsonObject]", process["waiting_for"])]
    allowed = cast("list[Json]", process["allowed_actions"])
    if allowed and not process["ended_at"]:
        parts.append(Text(f"may be asked to: {', '.join(map(plain, allowed))}"))
    if process["result"] is not None:
        parts.append(Text(f"result: {plain(process['result'])}"))
    return Group(*parts)


def progress_line(process: JsonObject) -> str:
    """Write one line about a process, for a log or a pipe."""
    steps = cast("list[JsonObject]", process["steps"])
    words = " ".join(f"{plain(step['name'])}={_step_word(step)}" for step in steps)
    return f"{plain(process['updated_at'])} {plain(process['status'])} {words}"


def _headline(process: JsonObject) -> Text:
    line = Text.assemble(f"{plain(process['process_type'])} {plain(process['process_id'])} ")
    line.append_text(_status(process["status"], attention=bool(process["attention"])))
    if process["reason"]:
        line.append(f" ({plain(process['reason'])})")
    steps = cast("list[JsonObject]", process["steps"])
    settled = sum(1 for step in steps if step["status"] in _SETTLED)
    filled = _BAR_WIDTH * settled // max(1, len(steps))
    line.append(f"\n[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {settled} of {len(steps)} steps completed")
    if process["ended_at"]:
        line.append(f", ended after {_seconds(process['started_at'], process['ended_at'])}")
    else:
        line.append(f", to end at about {plain(process['estimated_completion'])}")
    return line


def _wait(wait: JsonObject) -> Text:
    until = f" until {plain(wait['until'])}" if wait["until"] else ""
    where = f" ({plain(wait['step'])})" if wait["step"] else ""
    line = Text(f"waits for {plain(wait['kind'])}{where}{until}: {plain(wait['reason'])}")
    if wait["kind"] == "signal":
        line.append(f"\n  saga signal {plain(wait['command_id'])}")
    return line


def _steps(process: JsonObject) -> Table:
    steps = cast("list[JsonObject]", process["steps"])
    has_items = any(step["items"] for step in steps)
    columns = (
        "step",
        "service",
        "status",
        *(("items",) if has_items else ()),
        "attempt",
        "took",
        "undo",
        "error",
    )
    table = table_of(*columns)
    for step in steps:
        undo = cast("JsonObject | None", step["compensation"])
        attempts = f"{step['attempt']}/{step['max_attempts']}" if step["attempt"] else ""
        took = _seconds(step["started_at"], step["ended_at"])
        error = step["error"] if undo is None or undo["error"] is None else undo["error"]
        table.add_row(
            plain(step["name"]),
            plain(step["service"]),
            _status(step["status"]),
            *((_items(step),) if has_items else ()),
            attempts,
            took,
            Text("") if undo is None else _status(undo["status"]),
            _shortened(_error(error)),
        )
    return table


def _items(step: JsonObject) -> str:
    items = cast("JsonObject | None", step["items"])
    if items is None:
        return ""
    trouble = [f"{plain(items[word])} {word}" for word in ("failed", "unknown") if items[word]]
    return ", ".join([f"{plain(items['completed'])}/{plain(items['total'])}", *trouble])


def _step_word(step: JsonObject) -> str:
    undo = cast("JsonObject | None", step["compensation"])
    attempt = f"#{step['attempt']}" if step["status"] in {"running", "retrying"} else ""
    return f"{plain(step['status'])}{attempt}" + (f"/undo-{plain(undo['status'])}" if undo else "")


def table_of(*columns: str) -> Table:
    """Begin a table with these columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _status(status: Json, *, attention: bool = False) -> Text:
    word = plain(status)
    return Text(f"{word} !" if attention else word, style=_COLOURS.get(word, ""))


def _error(error: Json) -> str:
    if isinstance(error, dict) and "code" in error:
        return f"{plain(error['code'])}: {plain(error.get('message'))}"
    return plain(error)


def _seconds(start: Json, end: Json) -> str:
    if not isinstance(start, str) or not isinstance(end, str):
        return ""
    took = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return f"{took.total_seconds():.1f}s"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
