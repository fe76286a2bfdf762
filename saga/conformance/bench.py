"""The bench that a participant is put on: fresh effects, commands about them as the orchestrator writes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from saga.conformance.wire import Answer, Wire
from saga.messages.command import CommandRef
from saga.messages.json_text import Json, JsonObject
from saga.messages.timestamps import rfc3339

PROCESS_TYPE = "conformance_check"
STEP = "checked"
UNKNOWN_ACTION = "no_such_action_by_check"
_EXPIRED_SINCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Subject:
    """Say what is checked: the service, its actions by name, and parameters that the action takes."""

    service: str
    action: str | None = None
    compensation: str | None = None
    verify: str | None = None
    is_fencing: bool = False
    parameters: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """Name one effect that may happen; each has a process, and so a key, of its own."""

    process_id: str

    def ref(self, kind: str, attempt: int) -> CommandRef:
        """Name a command about it."""
        return CommandRef(self.process_id, STEP, kind, attempt)


class Bench:
    """Send commands and keep every answer, so that their form can be judged at the end."""

    def __init__(
        self, wire: Wire, subject: Subject, *, run_id: str, now: Callable[[], int], within_s: float
    ) -> None:
        self.subject = subject
        self.answers: list[Answer] = []
        self.findings: dict[str, bool] = {}
        self._wire = wire
        self._run_id = run_id
        self._now = now
        self._within_s = within_s
        self._effects = 0

    def effect(self) -> Effect:
        """Begin with something that the participant never heard of."""
        self._effects += 1
        return Effect(f"{self._run_id}-{self._effects}")

    async def do(self, effect: Effect, *, attempt: int = 1, is_expired: bool = False, **more: Json) -> Answer:
        """Order the action."""
        command = self._command(effect, "action", self.subject.action or "", attempt, is_expired=is_expired)
        return await self._ask({**command, **more})

    async def undo(self, effect: Effect, output: Json = None, *, attempt: int = 1) -> Answer:
        """Order the compensation; `output` is null where the outcome of the action is unknown."""
        command = self._command(effect, "compensation", self.subject.compensation or "", attempt)
        undone: JsonObject = {
            "step": STEP,
            "index": None,
            "idempotency_key": effect.ref("action", 1).idempotency_key,
            "output": output,
        }
        return await self._ask({**command, "compensates": undone})

    async def question(self, effect: Effect) -> Answer:
        """Ask whether the first attempt of the action took effect."""
        command = self._command(effect, "verify", self.subject.verify or "", 1)
        asked = effect.ref("action", 1)
        about: JsonObject = {
            "step": STEP,
            "index": None,
            "idempotency_key": asked.idempotency_key,
            "command_id": asked.command_id,
            "attempt": asked.attempt,
        }
        return await self._ask({**command, "verifies": about})

    async def nonsense(self) -> Answer:
        """Order an action that no participant has."""
        return await self._ask(self._command(self.effect(), "action", UNKNOWN_ACTION, 1))

    async def garbage(self, body: bytes) -> Answer | None:
        """Send what is no command; its answer need not have the form of one."""
        action = self.subject.action or UNKNOWN_ACTION
        return await self._wire.throw(body, action=action, within_s=self._within_s)

    async def _ask(self, command: JsonObject) -> Answer:
        answer = await self._wire.ask(command, within_s=self._within_s)
        self.answers.append(answer)
        return answer

    def _command(
        self, effect: Effect, kind: str, action: str, attempt: int, *, is_expired: bool = False
    ) -> JsonObject:
        ref = effect.ref(kind, attempt)
        allowed_ms = -_EXPIRED_SINCE_MS if is_expired else round(self._within_s * 1000)
        return {
            "command_id": ref.command_id,
            "idempotency_key": ref.idempotency_key,
            "process_id": ref.process_id,
            "process_type": PROCESS_TYPE,
            "step": STEP,
            "service": self.subject.service,
            "action": action,
            "kind": kind,
            "attempt": attempt,
            "deadline": rfc3339(self._now() + allowed_ms),
            "reply_key": "step",
            "parameters": dict(self.subject.parameters),
            "results": {},
        }
