"""What each command does; only loaded for the one that runs, so that `saga --help` is quick."""

import asyncio
from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

from api.cli.client import Client
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show, show_all
from api.cli.tables import event_list, patch_table, plain, process_list, process_view
from api.cli.watch import outcome, watch
from saga.messages.json_text import JsonObject

PAGE_MAX = 200
_ACCEPTED = 202


def start(  # noqa: PLR0913 - one per option
    client: Client,
    output: Output,
    *,
    process_type: str,
    parameters: JsonObject,
    labels: dict[str, str],
    process_id: str | None,
    key: str | None,
    callback_url: str | None,
    wait_s: int | None,
    follow: bool,
) -> Exit:
    """Start a process, and wait for its end where that is asked for."""
    body: JsonObject = {"process_type": process_type, "parameters": parameters}
    if labels:
        body["labels"] = dict(labels)
    if process_id is not None:
        body["process_id"] = process_id
    if callback_url is not None:
        body["callback_url"] = callback_url
    headers = {} if key is None else {"idempotency-key": key}
    if wait_s is not None:
        headers["prefer"] = f"wait={wait_s}"
    status, answer = client.post("/process", body, headers=headers, wait_s=wait_s or 0)
    started = str(answer["process_id"])
    if follow:
        say(f"started {started}")
        return watch(client, started, output=output, timeout_s=None)
    show(answer, output, lambda document: f"{plain(document['process_id'])} {plain(document['status'])}")
    if wait_s is None:
        return Exit.WELL
    if status == _ACCEPTED:
        raise CommandError(Exit.TIMED_OUT, f"process {started} has not ended within {wait_s} s")
    return outcome(answer["status"], started)


def show_one(client: Client, output: Output, process_id: str) -> Exit:
    """Show one process."""
    process = client.get(_path(process_id))
    if not isinstance(process, dict):
        raise CommandError(Exit.ERROR, "the answer is no process: is this the address of Batuta?")
    show(process, output, process_view)
    return Exit.WELL


def list_many(client: Client, output: Output, *, filters: Sequence[tuple[str, str]], limit: int) -> Exit:
    """List the processes that pass the filters, the newest first."""
    query = [*filters, ("limit", str(min(limit, PAGE_MAX)))]
    found, following = client.get_page("/process", query)
    while following is not None and len(found) < limit:
        page, following = client.get_page(following, ())
        found += page
    show_all(found[:limit], output, process_list)
    if following is not None or len(found) > limit:
        say(f"there are more: --limit {limit * 2}")
    return Exit.WELL


def events(client: Client, output: Output, process_id: str, *, after: int) -> Exit:
    """Show the log of a process."""
    entries, _ = client.get_page(f"{_path(process_id)}/events", [("after", str(after))])
    show_all(entries, output, event_list)
    return Exit.WELL


def state(client: Client, output: Output, process_id: str, *, number: int) -> Exit:
    """Show a process as it stood after an event."""
    process = cast("JsonObject", client.get(f"{_path(process_id)}/state", [("at", str(number))]))
    show(process, output, process_view)
    return Exit.WELL


def difference(client: Client, output: Output, process_id: str, first: int, second: int) -> Exit:
    """Show what changed between two events of a process."""
    patch, _ = client.get_page(f"{_path(process_id)}/diff", [("from", str(first)), ("to", str(second))])
    show_all(patch, output, patch_table)
    return Exit.WELL


def follow_one(client: Client, output: Output, process_id: str, *, timeout_s: float | None) -> Exit:
    """Watch one process."""
    return watch(client, quote(process_id, safe=""), output=output, timeout_s=timeout_s)


def serve(roles: Sequence[str], *, demo: bool) -> Exit:
    """Run a server until it is told to stop."""
    import uvloop  # noqa: PLC0415

    from api.bootstrap import serve as serve_until_stopped  # noqa: PLC0415 - clients need none of it
    from api.settings import SettingsError, load_settings  # noqa: PLC0415
    from saga.errors import InvalidDefinition, SagaError  # noqa: PLC0415

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_until_stopped(load_settings(), roles=roles, demo=demo))
    except SettingsError as error:
        raise CommandError(Exit.USAGE, "\n".join(error.problems)) from None
    except InvalidDefinition as error:
        raise CommandError(Exit.USAGE, str(error)) from None
    except SagaError as error:
        raise CommandError(Exit.ERROR, str(error)) from None
    return Exit.WELL


def _path(process_id: str) -> str:
    return f"/process/{quote(process_id, safe='')}"
