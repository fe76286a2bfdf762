"""Show what would have become of a process beside what did: `saga what-if`."""

from itertools import zip_longest
from pathlib import Path
from typing import cast

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.cli.arguments import read_object
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show
from api.cli.store import with_histories
from api.cli.tables import plain
from saga.messages.json_text import JsonObject
from saga.replay.history import Histories
from saga.replay.past import UnknownEvent
from saga.replay.what_if import Answer, ImpossibleMessage, Message
from saga.replay.what_if import what_if as fold_on


def what_if(
    output: Output, process_id: str, number: int, message: str, answers: str | None, *, file: Path | None
) -> Exit:
    """Replace the message that caused an event, and print both ways."""
    given = _message(message)
    script = {} if answers is None else _script(answers)

    async def work(histories: Histories) -> JsonObject:
        history = await histories.one(process_id)
        if history is None:
            raise CommandError(Exit.NOT_FOUND, f"there is no process {process_id}")
        try:
            return (await fold_on(histories, history, number, given, script)).document()
        except UnknownEvent as error:
            raise CommandError(Exit.NOT_FOUND, str(error)) from None
        except ImpossibleMessage as error:
            raise CommandError(Exit.USAGE, f"{message}: {error}") from None

    document = with_histories(file, work)
    show(document, output, _side_by_side)
    for command in cast("list[str]", document["left_open"]):
        say(f"nobody answers {plain(command)}: --answers can")
    for refused in cast("list[str]", document["refused"]):
        say(f"refused: {plain(refused)}")
    return Exit.WELL


def _message(source: str) -> Message:
    match read_object(source):
        case {"routing_key": str(routing_key), "body": body, **others} if not others.keys() - {"app_id"}:
            app_id = others.get("app_id")
            return Message(routing_key, body, app_id if isinstance(app_id, str) else None)
        case _:
            raise CommandError(
                Exit.USAGE, f"{source}: a message holds routing_key and body, and maybe app_id"
            )


def _script(source: str) -> dict[str, Answer]:
    script: dict[str, Answer] = {}
    for name, said in read_object(source).items():
        match said:
            case {"output": output, **others} if not others:
                script[name] = Answer(output)
            case {"error": dict(error), **others} if not others:
                script[name] = Answer(error=error)
            case _:
                raise CommandError(Exit.USAGE, f"{source}: {name} has either an output, or an error object")
    return script


def _side_by_side(document: JsonObject) -> RenderableType:
    then, other = (cast("JsonObject", document[name]) for name in ("then", "what_if"))
    table = Table(box=None, pad_edge=False)
    for column in ("#", "then", "", "what if", ""):
        table.add_column(column, overflow="fold")
    events = (cast("list[JsonObject]", path["events"]) for path in (then, other))
    for left, right in zip_longest(*events):
        number = (left or right or {}).get("sequence")
        row = (*_cells(left), *_cells(right))
        style = "" if left and right and _what(left) == _what(right) else "bold"
        table.add_row(plain(number), *row, style=style)
    ends = Text(f"then {plain(then['status'])}, what if {plain(other['status'])}")
    return Group(table, Text(""), ends)


def _cells(entry: JsonObject | None) -> tuple[str, str]:
    return ("", "") if entry is None else (_what(entry), plain(entry["at"]))


def _what(entry: JsonObject) -> str:
    attempt = entry["attempt"]
    words = (plain(entry["type"]), plain(entry["step"]), "" if attempt is None else f"a{attempt}")
    return " ".join(word for word in words if word)
