"""Reach a participant over HTTP as the orchestrator does: POST {address}/{action}, judged by the same rules."""

import asyncio
import datetime as dt
import hashlib
from dataclasses import dataclass

from saga.calling.address import Address
from saga.calling.verdict import judge, judge_silence
from saga.conformance.reading import read_verdict, silent
from saga.conformance.wire import Answer, NotReachable
from saga.messages.json_text import JsonObject, to_text
from saga.ports.calls import Calls, NoAnswer


class HttpWire:
    """Implement `saga.conformance.wire.Wire` over HTTP."""

    def __init__(self, calls: Calls, address: Address) -> None:
        self._calls = calls
        self._address = address
        self._was_reached = False

    async def ask(self, command: JsonObject, *, within_s: float) -> Answer:
        """Post a command with the headers that the orchestrator sends."""
        request = _Request(str(command["action"]), str(command["kind"]), to_text(command).encode())
        named = {
            "Idempotency-Key": str(command["idempotency_key"]),
            "traceparent": _traceparent(str(command["command_id"])),
        }
        return await self._post(request, named, within_s)

    async def throw(self, body: bytes, *, action: str, within_s: float) -> Answer | None:
        """Post what is no command, without a key."""
        return await self._post(_Request(action, "action", body), {}, within_s)

    async def _post(self, request: "_Request", named: dict[str, str], within_s: float) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json", **named}
        if self._address.authorization is not None:
            headers["Authorization"] = self._address.authorization
        url = self._address.url_of(request.action)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            answer = await self._calls.post(url, headers, request.body, deadline_s=2 * within_s)
        except NoAnswer as silence:
            return self._judged_silence(silence, request.kind)
        self._was_reached = True
        verdict = judge(answer, kind=request.kind, now=dt.datetime.now(dt.UTC))
        is_late = clock() - began > within_s
        return read_verdict(verdict.outcome, f"HTTP {answer.status}", is_late=is_late)

    def _judged_silence(self, silence: NoAnswer, kind: str) -> Answer:
        if not silence.was_sent and not self._was_reached:
            raise NotReachable(f"nobody answers there ({silence.reason}): is the service running?")
        self._was_reached = True
        if silence.status is None:
            return silent(silence.reason)
        verdict = judge_silence(silence, kind=kind, now=dt.datetime.now(dt.UTC))
        return read_verdict(verdict.outcome, f"HTTP {silence.status}")


@dataclass(frozen=True, slots=True)
class _Request:
    """What is posted: where, what kind of command it is, and the body."""

    action: str
    kind: str
    body: bytes


def _traceparent(command_id: str) -> str:
    trace = hashlib.blake2b(command_id.encode(), digest_size=24).hexdigest()
    return f"00-{trace[:32]}-{trace[32:]}-01"
