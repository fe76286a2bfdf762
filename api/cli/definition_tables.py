"""How definitions, and what an explorer found of them, look on a terminal."""

from collections.abc import Sequence
from typing import cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.cli.tables import plain
from saga.messages.json_text import Json, JsonObject

_END_COLOURS = {"completed": "green", "compensated": "yellow", "needs a person": "red", "stranded": "red"}
_HASH_SHOWN = 12


def problem_list(documents: Sequence[JsonObject]) -> Table:
    """Show one line per problem and per warning, and one per definition that has neither."""
    table = _table("source", "process type", "", "what")
    for document in documents:
        source, process_type = plain(document["source"]), plain(document["process_type"])
        said = [(Text("refused", style="red"), problem) for problem in _items(document["problems"])]
        said += [(Text("warning", style="yellow"), warning) for warning in _items(document["warnings"])]
        for word, what in said or [(Text("well", style="green"), "")]:
            table.add_row(source, process_type, word, plain(what))
    return table


def type_list(types: Sequence[JsonObject]) -> Table:
    """Show one line per process type."""
    table = _table("process type", "definition", "steps")
    for one in types:
        steps = ", ".join(plain(step) for step in _items(one["steps"]))
        table.add_row(plain(one["process_type"]), plain(one["definition"])[:_HASH_SHOWN], steps)
    return table


def type_view(document: JsonObject) -> RenderableType:
    """Show one process type: its steps, and its versions."""
    headline = f"{plain(document['process_type'])} {plain(document['definition'])[:_HASH_SHOWN]}"
    if document["is_paused"]:
        headline += " (paused)"
    if document["deadline"] is not None:
        headline += f", to end within {plain(document['deadline'])} s"
    steps = _table("step", "service", "action", "after", "undo", "timeout", "attempts", "")
    for step in cast("list[JsonObject]", document["steps"]):
        undo = cast("JsonObject | None", step["compensation"])
        steps.add_row(
            plain(step["name"]),
            plain(step["service"]),
            plain(step["action"]),
            ", ".join(plain(name) for name in _items(step["after"])),
            "" if undo is None else plain(undo["action"]),
            plain(step["timeout"]),
            plain(cast("JsonObject", step["retry"])["attempts"]),
            "; ".join(_words(step)),
        )
    versions = [
        f"{plain(version['definition'])[:_HASH_SHOWN]} {plain(version['registered_at'])}"
        + (" current" if version["is_current"] else "")
        for version in cast("list[JsonObject]", document["versions"])
    ]
    return Group(headline, steps, "versions: " + ", ".join(versions))


def _words(step: JsonObject) -> list[str]:
    words = ["pivot"] if step["pivot"] else []
    if step["join"] != "all":
        words.append(f"join {plain(step['join'])}")
    words += [f"{word} {plain(step[word])}" for word in ("when", "for_each") if step[word] is not None]
    if step["verify"] is not None:
        words.append(f"verify {plain(cast('JsonObject', step['verify'])['action'])}")
    return words


def fault_rows(document: JsonObject) -> RenderableType:
    """Show one line per combination of faults, then the sums."""
    table = _table("faults", "ends", "why, and what a person may do", "undone")
    for row in cast("list[JsonObject]", document["rows"]):
        end = plain(row["end"])
        table.add_row(
            " + ".join(plain(fault) for fault in _items(row["faults"])) or "none",
            Text(f"{end} !" if row["attention"] else end, style=_END_COLOURS.get(end, "")),
            "; ".join(_why(row)),
            ", ".join(plain(name) for name in _items(row["undone"])),
        )
    return Group(table, Text(plain(document["summary"])))


def _why(row: JsonObject) -> list[str]:
    why = [plain(row["reason"])] if row["reason"] else []
    waits = _items(row["waits"])
    if len(waits) > 1:  # one alone is what the reason says
        why.append("stands still: " + ", ".join(plain(one) for one in waits))
    if row["end"] == "needs a person":
        why.append("may: " + ", ".join(plain(action) for action in _items(row["allowed"])))
    if row["broken"] is not None:
        why.append(f"BROKEN: {plain(row['broken'])}")
    return why


def exploration_view(document: JsonObject) -> RenderableType:
    """Show the sums of a search, and each broken rule with the way to it."""
    lines = [Text(plain(document["summary"]))]
    for violation in cast("list[JsonObject]", document["violations"]):
        lines.append(Text(f"BROKEN: {plain(violation['rule'])}: {plain(violation['detail'])}", style="red"))
        lines += [Text(f"    {plain(message)}") for message in _items(violation["path"])]
    return Group(*lines)


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
