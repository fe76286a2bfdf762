"""How the preview of a compensation looks on a terminal."""

from typing import cast

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli.tables import plain, table_of
from saga.messages.json_text import Json, JsonObject


def undo_preview_view(preview: JsonObject) -> RenderableType:
    """Show the waves with their commands whole, what is waited for first, and what would not be undone."""
    ends = cast("JsonObject", preview["ends"])
    parts: list[RenderableType] = [
        Text(f"{plain(preview['process_type'])} {plain(preview['process_id'])} {plain(preview['status'])}")
    ]
    if preview["refusal"] is not None:
        parts.append(Text(f"compensate is refused: {plain(preview['refusal'])}"))
    parts += [_awaited(one) for one in cast("list[JsonObject]", preview["awaits"])]
    waves = cast("list[list[JsonObject]]", preview["waves"])
    if waves:
        parts.append(_waves(waves))
    parts += [
        Text(f"not undone: {plain(left['step'])}: {plain(left['reason'])}")
        for left in cast("list[JsonObject]", preview["not_undone"])
    ]
    if waves or preview["is_allowed"]:
        reason = f" ({plain(ends['reason'])})" if ends["reason"] else ""
        parts.append(Text(f"where each of them is acknowledged it ends {plain(ends['status'])}{reason}"))
    return Group(*parts)


def _waves(waves: list[list[JsonObject]]) -> RenderableType:
    table = table_of("wave", "step", "routing key", "command")
    for number, wave in enumerate(waves, start=1):
        for command in wave:
            body: Json = command["body"]
            table.add_row(str(number), plain(command["step"]), plain(command["routing_key"]), plain(body))
    return table


def _awaited(one: JsonObject) -> Text:
    undo = f"; if it took effect, {plain(one['compensation'])} goes too" if one["compensation"] else ""
    return Text(f"waits first for {plain(one['step'])} ({plain(one['kind'])}){undo}")
