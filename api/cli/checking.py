"""What `saga participant check` does: confirm, run the cases over the right wire, print what was found."""

import asyncio
import math
import secrets
import sys
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from rich.console import Group, RenderableType
from rich.text import Text

from adapters.http.calls import HttpCalls
from adapters.rabbitmq.checking import rabbit_wire
from adapters.rabbitmq.topology import Names
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show
from api.cli.tables import plain, table_of
from saga.calling.address import InvalidAddress, read_addresses
from saga.conformance.bench import Bench, Subject
from saga.conformance.cases import Case
from saga.conformance.check import CASES
from saga.conformance.check import check as run_cases
from saga.conformance.over_http import HttpWire
from saga.conformance.wire import NotReachable, Wire
from saga.messages.json_text import JsonObject

_TIMEOUT_MAX_S = 600
_RUN_DIGITS = 4  # of two each
_CONNECTIONS_MAX = 8
_COLOURS = {"passed": "green", "failed": "red", "skipped": "cyan", "unclear": "yellow"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Hold what the command line says about the participant and the check."""

    action: str | None
    compensation: str | None
    verify: str | None
    is_fencing: bool
    parameters: JsonObject
    only: Collection[str]
    timeout_s: float
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Broker:
    """Say where services are found by their names."""

    url: str | None
    prefix: str


def check(output: Output, target: str, *, asked: Asked, broker: Broker) -> Exit:
    """Check a participant; each way to fail ends the command with its own exit code."""
    _refuse_nonsense(asked)
    _confirm(target, asked)
    is_address = "://" in target
    run_id = f"check-{secrets.token_hex(_RUN_DIGITS)}"
    wire = _over_http(target) if is_address else _over_the_broker(target, broker, run_id)
    subject = Subject(
        service="checked" if is_address else target,
        action=asked.action,
        compensation=asked.compensation,
        verify=asked.verify,
        is_fencing=asked.is_fencing,
        parameters=asked.parameters,
    )
    try:
        found = asyncio.run(_run(wire, subject, run_id, asked))
    except NotReachable as error:
        raise CommandError(Exit.NOT_REACHABLE, str(error)) from None
    shown = _without_credentials(target) if is_address else target
    show({"target": shown, "process_ids": f"{run_id}-*", **found}, output, _report)
    return Exit.ERROR if found["failed"] else Exit.WELL


def _refuse_nonsense(asked: Asked) -> None:
    known = [case.name for case in CASES]
    unknown = [name for name in asked.only if name not in known]
    if unknown:
        raise CommandError(Exit.USAGE, f"there is no case {unknown[0]!r}; there are {', '.join(known)}")
    if not (math.isfinite(asked.timeout_s) and 0 < asked.timeout_s <= _TIMEOUT_MAX_S):
        raise CommandError(Exit.USAGE, f"--timeout is more than 0 and at most {_TIMEOUT_MAX_S} seconds")
    if asked.is_fencing and asked.verify is None:
        raise CommandError(Exit.USAGE, "--fences is about what --verify says: name that action too")


def _confirm(target: str, asked: Asked) -> None:
    """Let nobody do real work by mistake."""
    if asked.is_confirmed:
        return
    does = f"carries out {asked.action!r} for real, dozens of times" if asked.action else "sends it garbage"
    sentence = f"this {does}, at {_without_credentials(target)}: use one that may do so"
    if not sys.stdin.isatty():
        raise CommandError(Exit.USAGE, f"{sentence}, and say --yes")
    say(sentence)
    sys.stderr.write("go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError(Exit.USAGE, "nothing was sent")


@asynccontextmanager
async def _over_http(url: str) -> AsyncIterator[Wire]:
    try:
        (address,) = read_addresses(url)
    except InvalidAddress as error:
        raise CommandError(Exit.USAGE, f"the address of the participant {error}") from None
    except ValueError:
        raise CommandError(Exit.USAGE, "give one address: each is checked by itself") from None
    calls = HttpCalls(connections_max=_CONNECTIONS_MAX)
    try:
        yield HttpWire(calls, address)
    finally:
        await calls.close()


def _over_the_broker(service: str, broker: Broker, run_id: str) -> AbstractAsyncContextManager[Wire]:
    if not broker.url:
        raise CommandError(
            Exit.USAGE, f"{service!r} is no address, so it is a service: name its broker by --amqp-url"
        )
    try:
        Names(broker.prefix).step_queue(service)
    except ValueError as error:
        raise CommandError(Exit.USAGE, str(error)) from None
    return rabbit_wire(broker.url, service, prefix=broker.prefix, run_id=run_id)


async def _run(
    opening: AbstractAsyncContextManager[Wire], subject: Subject, run_id: str, asked: Asked
) -> JsonObject:
    async with opening as wire:
        bench = Bench(wire, subject, run_id=run_id, now=_now_ms, within_s=asked.timeout_s)
        return await run_cases(bench, only=asked.only, told=_tell)


def _tell(case: Case) -> None:
    if sys.stderr.isatty():
        say(f"{case.name}: {case.title} …")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _without_credentials(target: str) -> str:
    scheme, separator, rest = target.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _report(document: JsonObject) -> RenderableType:
    table = table_of("case", "verdict", "found", "why it matters")
    cases = cast("list[JsonObject]", document["cases"])
    for case in cases:
        verdict = plain(case["verdict"])
        table.add_row(
            plain(case["case"]), Text(verdict, _COLOURS[verdict]), plain(case["found"]), plain(case["why"])
        )
    parts: list[RenderableType] = [table]
    parts += [Text(f"{plain(case['case'])}: {plain(case['advice'])}") for case in cases if case["advice"]]
    counts = ", ".join(f"{document[word]} {word}" for word in _COLOURS)
    parts.append(Text(f"{plain(document['target'])}: {counts}; process ids {plain(document['process_ids'])}"))
    return Group(*parts)
