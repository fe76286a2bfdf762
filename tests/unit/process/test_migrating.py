"""Moving a process to another version of its definition: what fits, what does not, and what follows."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saga.definition.graph import compile_graph
from saga.definition.model import SagaDefinition
from saga.messages.json_text import to_text
from saga.process import inputs
from saga.process.events import Accepted, Migrated
from saga.process.fitting import misfits
from saga.process.migrating import why_not_migrated
from saga.process.status import ProcessStatus
from tests.support.scenario import Scenario
from tests.unit.process.drawn import PARAMETERS, Fortune, all_words

HOTEL = "- {name: hotel, service: hotel, action: book, compensation: cancel}"
CAR = "- {name: car, service: cars, action: rent, compensation: give_back, after: [hotel]}"
PAYMENT = "- {name: payment, service: payment, action: charge, compensation: refund, after: [hotel]}"
STEPS = f"{HOTEL}\n{PAYMENT}"


def booked() -> Scenario:
    """Give a process that booked a hotel and waits for the payment."""
    return Scenario.of(STEPS).starts().completes("hotel", {"room": 7})


def test_a_process_goes_on_by_the_version_that_it_was_moved_to() -> None:
    """What is under way keeps its attempt; a step that is new begins; the log says who, why, from and to."""
    story = booked()
    due_at = story.state.step("payment").action.attempts[0].due_at
    story.expect_commands("hotel.a1", "payment.a1")
    after = "- {name: mail, service: mail, action: send, compensation: none, after: [payment, car]}"
    story.migrates(f"{STEPS}\n{CAR}\n{after}", head="timeout: 5")
    story.expect_commands("car.a1")
    migrated = next(event for event in story.log[-1].events if isinstance(event, Migrated))
    assert (migrated.from_hash, migrated.definition_hash) == ("hash", "newer")
    assert (migrated.actor, migrated.reason) == ("ada", "because")
    assert story.state.origin.definition_hash == "newer"
    assert story.state.step("payment").action.attempts[0].due_at == due_at
    story.completes("payment").completes("car").expect_commands("mail.a1")
    story.completes("mail").expect_status("completed")


def test_a_step_that_the_version_leaves_out_is_not_done() -> None:
    """It had not begun; all that was left is done already."""
    story = Scenario.of(f"{STEPS}\n- {{name: mail, service: m, action: send, compensation: none}}").starts()
    story.completes("hotel").migrates(STEPS).completes("payment").expect_status("completed")


def test_what_is_undone_is_undone_by_the_version() -> None:
    """Another action undoes the hotel, once the process turns back."""
    other = HOTEL.replace("cancel", "cancel_for_free")
    story = booked().migrates(f"{other}\n{PAYMENT}").fails_for_good("payment")
    assert story.body("hotel.c1")["action"] == "cancel_for_free"


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (PAYMENT.replace("after: [hotel]", "after: []"), "step hotel is completed, and the version does not"),
        (
            "- {name: hotel, signal: true}\n" + PAYMENT,
            "step hotel is completed as a service, and the version",
        ),
        (f"{HOTEL}\n{CAR}\n{PAYMENT.replace('[hotel]', '[car]')}", "step payment began before car"),
        (
            f"{HOTEL.replace('}', ', after: [payment]}')}\n{PAYMENT.replace('[hotel]', '[]')}".replace(
                "- {name: hotel", "- {name: hotel"
            ),
            "step hotel began before payment",
        ),
        (STEPS.replace("service: hotel", "service: inn"), "step hotel is completed by hotel, and inn has it"),
        (STEPS.replace("cancel}", "cancel, pivot: true}"), "step hotel is completed before the pivot"),
        (STEPS.replace("cancel}", "cancel, for_each: parameters.x}"), "runs once per item in the version"),
        (STEPS.replace("service: payment", "service: bank"), "step payment is running by payment, and bank"),
    ],
)
def test_a_version_that_does_not_fit_is_refused_with_the_step_and_the_reason(steps: str, why: str) -> None:
    """Nothing changes but that the log says so; the process ends by its own version."""
    story = booked()
    story.waits(1_000)
    story.migrates(steps).expect_rejected(why)
    assert story.state.origin.definition_hash == "hash"
    story.completes("payment").expect_status("completed")


def test_an_undo_that_is_planned_must_be_there() -> None:
    """The payment failed, and the hotel is being cancelled."""
    story = booked().fails_for_good("payment")
    story.migrates(STEPS.replace("compensation: cancel", "compensation: none"))
    story.expect_rejected("step hotel is to be undone, and has no compensation in the version")


def test_an_undo_that_overtook_another_is_refused() -> None:
    """Both were done beside each other; the version would have had the car undone before the hotel."""
    side_by_side = f"{HOTEL}\n{CAR.replace('[hotel]', '[]')}"
    last = "- {name: last, service: s, action: do, compensation: none, after: [hotel, car]}"
    story = Scenario.of(f"{side_by_side}\n{last}").starts()
    story.completes("hotel").completes("car").fails_for_good("last").undoes("hotel")
    story.migrates(f"{HOTEL}\n{CAR}\n{last}").expect_rejected("step hotel is undone before car")


def test_the_locks_must_be_the_same() -> None:
    """They were taken before the first step."""
    head = "locks: [\"'a'\"]"
    story = Scenario.of(STEPS, head=head).starts().gets_lock("a")
    story.migrates(STEPS).expect_rejected("it took the locks a, and the version asks for no lock")
    story.migrates(STEPS, head=head.replace("'a'", "'b'")).expect_rejected("asks for the locks b")
    story.migrates(f"{STEPS}\n{CAR}", head=head)
    assert story.state.origin.definition_hash == "newer"


def test_an_expression_that_fails_at_once_is_refused() -> None:
    """The step could begin now, and can't be told what with."""
    car = CAR.replace("after:", "input: {x: abs(results.hotel.room)}, after:")
    story = Scenario.of(STEPS).starts().completes("hotel", {"room": "seven"})
    story.migrates(f"{STEPS}\n{car}").expect_rejected("step car can't begin by the version")


