"""A participant that does all that is asked of one, and can be told to do one thing wrong."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Command = dict[str, Any]
Answer = dict[str, Any]

ACTION, COMPENSATION, VERIFY = "reserve", "release", "status"


class Died(Exception):  # noqa: N818 - the name of what happened
    """Say that the participant is gone."""


@dataclass(slots=True)
class _Effect:
    output: Any = None
    undone: Any = None
    fenced: int = 0


@dataclass(slots=True)
class ModelParticipant:
    """Answer commands from memory; `faults` names what it does wrong."""

    faults: frozenset[str] = frozenset()
    effects: dict[str, _Effect] = field(default_factory=dict)
    done: int = 0
    answered: set[str] = field(default_factory=set)
    is_dead: bool = False

    async def answer(self, body: bytes) -> Answer | None:
        """Give the reply with its `word`; None is silence. Raises Died where it doesn't live any more."""
        if self.is_dead:
            raise Died
        command = _read(body)
        if command is None:
            return self._garbage()
        answer = await self._carry_out(command)
        return self._spoilt(command, answer) if answer is not None else None

    def _garbage(self) -> Answer | None:
        if "dies of garbage" in self.faults:
            self.is_dead = True
            raise Died
        if "takes garbage for a command" in self.faults:
            return {"word": "completed", "command_id": "?", "output": {}}
        return None

    async def _carry_out(self, command: Command) -> Answer | None:
        if "obeys the deadline" in self.faults:
            deadline = datetime.fromisoformat(command["deadline"])
            if deadline < datetime.now(UTC):
                return None
        if "refuses unknown members" in self.faults and "member_of_a_later_version" in command:
            return self._failed(command, "unknown_member")
        match command["kind"], command["action"]:
            case "action", "reserve":
                return await self._do(command)
            case "compensation", "release":
                return self._undo(command)
            case "verify", "status":
                return self._say(command)
        if "is silent about unknown actions" in self.faults:
            return None
        return self._failed(command, "unknown_action", retryable="retries unknown actions" in self.faults)

    async def _do(self, command: Command) -> Answer | None:
        if "does nothing" in self.faults:
            return self._failed(command, "broken")
        key = command["idempotency_key"]
        effect = self.effects.setdefault(key, _Effect())
        if effect.undone is not None:
            return self._after_undo(command, effect)
        if effect.fenced >= command["attempt"]:
            return self._failed(command, "fenced", retryable=True)
        known = effect.output
        if known is not None and "forgets the key" not in self.faults:
            if "is silent about duplicates" in self.faults:
                return None
            if "refuses duplicates" in self.faults:
                return self._failed(command, "done_already")
            return self._completed(command, known)
        if "looks before it writes" in self.faults:
            await asyncio.sleep(0)
        self.done += 1
        effect.output = {"reservation": self.done}
        return self._completed(command, effect.output)

    def _after_undo(self, command: Command, effect: _Effect) -> Answer:
        is_early = effect.output is None
        if "does it after its undo" in self.faults and not is_early:
            return self._completed(command, effect.output)
        if "does it after its early undo" in self.faults and is_early:
            return self._completed(command, {"reservation": 0})
        return self._failed(command, "undone", retryable="refuses for now" in self.faults)

    def _undo(self, command: Command) -> Answer:
        effect = self.effects.setdefault(command["compensates"]["idempotency_key"], _Effect())
        if effect.undone is not None:
            if "undoes only once" in self.faults:
                return self._failed(command, "undone_already")
            return self._completed(command, effect.undone)
        if effect.output is None and "knows nothing to undo" in self.faults:
            return self._failed(command, "not_found")
        if effect.output is not None and "can not undo" in self.faults:
            return self._failed(command, "stuck", retryable=True)
        effect.undone = {} if effect.output else {"nothing_to_undo": True}
        return self._completed(command, effect.undone)

    def _say(self, command: Command) -> Answer:
        asked = command["verifies"]
        effect = self.effects.setdefault(asked["idempotency_key"], _Effect())
        if effect.output is not None and "forgets what it did" not in self.faults:
            told = {} if "tells another output" in self.faults else effect.output
            return self._completed(command, told)
        if "does not fence" not in self.faults:
            effect.fenced = asked["attempt"]
        return self._failed(command, "unknown" if "says unknown" in self.faults else "not_found")

    def _spoilt(self, command: Command, answer: Answer) -> Answer:
        if "leaves the code out" in self.faults and answer.get("error", {}).get("code") == "undone":
            del answer["error"]["code"]
        if "writes numbers as text" in self.faults and answer["word"] == "failed":
            answer["error"]["retry_after"] = "5"
        is_first = command["command_id"] not in self.answered
        self.answered.add(command["command_id"])
        return {**answer, "is_late": "is slow" in self.faults and is_first}

    def _completed(self, command: Command, output: Any) -> Answer:
        return {"word": "completed", "command_id": command["command_id"], "output": output}

    def _failed(self, command: Command, code: str, *, retryable: bool = False) -> Answer:
        error = {"code": code, "message": "no", "retryable": retryable}
        return {"word": "failed", "command_id": command["command_id"], "error": error}


def _read(body: bytes) -> Command | None:
    try:
        command: Command = json.loads(body)
        is_command = isinstance(command["command_id"], str) and bool(command["idempotency_key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return command if is_command else None
