"""Draw definitions with all words of the language, and what happens to their processes."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from saga.definition.model import SagaDefinition
from saga.definition.sources import checked
from saga.errors import InvalidDefinition
from saga.messages.json_text import Json, JsonText, to_text
from saga.process import inputs
from saga.process.advance import stuck_efforts
from saga.process.draft import Draft
from saga.process.status import Direction, OperatorAction, ProcessStatus
from saga.process.timers import next_wake
from saga.testing.explore_rules import Rules
from saga.testing.explore_witness import Witness
from tests.support.scenario import Scenario

_CONDITIONS = (None, None, None, "parameters.yes", "parameters.no", "parameters.text")
_INPUTS: tuple[Json, ...] = (None, None, None, {"n": "parameters.n"}, {"n": "abs(parameters.text)"})
_LISTS = ("parameters.none", "parameters.one", "parameters.some", "parameters.some", "parameters.text")
PARAMETERS: Json = {"yes": True, "no": False, "text": "x", "n": 1, "none": [], "one": [1], "some": [1, 2, 3]}
_OUTPUTS = ("1", '{"nothing_to_undo":true}', "null")


@st.composite
def all_words(draw: st.DrawFn) -> SagaDefinition:
    """Draw a saga of up to five steps; what the checks would refuse is left out of it."""
    count = draw(st.integers(1, 5))
    pivot = draw(st.none() | st.integers(0, count - 1))
    steps = [_step(draw, index, is_pivot=index == pivot) for index in range(count)]
    head: dict[str, Json] = {"process_type": "drawn", "timeout": 5}
    if draw(st.booleans()):
        head["deadline"] = draw(st.sampled_from([5, 20, 60, 200]))
    if draw(st.integers(0, 3)) == 0:
        head |= {"locks": ["parameters.text", "parameters.n"], "on_locked": "wait"}
    if draw(st.integers(0, 3)) == 0:
        head["result"] = {"n": draw(st.sampled_from(["parameters.n", "abs(parameters.text)"]))}
    for left_out in ({"deadline"}, {"deadline", "pivot"}):
        try:
            return _checked(head, steps)
        except InvalidDefinition:
            head = {key: value for key, value in head.items() if key not in left_out}
            steps = [{key: value for key, value in step.items() if key not in left_out} for step in steps]
    return _checked(head, steps)


def _checked(head: dict[str, Json], steps: list[dict[str, Json]]) -> SagaDefinition:
    return checked(SagaDefinition.model_validate({**head, "steps": steps}), source="drawn")


def _step(draw: st.DrawFn, index: int, *, is_pivot: bool) -> dict[str, Json]:
    earlier = [f"s{before}" for before in range(index)]
    after: list[str] = []
    if earlier:
        after = draw(st.lists(st.sampled_from(earlier), unique=True))
    step: dict[str, Json] = {"name": f"s{index}", "after": list[Json](after)}
    kind = draw(st.sampled_from(["service", "service", "service", "service", "signal", "process"]))
    retry: Json = {"attempts": draw(st.integers(1, 3)), "backoff": 1, "jitter": 0}
    match kind:
        case "signal":
            step["signal"] = True
        case "process":
            step |= {"process": "child", "retry": retry}
        case _:
            step |= {"service": "s", "action": "do", "retry": retry}
            undo: Json = {"action": "undo", "retry": {"attempts": 2, "backoff": 1}}
            step["compensation"] = "none" if draw(st.integers(0, 2)) == 0 else undo
            if draw(st.integers(0, 2)) == 0:
                step["verify"] = {
                    "action": "look", "fences": draw(st.booleans()), "retry": {"attempts": 2, "backoff": 1},
                }  # fmt: skip
    if draw(st.booleans()) and after:
        step["join"] = draw(st.sampled_from(["any", len(after)]))
    condition = draw(st.sampled_from(_CONDITIONS))
    if condition is not None:
        step["when"] = condition
    if is_pivot:
        step["pivot"] = True
    elif kind != "signal" and draw(st.integers(0, 3)) == 0:
        step |= {"for_each": draw(st.sampled_from(_LISTS)), "at_once": draw(st.integers(1, 3))}
    mapped = draw(st.sampled_from(_INPUTS))
    if kind != "signal" and mapped is not None:
        step["input"] = mapped
    return step


@dataclass
class Fortune:
    """One process, what is drawn to happen to it, and an outsider who judges each transition by the log."""

    data: st.DataObject
    story: Scenario
    witness: Witness = field(default_factory=Witness)
    _judged: int = 1

    def receive(self, message: inputs.Input) -> None:
        """Deliver a message; the story checks the log, the snapshot and the duplicate of it."""
        before = self.story.status
        self.story.receives(message)
        rules = Rules(self.story.graph)
        for transition in self.story.log[self._judged :]:
            self.witness = rules.follow(self.witness, before, transition, self.story.status)
        self._judged = len(self.story.log)

    def anything(self) -> None:
        """Let one of all the things happen that could."""
        moves = ["reply", "reply", "reply", "reply", "timer", "timer", "request", "lock", "start"]
        match self.data.draw(st.sampled_from(moves)):
            case "reply":
                self._reply()
            case "timer":
                self._fire()
            case "request":
                self._request()
            case "lock":
                key = self.data.draw(st.sampled_from(["x", "1", "unheard"]))
                answer = self.data.draw(st.sampled_from([*inputs.LockAnswer, inputs.LockAnswer.HELD]))
                self.receive(inputs.LockAnswered(key, answer, "other"))
            case _:
                self.receive(inputs.StartRequested(is_paused=self.data.draw(st.booleans())))

    def go_well(self) -> bool:
        """Let what is awaited come, and a person help where one is needed; False where nothing is awaited."""
        state = self.story.state
        if state.status.is_ended:
            return False
        awaited = [reply for reply in self._unanswered(only_latest=True) if self._is_awaited(*reply)]
        wake = next_wake(self.story.graph, state)
        lock = next((lock.key for lock in state.locks or () if not lock.is_held), None)
        if state.status is ProcessStatus.PAUSED:
            self._ask(OperatorAction.RESUME, None)
        elif awaited:
            direction, step, attempt = awaited[0]
            self.receive(inputs.SuccessReceived(direction, step, attempt, JsonText("2")))
        elif state.joined_to is not None:
            self.receive(inputs.HolderEnded(state.joined_to, ProcessStatus.COMPLETED, None))
        elif lock is not None and state.is_taken and not state.is_going_back:
            self.receive(inputs.LockAnswered(lock, inputs.LockAnswer.HELD, self.story.process_id))
        elif state.status is ProcessStatus.SUSPENDED:
            self._help()
        else:
            assert wake is not None, f"nobody is awaited, and no timer is set: {self.story.events}"
            self._fire()
        return True

    def _help(self) -> None:
        state = self.story.state
        draft = Draft(self.story.graph, state, self.story.now)
        direction, step = next(stuck_efforts(draft))
        effort = state.effort(direction, step)
        was_sent = effort is not None and effort.attempts
        # What was never sent, because its command can't be built, can only be skipped.
        self._ask(OperatorAction.RETRY if was_sent else OperatorAction.SKIP, step)

    def _reply(self) -> None:
        replies = self._unanswered(only_latest=False)
        if not replies:
            return
        direction, step, attempt = self.data.draw(st.sampled_from(replies))
        word = self.data.draw(
            st.sampled_from(["ok", "ok", "failed", "refused", "open", "nothing", "progress"])
        )
        if word == "ok":
            output = JsonText(self.data.draw(st.sampled_from(_OUTPUTS)))
            self.receive(inputs.SuccessReceived(direction, step, attempt, output))
        elif word == "progress":
            self.receive(inputs.ProgressReceived(direction, step, attempt, None, None))
        else:
            code = "not_found" if word == "nothing" else "broken"
            error = to_text({"code": code, "retryable": word != "refused"})
            self.receive(
                inputs.FailureReceived(
                    direction, step, attempt, code, error,
                    retryable=word != "refused", effect_unknown=word == "open",
                )
            )  # fmt: skip

    def _request(self) -> None:
        action = self.data.draw(st.sampled_from(OperatorAction))
        steps: list[str | None] = [None, *self.story.state.steps, "unheard"]
        self._ask(action, self.data.draw(st.sampled_from(steps)))

    def _ask(self, action: OperatorAction, step: str | None) -> None:
        outcome = self.data.draw(st.sampled_from(["completed", "failed"])) if action == "resolve" else None
        request_id = f"request-{len(self.story.log)}"
        self.receive(inputs.OperatorRequested(action, "why", "ada", request_id, step, JsonText("3"), outcome))

    def _fire(self) -> None:
        wake = next_wake(self.story.graph, self.story.state)
        if wake is not None:
            self.story.now = max(self.story.now, wake.at)
            self.receive(inputs.WokenUp(self.story.state.version, wake.at))

    def _unanswered(self, *, only_latest: bool) -> list[tuple[Direction, str, int]]:
        return [
            (direction, name, attempt.number)
            for name in self.story.state.steps
            for direction in Direction
            if (effort := self.story.state.effort(direction, name)) is not None
            for attempt in effort.attempts[-1 if only_latest else 0 :]
            if not attempt.replies
        ]

    def _is_awaited(self, direction: Direction, step: str, attempt: int) -> bool:
        effort = self.story.state.effort(direction, step)
        return effort is not None and effort.status.value == "running" and attempt == len(effort.attempts)
