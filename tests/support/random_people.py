"""The people around drawn sagas: they start them over the broker, give signals, cancel, and wait for the end."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.random_sagas import effort_name, output_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.acceptance.world import Broker
    from tests.support.random_participants import RandomParticipants
    from tests.support.random_sagas import RandomSaga

_OPEN = frozenset({"started", "compensating", "paused"})
_LOOK_EVERY_S = 0.3
# So long nothing may have happened where a process waits for another that waits for a person.
_QUIET_S = 4.0


@dataclass(slots=True)
class People:
    """Know which process is whose, by the run; `signals` are the commands of signals that were given."""

    url: str
    broker: Broker
    participants: RandomParticipants
    sagas: Sequence[RandomSaga]
    roots: dict[str, str] = field(default_factory=dict)
    signals: dict[tuple[str, str], str] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)

    async def start_all(self) -> None:
        """Publish the start of all sagas at once."""
        for saga in self.sagas:
            self.roots[saga.run] = str(uuid.uuid4())
        await asyncio.gather(*(self._start(saga) for saga in self.sagas))

    async def attend(self, trouble: asyncio.Task[None], *, within_s: float) -> list[dict[str, Any]]:
        """Give signals and cancel, until the trouble is over and all processes settled; give all documents."""
        until = time.monotonic() + within_s
        quiet_since, seen = time.monotonic(), 0
        while True:
            arrivals = len(self.participants.record.arrivals)
            if arrivals != seen or self.participants.is_busy:
                quiet_since, seen = time.monotonic(), arrivals
            try:
                await self._cancel_those_due()
                left = await self._look()
                is_quiet = trouble.done() and time.monotonic() - quiet_since > (_QUIET_S if left else 1.0)
                if time.monotonic() > until or (is_quiet and await self._all_settled(left)):
                    return await self._documents()
            except httpx.HTTPError:
                if trouble.done():
                    raise
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _start(self, saga: RandomSaga) -> None:
        process_type = saga.definitions[0]["process_type"]
        body = {"process_type": process_type, "parameters": saga.parameters}
        await self.broker.start({**body, "process_id": self.roots[saga.run]})

    async def _cancel_those_due(self) -> None:
        for saga in self.sagas:
            if saga.cancel_after is None or saga.run in self.cancelled:
                continue
            process_id = self.roots[saga.run]
            seen = sum(one.command["process_id"] == process_id for one in self.participants.record.arrivals)
            if seen >= saga.cancel_after:
                self.cancelled.add(saga.run)
                body = {"process_id": process_id, "reason": "as drawn", "request_id": f"cancel-{saga.run}"}
                await self.broker.publish("process.cancel", json.dumps(body).encode())

    async def _look(self) -> list[dict[str, Any]]:
        """Give what is under way, and give the signals that are waited for."""
        summaries = await self._get_all()
        known = {one["process_id"] for one in summaries}
        if not known.issuperset(self.roots.values()):
            return [{"process_id": "", "status": "missing"}]
        left = [one for one in summaries if one["status"] in _OPEN]
        for summary in left:
            names = list(self._signals_not_given(summary))
            if names:
                await self._give(await self._get(f"/process/{summary['process_id']}"), names)
        return left

    def _signals_not_given(self, summary: dict[str, Any]) -> Iterator[str]:
        for saga in self.sagas:
            for definition in saga.definitions:
                if definition["process_type"] == summary["process_type"]:
                    yield from (
                        step["name"]
                        for step in definition["steps"]
                        if "signal" in step and (summary["process_id"], step["name"]) not in self.signals
                    )

    async def _give(self, document: dict[str, Any], names: list[str]) -> None:
        process_type = document["process_type"]
        for wait in document["waiting_for"]:
            name, command_id = wait["step"], wait["command_id"]
            if wait["kind"] != "signal" or name not in names:
                continue
            word = self.participants.script[effort_name(process_type, name, None, "signal")][0]
            self.signals[document["process_id"], name] = command_id
            if word == "refuse":
                error = {"code": "declined", "retryable": False}
                await self.participants.say("failed", command_id, error=error)
            elif word != "never":
                for _ in range(2 if word == "give_twice" else 1):
                    output = output_of(process_type, name, None)
                    await self.participants.say("completed", command_id, output=output)

    async def _all_settled(self, left: list[dict[str, Any]]) -> bool:
        """Say whether whatever is still under way waits for a process that waits for a person."""
        if not left:
            return True
        if any(one["status"] == "missing" for one in left):
            return False
        documents = await self._documents()
        stuck = {one["parameters"]["run"] for one in documents if one["status"] == "suspended"}
        return all(one["parameters"]["run"] in stuck for one in documents if one["status"] in _OPEN)

    async def _documents(self) -> list[dict[str, Any]]:
        return [await self._get(f"/process/{one['process_id']}") for one in await self._get_all()]

    async def _get_all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with self._client() as client:
            path: str | None = "/process?limit=200"
            while path is not None:
                answer = (await client.get(path)).raise_for_status()
                body = answer.json()
                found.extend(body if isinstance(body, list) else body["processes"])
                path = answer.links.get("next", {}).get("url")
        return found

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._client() as client:
            document: dict[str, Any] = (await client.get(path)).raise_for_status().json()
            return document

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False)
