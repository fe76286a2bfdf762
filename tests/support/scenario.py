"""Drive the pure machine as a story: given a saga, when replies arrive, expect commands and an end.

Every step is checked beside what the test says: the log folds to the same state, the snapshot reads back, and
each message delivered a second time changes nothing. The survey that goes from decision to decision is the one
that a look at all steps gives.
"""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from saga.definition.graph import StepGraph, compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.sources import parse_definition
from saga.messages.command import Command
from saga.messages.json_text import Json, JsonText, from_text, to_text
from saga.process import inputs
from saga.process.codec import decode_transition, encode_transition, event_name
from saga.process.decide import decide
from saga.process.effects import effects
from saga.process.events import Accepted, Event, MigrationRejected, OperatorRejected, ResultKept
from saga.process.evolve import evolve, fold
from saga.process.snapshot import from_snapshot, to_snapshot
from saga.process.state import ProcessState
from saga.process.status import Direction, EffortStatus, OperatorAction, ProcessStatus
from saga.process.survey import Survey, survey
from saga.process.timers import next_wake
from saga.process.transition import Cause, Transition

PROCESS_ID = "p1"
START = 1_000_000


@dataclass
class Scenario:
    """One process on the pure machine, with a clock that only the test moves.

    A story of a thousand items checks its log only where it says so: folding it at each step takes long.
    """

    graph: StepGraph
    now: int = START
    process_id: str = PROCESS_ID
    checks_log: bool = True
    log: list[Transition] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)
    _state: ProcessState | None = None
    _survey: Survey | None = None
    _seen: int = 0
    _asked: int = 0

    @classmethod
    def of(
        cls,
        steps: str,
        *,
        parameters: Json = None,
        head: str = "",
        children: dict[str, str] | None = None,
    ) -> "Scenario":
        """Accept a process of a saga that is given by its steps in YAML; `children` are hashes by type."""
        definition = parse_definition(saga_text(steps, head=head), source="test")
        return cls.of_definition(definition, parameters, children=children)

    @classmethod
    def of_definition(
        cls, definition: SagaDefinition, parameters: Json = None, *, children: dict[str, str] | None = None
    ) -> "Scenario":
        """Accept a process of a saga."""
        accepted = Accepted(
            definition.process_type, "hash", to_text(parameters or {}), {}, "request", "", None, None,
            children=children or {},
        )  # fmt: skip
        return cls(compile_graph(definition)).accepts(accepted)

    def accepts(self, accepted: Accepted, *kept: ResultKept) -> "Scenario":
        """Begin with the first event, and with what is kept of another process."""
        self._record((accepted, *kept), "accept")
        return self

    @property
    def state(self) -> ProcessState:
        """Give the state now."""
        assert self._state is not None
        return self._state

    @property
    def status(self) -> ProcessStatus:
        """Give the status of the process now."""
        return self.state.status

    @property
    def events(self) -> list[str]:
        """Name all events so far."""
        return [event_name(event) for transition in self.log for event in transition.events]

    def action(self, step: str) -> EffortStatus:
        """Give where a step stands."""
        return self.state.step(step).action.status

    def undo(self, step: str) -> EffortStatus | None:
        """Give where the undo of a step stands."""
        undo = self.state.step(step).undo
        return None if undo is None else undo.status

    def starts(self) -> "Scenario":
        """Deliver the start message."""
        return self.receives(inputs.StartRequested())

    def completes(self, step: str, output: Json = None, *, attempt: int | None = None) -> "Scenario":
        """Answer a step's command by success; the latest attempt unless another is named."""
        return self._succeeds(Direction.ACTION, step, output, attempt)

    def undoes(self, step: str, output: Json = None, *, attempt: int | None = None) -> "Scenario":
        """Answer an undo by success."""
        return self._succeeds(Direction.COMPENSATION, step, output, attempt)

    def fails(
        self, step: str, code: str = "broken", *, attempt: int | None = None, **more: object
    ) -> "Scenario":
        """Answer a step's command by failure; retryable unless said otherwise."""
        return self._fails(Direction.ACTION, step, code, attempt, more)

    def fails_for_good(self, step: str) -> "Scenario":
        """Answer a step's command by a failure that is not worth another try."""
        return self._fails(Direction.ACTION, step, "refused", None, {"retryable": False})

    def fails_to_undo(self, step: str, **more: object) -> "Scenario":
        """Answer an undo by failure."""
        return self._fails(Direction.COMPENSATION, step, "broken", None, more)

    def reports_progress(self, step: str, percent: float | None = None) -> "Scenario":
        """Say that a step is still at work."""
        attempt = self._latest(Direction.ACTION, step)
        return self.receives(inputs.ProgressReceived(Direction.ACTION, step, attempt, percent, None))

    def verifies(self, step: str, output: Json = None, *, attempt: int | None = None) -> "Scenario":
        """Answer a question: the attempt that it is about took effect."""
        return self._succeeds(Direction.VERIFY, step, output, attempt)

    def finds_nothing(self, step: str, *, attempt: int | None = None) -> "Scenario":
        """Answer a question: the attempt that it is about had no effect, and never will."""
        return self._fails(Direction.VERIFY, step, "not_found", attempt, {})

    def cant_tell(self, step: str, *, attempt: int | None = None, **more: object) -> "Scenario":
        """Answer a question by a failure, which is no answer."""
        return self._fails(Direction.VERIFY, step, "busy", attempt, more)

    def is_asked(self, action: str, step: str | None = None, **more: object) -> "Scenario":
        """Let a person ask for an action; each request has an id of its own unless one is given."""
        self._asked += 1
        request_id = str(more.pop("request_id", f"request-{self._asked}"))
        output = to_text(cast("Json", more.pop("output"))) if "output" in more else None
        request = inputs.OperatorRequested(
            OperatorAction(action), "because", "ada", request_id, step, output,
            **more,  # type: ignore[arg-type]  # words of a test
        )  # fmt: skip
        return self.receives(request)

    def migrates(self, steps: str, *, head: str = "", **more: object) -> "Scenario":
        """Let a person move the process to the version of its saga with these steps."""
        self._asked += 1
        version = compile_graph(parse_definition(saga_text(steps, head=head), source="test"))
        return self.receives(
            inputs.MigrationRequested(
                "newer", version, "because", "ada", f"request-{self._asked}",
                **more,  # type: ignore[arg-type]  # words of a test
            )
        )  # fmt: skip

    def gets_lock(self, key: str) -> "Scenario":
        """Let the keeper of the locks give a key."""
        return self.receives(inputs.LockAnswered(key, inputs.LockAnswer.HELD, self.process_id))

    def is_told_of_lock(self, answer: str, key: str, holder: str = "other") -> "Scenario":
        """Let the keeper say that somebody else has a key, and what that means."""
        return self.receives(inputs.LockAnswered(key, inputs.LockAnswer(answer), holder))

    def holder_ends(self, status: str, result: Json = None, *, holder: str = "other") -> "Scenario":
        """Let the process end that this one joined."""
        text = None if result is None else to_text(result)
        return self.receives(inputs.HolderEnded(holder, status, text))

    def waits(self, milliseconds: int) -> "Scenario":
        """Let time pass without anything happening."""
        self.now += milliseconds
        return self

    @property
    def has_timer(self) -> bool:
        """Say whether a timer is set."""
        return next_wake(self.graph, self.state) is not None

    def next_timer_fires(self) -> "Scenario":
        """Move time to the earliest timer and fire it."""
        wake = next_wake(self.graph, self.state)
        assert wake is not None, "no timer is set"
        self.now = max(self.now, wake.at)
        return self.receives(inputs.WokenUp(self.state.version, wake.at))

    def passes(self, milliseconds: int) -> "Scenario":
        """Let time pass, and fire each timer when it is due."""
        until = self.now + milliseconds
        while (wake := next_wake(self.graph, self.state)) is not None and wake.at <= until:
            version = self.state.version
            self.next_timer_fires()
            if self.state.version == version:
                break  # it only looks after something; the news of it comes by itself
        self.now = until
        return self

    def receives(self, message: inputs.Input) -> "Scenario":
        """Deliver a message, then deliver it again, which must change nothing."""
        decision = decide(self.graph, self.state, message, self.now, self._survey)
        self.graph = decision.graph
        self._record(decision.events, type(message).__name__)
        self._survey = decision.seen
        if self.checks_log:
            assert _facts(decision.seen) == _facts(survey(self.graph, self.state)), "the survey went astray"
        again = decide(self.graph, self.state, message, self.now, decision.seen)
        assert again.events == (), f"{message} is no duplicate"
        return self

    def expect_commands(self, *expected: str) -> "Scenario":
        """Check the commands sent since the last look, in any order: `step.a1`, `step.c2`."""
        fresh = [
            command.command_id.removeprefix(f"{self.process_id}.") for command in self.sent[self._seen :]
        ]
        self._seen = len(self.sent)
        assert sorted(fresh) == sorted(expected)
        return self

    def expect_rejected(self, why: str) -> "Scenario":
        """Check that the latest request was rejected, for a reason that holds these words."""
        rejected = self.log[-1].events[-1]
        assert isinstance(rejected, OperatorRejected | MigrationRejected), rejected
        assert why in rejected.why
        return self

    def body(self, command: str) -> dict[str, Any]:
        """Give the body of a command that was sent, by its short name: `step.a1`."""
        bodies = {sent.command_id.removeprefix(f"{self.process_id}."): sent.body for sent in self.sent}
        return cast("dict[str, Any]", json.loads(bodies[command]))

    def output(self, step: str) -> Json:
        """Give the output of a step."""
        text = self.state.step(step).action.output
        return None if text is None else from_text(text)

    def error(self, step: str) -> dict[str, Any]:
        """Give the error of a step."""
        return cast("dict[str, Any]", from_text(self.state.step(step).action.error or "{}"))

    def expect_status(self, expected: str) -> "Scenario":
        """Check the status of the process."""
        assert str(self.status) == expected
        return self

    def _succeeds(self, direction: Direction, step: str, output: Json, attempt: int | None) -> "Scenario":
        number = attempt or self._latest(direction, step)
        return self.receives(inputs.SuccessReceived(direction, step, number, to_text(output)))

    def _fails(
        self, direction: Direction, step: str, code: str, attempt: int | None, more: dict[str, object]
    ) -> "Scenario":
        number = attempt or self._latest(direction, step)
        error = JsonText(f'{{"code":"{code}"}}')
        return self.receives(
            inputs.FailureReceived(direction, step, number, code, error, **more)  # type: ignore[arg-type]  # words of a test
        )

    def _latest(self, direction: Direction, step: str) -> int:
        effort = self.state.effort(direction, step)
        assert effort is not None
        assert effort.attempts, f"{step} was never sent"
        return len(effort.attempts)

    def _record(self, events: tuple[Event, ...], cause: str) -> None:
        if not events:
            return
        first = 1 if self._state is None else self._state.version + 1
        at = self.now if self._state is None else max(self.now, self._state.updated_at)
        for event in events:
            self._state = evolve(self._state, event, at=at, process_id=self.process_id)
        commands = effects(self.graph, self.state, events)
        transition = Transition(
            self.process_id, first, events, commands, Cause(cause, cause, "{}"), at, "test", str(first)
        )
        self.log.append(transition)
        self.sent.extend(commands)
        if self.checks_log:
            self.check_log()

    def check_log(self) -> "Scenario":
        """Check that what is stored reads back: the latest transition, the state by log and by snapshot."""
        assert decode_transition(encode_transition(self.log[-1])) == self.log[-1]
        assert fold(self.log) == self.state
        assert from_snapshot(to_snapshot(self.state)) == self.state
        return self


def _facts(seen: Survey) -> dict[str, object]:
    """Give all that a survey says, for a comparison; where the search for the next instance begins is free."""
    facts = {name: getattr(seen, name) for name in Survey.__slots__}
    counts = {name: (one.actions, one.undos) for name, one in seen.by_step.items()}
    return {**facts, "by_step": counts}


def saga_text(steps: str, *, head: str = "") -> str:
    """Write a whole definition around steps in YAML."""
    return f"process_type: test_saga\nretry: {{attempts: 3, backoff: 1, jitter: 0}}\n{head}\nsteps:\n{steps}"
