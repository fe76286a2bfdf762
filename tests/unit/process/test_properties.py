"""Properties of the machine over generated sagas and generated fortunes of their steps."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from saga.definition.graph import nodes_in
from saga.definition.model import SagaDefinition
from saga.definition.sources import checked
from saga.messages.json_text import JsonText
from saga.process import inputs
from saga.process.state import Effort, ProcessState
from saga.process.status import AttemptOutcome, Direction, EffortStatus, ProcessStatus
from saga.process.timers import next_wake
from tests.support.scenario import Scenario

ENDS = (ProcessStatus.COMPLETED, ProcessStatus.COMPENSATED, ProcessStatus.SUSPENDED)
STEPS_LIMIT = 400


@st.composite
def sagas(draw: st.DrawFn) -> SagaDefinition:
    """Draw a saga of up to six steps with any forward edges, perhaps with a pivot."""
    count = draw(st.integers(1, 6))
    pivot = draw(st.none() | st.integers(0, count - 1))
    steps: list[dict[str, object]] = []
    for index in range(count):
        names = [f"s{earlier}" for earlier in range(index)]
        step: dict[str, object] = {
            "name": f"s{index}",
            "service": "one",
            "action": "do",
            "after": draw(st.lists(st.sampled_from(names), unique=True)) if names else [],
            "compensation": draw(st.sampled_from(["undo", "undo", "undo", "none"])),
            "retry": {"attempts": draw(st.integers(1, 3)), "backoff": 0.1},
        }
        if index == pivot:
            step["pivot"] = True
        steps.append(step)
    definition = SagaDefinition.model_validate({"process_type": "drawn", "steps": steps})
    return checked(definition, source="drawn")


@dataclass
class Run:
    """One process under a fortune that hypothesis draws, with what an outsider would note."""

    data: st.DataObject
    story: Scenario
    undone: list[str] = field(default_factory=list)

    def to_its_end(self) -> ProcessState:
        """Let replies and timers come in any order until nothing is open."""
        self.story.starts()
        for _ in range(STEPS_LIMIT):
            if not self._one_move():
                return self.story.state
        raise AssertionError(f"no end after {STEPS_LIMIT} moves: {self.story.events}")

    def _one_move(self) -> bool:
        open_commands = list(self._open())
        has_timer = next_wake(self.story.graph, self.story.state) is not None
        moves: list[tuple[Direction, str, int] | str] = [*open_commands, *(["timer"] if has_timer else [])]
        if not moves:
            return False
        move = self.data.draw(st.sampled_from(moves))
        if isinstance(move, str):
            self.story.next_timer_fires()
            return True
        direction, step, attempt = move
        word = self.data.draw(st.sampled_from(["ok", "ok", "ok", "failed", "refused", "lost effect"]))
        if word == "ok":
            self.story.receives(inputs.SuccessReceived(direction, step, attempt, JsonText("1")))
            # The first acknowledgement counts; one of another attempt is only observed.
            if direction is Direction.COMPENSATION and step not in self.undone:
                self.undone.append(step)
        else:
            self.story.receives(
                inputs.FailureReceived(
                    direction, step, attempt, "broken", JsonText('{"code":"broken"}'),
                    retryable=word != "refused", effect_unknown=word == "lost effect",
                )
            )  # fmt: skip
        return True

    def _open(self) -> list[tuple[Direction, str, int]]:
        return [
            (direction, name, attempt.number)
            for name, step in self.story.state.steps.items()
            for direction, effort in ((Direction.ACTION, step.action), (Direction.COMPENSATION, step.undo))
            for attempt in (effort.attempts if effort else ())
            if not attempt.replies
        ]


@settings(max_examples=300, deadline=None)
@given(sagas(), st.data())
def test_every_process_ends_or_waits_for_a_person_and_keeps_the_rules(
    definition: SagaDefinition, data: st.DataObject
) -> None:
    """Whatever happens, the end is right: nothing stranded, nothing undone out of order or forgotten."""
    run = Run(data, Scenario.of_definition(definition))
    state = run.to_its_end()
    assert state.status in ENDS
    if state.status is ProcessStatus.COMPLETED:
        assert all(step.action.status is EffortStatus.DONE for step in state.steps.values())
        assert len(state.steps) == len(definition.steps)
    if state.status is ProcessStatus.COMPENSATED:
        _assert_everything_is_undone(run, state)
    _assert_order_of_undoing(run)
    _assert_budgets(run, state)


def _assert_everything_is_undone(run: Run, state: ProcessState) -> None:
    for name, step in state.steps.items():
        happened = step.action.status in (EffortStatus.DONE, EffortStatus.UNKNOWN)
        if happened and run.story.graph.by_name[name].compensation is not None:
            assert step.undo is not None
            assert step.undo.status is EffortStatus.DONE
        pivot_went_through = run.story.graph.by_name[name].pivot and step.action.status is EffortStatus.DONE
        assert not pivot_went_through, "nothing turns back once the pivot completed"


def _assert_order_of_undoing(run: Run) -> None:
    """A step is undone only after everything in the plan that comes after it, late comers aside."""
    late = _late_steps(run)
    position = {name: index for index, name in enumerate(run.undone)}
    for node in run.story.graph.nodes:
        for later in (other.name for other in nodes_in(run.story.graph, node.descendants)):
            if node.name in position and later in position and later not in late:
                assert position[later] < position[node.name]


def _late_steps(run: Run) -> set[str]:
    planned = [
        set(event.steps)
        for transition in run.story.log
        for event in transition.events
        if type(event).__name__ == "CompensationPlanned" and hasattr(event, "steps")
    ]
    return set().union(*planned[1:]) if planned else set()


def _assert_budgets(run: Run, state: ProcessState) -> None:
    ids = [command.command_id for command in run.story.sent]
    assert len(ids) == len(set(ids)), "one attempt is one command"
    for name, step in state.steps.items():
        node = run.story.graph.by_name[name]
        assert len(step.action.attempts) <= node.action.retry.attempts
        assert _accepted(step.action) <= 1
        if step.undo is not None and node.compensation is not None:
            assert len(step.undo.attempts) <= node.compensation.retry.attempts
            assert _accepted(step.undo) <= 1


def _accepted(effort: Effort) -> int:
    return sum(attempt.outcome is AttemptOutcome.COMPLETED for attempt in effort.attempts)
