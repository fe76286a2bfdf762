"""Participants that answer in every way there is, and a ledger of what really happened in their world.

They keep the participant's side of the contract: one effect per idempotency key, no action after its undo, and,
where the definition says so, no attempt of which they said that it isn't there.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING, Any

from saga.testing import InMemoryMessage
from saga.testing.broker import consume, service_queue
from tests.simulation.definitions import SERVICES
from tests.simulation.plan import PER_COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from saga.ports.bus import Delivery
    from saga.testing.broker import Consumer
    from tests.simulation.judge import Judge
    from tests.simulation.network import Chance
    from tests.simulation.ports import SimulatedBroker

_SIMULTANEOUS = 1_000
_PROGRESS_EVERY_S = 0.3
_ASKS_TO_WAIT = 0.2
_EVENTS = "saga.events"


class Participants:
    """Serve all services."""

    def __init__(self, seed: int, chance: Chance, rates: Mapping[str, float], judge: Judge) -> None:
        self.busy = 0
        # By the action's key: how often it took effect, what it gave, and how often that was undone.
        self.effects: defaultdict[str, int] = defaultdict(int)
        self.outputs: dict[str, Any] = {}
        self.undone: defaultdict[str, int] = defaultdict(int)
        self.liars: set[str] = set()
        self.told: set[str] = set()
        # Processes of which a participant did anything but its work.
        self.troubled: set[str] = set()
        self._seed = seed
        self._chance = chance
        self._rates = rates
        self._judge = judge
        self._is_calm = False
        self._fates: dict[str, str] = {}
        self._barred: set[str] = set()
        self._fenced: set[str] = set()
        self._keys: dict[tuple[str, str, Any, str], str] = {}
        self._consumers: list[Consumer] = []

    def serve(self, broker: SimulatedBroker) -> None:
        """Take the commands of every service."""
        self._broker = broker
        broker.declare(SERVICES)
        for service in SERVICES:
            consume(broker, service_queue(service), self._take, _SIMULTANEOUS, self._consumers)

    def calm(self) -> None:
        """Answer every new command promptly and well from now on."""
        self._is_calm = True

    def undo_by_hand(self, key: str) -> None:
        """Let a person undo something, because the participant could not."""
        self._barred.add(key)
        self.undone[key] += 1

    async def _take(self, delivery: Delivery) -> None:
        command = json.loads(delivery.body)
        await delivery.acknowledge()
        place = command["process_id"], command["step"], command.get("index"), command["kind"]
        if command["kind"] == "compensation":
            place = place[0], place[1], command["compensates"]["index"], place[3]
        if self._keys.setdefault(place, command["idempotency_key"]) != command["idempotency_key"]:
            self._judge.complain("I6", place[0], f"{place[1:]} has two idempotency keys")
        fate, rng = self._fate(command["command_id"])
        if fate:
            self.troubled.add(command["process_id"])
        duration_s = self._duration_s(fate, rng)
        if "progress" in fate:
            for number in range(int(duration_s / _PROGRESS_EVERY_S)):
                self._later(number * _PROGRESS_EVERY_S, self._send, "progress", command, {"percent": number})
        self._later(duration_s, self._work, command, fate, rng)

    def _fate(self, command_id: str) -> tuple[str, Random]:
        """Draw how a command goes; the same at every delivery of the same command."""
        rng = Random(f"{self._seed} {command_id}")
        if command_id not in self._fates:
            drawn = [name for name in PER_COMMAND if rng.random() < self._rates.get(name, 0)]
            self._fates[command_id] = "" if self._is_calm else " ".join(drawn)
        return self._fates[command_id], rng

    def _duration_s(self, fate: str, rng: Random) -> float:
        if self._is_calm:
            return 0.01
        return rng.uniform(0.5, 8) if "late" in fate else rng.uniform(0.001, 0.2) + 0.8 * ("progress" in fate)

    def _work(self, command: dict[str, Any], fate: str, rng: Random) -> None:
        match command["kind"]:
            case "action":
                self._act(command, fate, rng)
            case "compensation":
                self._undo(command, fate, rng)
            case _:
                self._look(command, fate, rng)

    def _act(self, command: dict[str, Any], fate: str, rng: Random) -> None:
        key = command["idempotency_key"]
        if key in self.outputs and key not in self._barred:
            self._complete(command, fate, rng, self.outputs[key])
        elif key in self._barred:
            self._send("failed", command, _failed("undone_already", retryable=False))
        elif command["command_id"] in self._fenced:
            self._send("failed", command, _failed("fenced"))
        elif "retryable" in fate or "refusal" in fate:
            later = {"retry_after": rng.uniform(0.5, 4)} if rng.random() < _ASKS_TO_WAIT else {}
            self._send("failed", command, _failed("declined", retryable="refusal" not in fate, **later))
        elif ("unknown" in fate or "never" in fate) and rng.random() < 0.5:
            self._leave_open(command, fate)
        else:
            self.effects[key] += 1
            made = Random(key)
            self.outputs[key] = {
                "made_by": command["command_id"],
                "size": made.randint(0, 9),
                "list": [made.randint(0, 9) for _ in range(made.choice((0, 1, 2, 3)))],
            }
            self._complete(command, fate, rng, self.outputs[key])

    def _undo(self, command: dict[str, Any], fate: str, rng: Random) -> None:
        key, undone = command["idempotency_key"], command["compensates"]["idempotency_key"]
        if key not in self.outputs:
            if "retryable" in fate or "refusal" in fate:
                self._send("failed", command, _failed("busy", retryable="refusal" not in fate))
                return
            self._barred.add(undone)
            self.outputs[key] = {} if self.effects[undone] else {"nothing_to_undo": True}
            self.undone[undone] += 1
        self._complete(command, fate, rng, self.outputs[key])

    def _look(self, command: dict[str, Any], fate: str, rng: Random) -> None:
        """Say whether an attempt took effect, and refuse it from then on where it did not."""
        asked = command["verifies"]
        key = asked["idempotency_key"]
        if "retryable" in fate or "refusal" in fate:
            self._send("failed", command, _failed("busy", retryable="refusal" not in fate))
        elif key in self.outputs:
            self._complete(command, fate, rng, self.outputs[key])
        elif "unknown" in fate or "never" in fate:
            self._leave_open(command, fate)
        else:
            if self._judge.cases[command["process_id"]].written.fences(command["step"]):
                self._fenced.add(asked["command_id"])
            self._send("failed", command, _failed("not_found"))

    def _complete(self, command: dict[str, Any], fate: str, rng: Random, output: Any) -> None:
        if "unknown" in fate or "never" in fate:
            self._leave_open(command, fate)
            return
        self.told.add(command["command_id"])
        answers: list[tuple[str, dict[str, Any]]] = [("completed", {"output": output})]
        if "twice" in fate:
            answers.append(answers[0])
        if "contradict" in fate:
            self.liars.add(command["process_id"])
            answers.append(("failed", _failed("liar", retryable=rng.random() < 0.5)))
            rng.shuffle(answers)
        for position, (word, body) in enumerate(answers):
            if position == 0:
                self._send(word, command, body)
            else:
                self._later(rng.uniform(0, 3), self._send, word, command, body)

    def _leave_open(self, command: dict[str, Any], fate: str) -> None:
        if "never" not in fate:
            self._send("failed", command, _failed("lost_track", effect_unknown=True))

    def _send(self, word: str, command: dict[str, Any], body: dict[str, Any]) -> None:
        if self._broker.is_away:
            self._later(0.3, self._send, word, command, body)
            return
        text = json.dumps({"command_id": command["command_id"], **body})
        message_id = f"{command['command_id']}.{word}"
        self._broker.put(
            InMemoryMessage(_EVENTS, f"step.{word}", text.encode(), message_id, command["service"])
        )

    def _later(self, delay_s: float, act: Callable[..., None], *about: object) -> None:
        self.busy += 1
        asyncio.get_running_loop().call_later(delay_s, self._now, act, about)

    def _now(self, act: Callable[..., None], about: tuple[object, ...]) -> None:
        self.busy -= 1
        act(*about)


def _failed(code: str, **more: float) -> dict[str, Any]:
    return {"error": {"code": code, "message": "simulated", **more}}
