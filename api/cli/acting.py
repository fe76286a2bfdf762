"""The commands that act on processes: each asks the service, which answers once the broker has the request."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from api.cli.client import Client
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show
from api.cli.tables import plain, process_view
from saga.messages.json_text import Json, JsonObject

# Many are counted, and then asked one after the other.
BULK_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class Request:
    """Hold what is asked for beside the action; `result` is the member `output`, where one is given."""

    reason: str
    step: str | None = None
    outcome: str | None = None
    result: JsonObject = field(default_factory=dict)
    key: str | None = None

    @property
    def body(self) -> JsonObject:
        """Write the body, without what was left out."""
        words: JsonObject = {"step": self.step, "outcome": self.outcome}
        given = {name: value for name, value in words.items() if value is not None}
        return {"reason": self.reason, **given, **self.result}

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers that go with it. Raises CommandError for a key that no header can carry."""
        if self.key is None:
            return {}
        if not self.key.isascii() or not self.key.isprintable():
            raise CommandError(Exit.USAGE, "--key must be of visible ASCII characters")
        return {"idempotency-key": self.key}


def act(client: Client, output: Output, *, action: str, process_id: str, request: Request) -> Exit:
    """Ask one process for an action, and show it as it stood when the broker took the request."""
    path = f"/process/{quote(process_id, safe='')}/{action}"
    _, process = client.post(path, request.body, headers=request.headers)
    show(process, output, process_view)
    say(f"{action} is on its way")
    return Exit.WELL


def act_on_type(client: Client, output: Output, *, action: str, process_type: str, request: Request) -> Exit:
    """Pause or resume a type, and say how many of its processes were asked."""
    path = f"/process-type/{quote(process_type, safe='')}/{action}"
    _, answer = client.post(path, request.body, headers=request.headers, wait_s=BULK_SECONDS_MAX)
    show(answer, output, _asked)
    return Exit.WELL


def act_on_all(
    client: Client,
    output: Output,
    *,
    action: str,
    chosen: Mapping[str, Json],
    request: Request,
    is_sure: bool,
) -> Exit:
    """Count the processes that match, have somebody say yes, and ask each of them."""
    body: JsonObject = {"action": action, "filter": dict(chosen), **request.body}
    _, counted = client.post("/process/bulk", {**body, "dry_run": True}, headers={}, wait_s=BULK_SECONDS_MAX)
    matching = counted["matching"]
    say(f"{matching} processes match")
    if not matching:
        show(counted, output, _asked)
        return Exit.WELL
    if not is_sure:
        _have_it_confirmed(f"{action} them?")
    _, answer = client.post("/process/bulk", body, headers=request.headers, wait_s=BULK_SECONDS_MAX)
    show(answer, output, _asked)
    return Exit.WELL


def signal(
    client: Client, output: Output, *, command_id: str, result: JsonObject, refusal: str | None
) -> Exit:
    """Give a signal, or refuse it."""
    path = f"/step/{quote(command_id, safe='')}"
    if refusal is None:
        _, answer = client.post(f"{path}/completed", result, headers={})
    else:
        error: JsonObject = {"code": refusal, "retryable": False}
        _, answer = client.post(f"{path}/failed", {"error": error}, headers={})
    show(answer, output, lambda document: f"{plain(document['command_id'])} {plain(document['status'])}")
    return Exit.WELL


def _have_it_confirmed(question: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError(Exit.USAGE, "nothing was asked of them: --yes does it without a terminal")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError(Exit.ERROR, "nothing was asked of them")


def _asked(answer: JsonObject) -> str:
    return f"{plain(answer['requested'])} processes were asked"
