"""A person who gives signals, and an operator who asks things of processes over control messages."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from saga.messages.start import id_for_child
from saga.testing import InMemoryMessage
from tests.simulation.plan import PER_SIGNAL
from tests.simulation.written import ACTION, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.simulation.cases import Case
    from tests.simulation.world import World

_COMMANDS, _EVENTS = "saga.commands", "saga.events"
_TRIES = 3


class Person:
    """Hear of signals that are awaited, and give them, or not."""

    def __init__(self, world: World) -> None:
        self.troubled: set[str] = set()
        self.busy = 0
        self._world = world

    def heard(self, process_id: str, document: Mapping[str, Any]) -> None:
        """Look at a transition that was just stored."""
        for event in document["events"]:
            if event["type"] == "signal_waiting":
                self._asked(process_id, f"{process_id}.{event['step']}.a{event['attempt']}")

    def _asked(self, process_id: str, command_id: str) -> None:
        rng = Random(f"{self._world.plan.seed} {command_id}")
        drawn = {name for name in PER_SIGNAL if rng.random() < self._world.plan.rates.get(name, 0)}
        if self._world.chance.is_calm:
            drawn = set()
        if drawn:
            self.troubled.add(process_id)
        if "signal_never" in drawn:
            return
        words = ["failed" if "signal_refused" in drawn else "completed"]
        if "signal_twice" in drawn:
            words.append(rng.choice(("completed", "failed")))
        least, most = (1, 7) if "signal_late" in drawn else (0.05, 0.8)
        for word in words:
            self._later(rng.uniform(least, most), command_id, word)

    def _later(self, delay_s: float, command_id: str, word: str) -> None:
        self.busy += 1
        asyncio.get_running_loop().call_later(delay_s, self._send, command_id, word)

    def _send(self, command_id: str, word: str) -> None:
        self.busy -= 1
        if self._world.broker.is_away:
            self._later(0.3, command_id, word)
            return
        said: dict[str, Any] = {"command_id": command_id}
        if word == "completed":
            said["output"] = {"made_by": command_id, "size": 5, "list": [1, 2]}
        else:
            said["error"] = {"code": "refused", "message": "simulated", "retryable": False}
        self._world.broker.put(
            InMemoryMessage(
                _EVENTS, f"step.{word}", json.dumps(said).encode(), f"{command_id}.{word}", "person"
            )
        )


class Operator:
    """Interfere while there are faults; afterwards, see to it that nobody waits for what stands still."""

    def __init__(self, world: World) -> None:
        self.troubled: set[str] = set()
        # Steps of which a person said what became of them.
        self.by_word: set[tuple[str, str]] = set()
        self.busy = 0
        self._world = world
        self._rng = world.plan.rng("operator")
        self._requests = 0
        self._tried: dict[str, int] = {}
        self._tidies_up = world.plan.rng("tidy").random() < 0.5

    def strike(self, *, over_s: float) -> None:
        """Ask for something, perhaps."""
        strikes, cases = self._world.chance.strikes, list(self._world.judge.cases.items())
        if not cases:
            return
        process_id, case = self._rng.choice(cases)
        if strikes("operator_cancel", over_s=over_s):
            self.ask(process_id, "cancel")
        if strikes("operator_pause", over_s=over_s):
            self.ask(process_id, "pause")
            self._later(self._rng.uniform(0.3, 6), self._resume, process_id)
        if strikes("operator_compensate", over_s=over_s):
            ended = [one for one, other in cases if other.status == "completed"]
            self.ask(self._rng.choice(ended or [process_id]), "compensate")
        if strikes("operator_mends", over_s=over_s):
            stuck = [(one, other) for one, other in cases if other.status == "suspended"]
            self._mend(*self._rng.choice(stuck or [(process_id, case)]))

    def tidy_up(self) -> None:
        """Resume what is paused, and mend what others wait for; in some runs, all that is suspended."""
        world = self._world
        for process_id, case in world.judge.cases.items():
            tries = self._tried.get(process_id, 0)
            if case.status == "paused":
                self._resume(process_id)
            elif case.status == "suspended" and (self._tidies_up or self._is_waited_for(case)):
                self._tried[process_id] = tries + 1
                if tries < _TRIES:
                    self.ask(process_id, "retry")
                elif tries < 3 * _TRIES:
                    self._mend(process_id, case)
                else:
                    self.ask(process_id, "fail")

    def ask(self, process_id: str, action: str, **more: Any) -> None:
        """Send one request, once or again."""
        self.troubled.add(process_id)
        self._requests += 1
        request_id = f"request {self._requests}"
        body = {"process_id": process_id, "reason": "simulated", "request_id": request_id, **more}
        copies = 2 if self._world.chance.strikes("repeated_request") else 1
        for copy in range(copies):
            self._later(self._rng.uniform(0.05, 3) * copy, self._send, action, body)

    def _resume(self, process_id: str) -> None:
        self.ask(process_id, "resume")

    def _is_waited_for(self, case: Case) -> bool:
        """Say whether a suspended process keeps others from their end."""
        state = case.state
        assert state is not None
        if state.origin.parent is not None:
            return True
        held = [lock.key for lock in state.locks or () if lock.is_held]
        holds = self._world.locks._locks
        return bool(held) or any(lock.holder == state.process_id for lock in holds.values())

    def _mend(self, process_id: str, case: Case) -> None:
        """Do one of the things that a person may do about a process that stands still."""
        assert case.state is not None
        interpreter = case.interpreter
        stuck = list(interpreter.stuck())
        unknown = [name for name, action in interpreter.actions.items() if action.status == "unknown"]
        choices: list[Callable[[], None]] = [lambda: self.ask(process_id, "retry")]
        if self._rng.random() < 0.2:
            choices.append(lambda: self.ask(process_id, "fail"))
        for way, name in stuck:
            choices.append(partial(self.ask, process_id, "retry", step=name))
            choices.append(partial(self._skip, process_id, way, name))
        choices += [partial(self._resolve, process_id, case, name) for name in unknown]
        self._rng.choice(choices)()

    def _skip(self, process_id: str, way: str, name: str) -> None:
        """Say that a step is not needed, or that it was undone by hand, and do that."""
        self.by_word.add((process_id, name))
        if way != ACTION:
            self._world.participants.undo_by_hand(key_of(process_id, name))
        self.ask(process_id, "skip", step=name, output={"made_by": "a person"})

    def _resolve(self, process_id: str, case: Case, name: str) -> None:
        """Say the truth about a step, as far as it is known."""
        self.by_word.add((process_id, name))
        key = key_of(process_id, name)
        if case.written.kind(name) == "service":
            happened = bool(self._world.participants.effects[key])
        else:
            last = case.interpreter.actions[name].sent
            child = self._world.judge.cases.get(id_for_child(f"{key}{last}"))
            happened = child is not None and child.status == "completed"
        outcome = "completed" if happened else "failed"
        self.ask(process_id, "resolve", step=name, outcome=outcome, output={"made_by": "a person"})

    def _send(self, action: str, body: dict[str, Any]) -> None:
        if self._world.broker.is_away:
            self._later(0.3, self._send, action, body)
            return
        text = json.dumps(body).encode()
        message_id = f"{body['request_id']} of the operator"
        self._world.broker.put(InMemoryMessage(_COMMANDS, f"process.{action}", text, message_id, "operator"))

    def _later(self, delay_s: float, act: Callable[..., None], *about: object) -> None:
        self.busy += 1
        asyncio.get_running_loop().call_later(delay_s, self._now, act, about)

    def _now(self, act: Callable[..., None], about: tuple[object, ...]) -> None:
        self.busy -= 1
        act(*about)
