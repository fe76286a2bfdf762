"""How a timeline, the preview of a compensation and a delivery log look on a terminal."""

from datetime import datetime
from typing import cast

from rich.console import Group, RenderableType
from rich.text import Text

from api.cli.tables import plain, table_of
from saga.messages.json_text import Json, JsonObject

_BAR_WIDTH = 40


def timeline_view(timeline: JsonObject) -> RenderableType:
    """Show one line per span, with a bar for when it was; what lasts still reaches to the end of the bar."""
    spans = cast("list[JsonObject]", timeline["spans"])
    begun = _moment(timeline["started_at"])
    ends = [_moment(span[name]) for span in spans for name in ("started_at", "ended_at") if span[name]]
    whole = max([begun, *ends]) - begun
    table = table_of("step", "kind", "attempt", "outcome", "after", "took", "")
    for span in spans:
        start = _moment(span["started_at"]) - begun
        end = whole if span["ended_at"] is None else _moment(span["ended_at"]) - begun
        kind = plain(span["kind"])
        table.add_row(
            plain(span["step"]),
            f"{kind} for {plain(span['waits_for'])}" if span["waits_for"] else kind,
            plain(span["attempt"]),
            plain(span["outcome"]) or "lasts",
            f"{start:.3f}s",
            "" if span["ended_at"] is None else f"{end - start:.3f}s",
            _bar(start, end, whole),
        )
    return Group(
        Text(
            f"{plain(timeline['process_type'])} {plain(timeline['process_id'])} {plain(timeline['status'])}"
        ),
        table,
    )


def _bar(start: float, end: float, whole: float) -> str:
    # Clocks may have gone back between two entries of a log: nothing is drawn outside of the bar.
    left, right = (
        min(max(round(_BAR_WIDTH * part / whole), 0), _BAR_WIDTH) if whole else 0 for part in (start, end)
    )
    return "." * min(left, _BAR_WIDTH - 1) + "#" * max(1, right - left)


def _moment(text: Json) -> float:
    return datetime.fromisoformat(str(text)).timestamp()


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


def deliveries_view(log: JsonObject) -> RenderableType:
    """Show one line per delivery, with what its last call gave."""
    if log["callback_url"] is None:
        return Text("this process calls nobody back")
    table = table_of("#", "event", "status", "attempts", "last", "next or end")
    for delivery in cast("list[JsonObject]", log["deliveries"]):
        attempts = cast("list[JsonObject]", delivery["attempts"])
        last = attempts[-1] if attempts else {"status_code": None, "error": None}
        table.add_row(
            plain(delivery["sequence"]),
            plain(delivery["type"]),
            plain(delivery["status"]),
            plain(delivery["attempts_made"]),
            plain(last["status_code"]) or plain(last["error"]),
            plain(delivery["next_attempt_at"] or delivery["ended_at"]),
        )
    return Group(Text(f"{plain(log['process_id'])} calls {plain(log['callback_url'])}"), table)
