"""The commands that act on processes: each asks the service, which answers once the broker has the request."""

from urllib.parse import quote

from api.cli.client import Client
from api.cli.outcome import Exit
from api.cli.output import Output, say, show
from api.cli.tables import plain, process_view
from saga.messages.json_text import JsonObject


def act(  # noqa: PLR0913 - one per option
    client: Client,
    output: Output,
    *,
    action: str,
    process_id: str,
    reason: str,
    step: str | None = None,
    outcome: str | None = None,
    result: JsonObject | None = None,
    key: str | None = None,
) -> Exit:
    """Ask one process for an action, and show it as it stood when the broker took the request."""
    body: JsonObject = {"reason": reason, **(result or {})}
    if step is not None:
        body["step"] = step
    if outcome is not None:
        body["outcome"] = outcome
    headers = {} if key is None else {"idempotency-key": key}
    _, process = client.post(f"/process/{quote(process_id, safe='')}/{action}", body, headers=headers)
    show(process, output, process_view)
    say(f"{action} is on its way")
    return Exit.WELL


def act_on_type(client: Client, output: Output, *, action: str, process_type: str, reason: str) -> Exit:
    """Pause or resume a type, and say how many of its processes were asked."""
    _, answer = client.post(
        f"/process-type/{quote(process_type, safe='')}/{action}", {"reason": reason}, headers={}
    )
    show(answer, output, lambda document: f"{plain(document['requested'])} processes were asked")
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