def test_what_is_wrong_whatever_the_state_is_said() -> None:
    """A version of other parameters, that of another type, and the one that it has."""
    story = booked().migrates(STEPS, problems=("/nights is missing",)).expect_rejected("/nights is missing")
    state, graph = story.state, story.graph
    stranger = compile_graph(SagaDefinition.model_validate(_definition("other")))
    assert "and the version is of other" in str(misfits(graph, stranger, state)[0])
    same = inputs.MigrationRequested("hash", graph, "", "ada", "r")
    assert str(*why_not_migrated(graph, state, same, 0)) == "it has this version already"
    story.completes("payment").migrates(STEPS).expect_rejected("it is completed")


def test_a_paused_process_is_moved_and_stays_paused() -> None:
    """What is new begins when it goes on."""
    story = booked().is_asked("pause")
    story.expect_commands("hotel.a1", "payment.a1").migrates(f"{STEPS}\n{CAR}").expect_commands()
    story.is_asked("resume").expect_commands("car.a1")


def test_processes_that_the_version_starts_are_pinned() -> None:
    """Those that were pinned before stay as they are."""
    child = "- {name: child, process: child, timeout: 5, after: [hotel]}"
    story = Scenario.of(STEPS, children={"old": "kept"}).starts().completes("hotel")
    story.migrates(f"{STEPS}\n{child}", children={"child": "pinned", "old": "newer"})
    assert story.body("child.a1")["definition"] == "pinned"
    assert dict(story.state.origin.children) == {"old": "kept", "child": "pinned"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_words(), st.data())
def test_the_version_that_a_process_has_always_fits_it(
    definition: SagaDefinition, data: st.DataObject
) -> None:
    """Wherever it stands, and whatever happened to it."""
    fortune = _drawn(definition, data)
    for _ in range(data.draw(st.integers(0, 25))):
        fortune.anything()
        assert misfits(fortune.story.graph, fortune.story.graph, fortune.story.state) == ()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(all_words(), all_words(), st.data())
def test_a_process_that_was_moved_to_a_version_that_fits_comes_to_its_end(
    definition: SagaDefinition, version: SagaDefinition, data: st.DataObject
) -> None:
    """No message makes a decision fail afterwards."""
    fortune = _drawn(definition, data)
    for _ in range(data.draw(st.integers(0, 15))):
        fortune.anything()
    story = fortune.story
    story.receives(inputs.MigrationRequested("newer", compile_graph(version), "", "ada", "r"))
    moved = _Unjudged(data, story)
    moved.receive(inputs.StartRequested())
    for _ in range(400):
        if not moved.go_well():
            break
    assert story.state.status.is_ended
    if story.state.status is ProcessStatus.COMPLETED and story.state.joined_to is None:
        done = story.graph.nodes
        assert all(story.action(node.name).value in {"done", "skipped"} for node in done)


class _Unjudged(Fortune):
    """Let what happens to a process happen without the outsider, who knows of one version only."""

    def receive(self, message: inputs.Input) -> None:
        """Deliver a message; the story checks the log, the snapshot and the duplicate of it."""
        self.story.receives(message)


def _drawn(definition: SagaDefinition, data: st.DataObject) -> Fortune:
    accepted = Accepted(
        "drawn", "hash", to_text(PARAMETERS), {}, "request", "", None, None,
        parent="p0.c.a1", children={"child": "hash of child"},
    )  # fmt: skip
    return Fortune(data, Scenario(compile_graph(definition)).accepts(accepted))


def _definition(process_type: str) -> dict[str, object]:
    step = {"name": "hotel", "service": "hotel", "action": "book", "compensation": "none"}
    return {"process_type": process_type, "steps": [step]}
