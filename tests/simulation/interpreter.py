"""An independent, simple interpreter of sagas: fed the messages in the log's order, it says where a process is.

It reads the written definition and the plain documents of the log, and shares no code with the machine: no
masks, no drafts, no frozen states, only the rules of the language in the most naive form. Of the events it
believes only what nobody can compute: which timers went off, and what a person asked for.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.simulation.following import ENDED, OPEN, SETTLED, Effort, Following, reads
from tests.simulation.written import ACTION, UNDO, VERIFY, base_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMAND = re.compile(r"[^.]+\.(?P<step>[a-z0-9_]+)(?:\.(?P<index>\d+))?\.(?P<way>[acv])(?P<attempt>\d+)")
_WAYS = {"a": ACTION, "c": UNDO, "v": VERIFY}
_HALTED = ("suspended", "paused")
_RUNNING = ("started", "compensating")


class Interpreter(Following):
    """Follow one process."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        super().__init__(definition)
        self.problems: list[str] = []
        self.accepted_at = 0
        self._begun = False
        self._deadline_passed = False
        self._stood_since: int | None = None
        self._stood_still_ms = 0
        self._requests: set[str] = set()

    def feed(self, document: Mapping[str, Any]) -> None:
        """Take one transition: what came in, then what must follow."""
        self.started, self.cancelled, self.problems = [], [], []
        self.now = document["at"]
        was_stopped = self.status in _HALTED
        cause, events = document["cause"], document["events"]
        for event in events:
            if event["type"] == "accepted":
                self.parameters, self.accepted_at = json.loads(event["parameters"]), document["at"]
            elif event["type"] == "started":
                self._begun = True
            elif event["type"] == "paused" and cause["kind"] == "start":
                self.status = "paused"
        if cause["kind"] == "reply":
            self._take_reply(cause["identity"], json.loads(cause["body"]))
        elif cause["kind"] == "lock":
            self._take_lock(json.loads(cause["body"]))
        elif cause["kind"] == "wake":
            for event in events:
                self._take_timer(event, document["at"])
        elif cause["kind"] == "control":
            self._take_request(next(event for event in events if "request_id" in event))
        if self._begun:
            self.follow()
        self._tell_time(document["at"], was_stopped=was_stopped)

    def _tell_time(self, at: int, *, was_stopped: bool) -> None:
        """Count for how long the deadline does not run."""
        is_stopped = self.status in _HALTED
        if self._stood_since is not None and (not is_stopped or not was_stopped):
            self._stood_still_ms += at - self._stood_since
            self._stood_since = None
        if is_stopped and self._stood_since is None:
            self._stood_since = at

    # Replies

    def _take_reply(self, identity: str, said: Mapping[str, Any]) -> None:
        command_id, _, word = identity.rpartition(":")
        match = _COMMAND.fullmatch(command_id)
        assert match is not None
        name = match["step"] if match["index"] is None else f"{match['step']}[{match['index']}]"
        way, attempt = _WAYS[match["way"]], int(match["attempt"])
        if word == "completed":
            self._complete_one(way, name, attempt, said.get("output"))
        elif word == "failed":
            self._fail(way, name, attempt, said.get("error") or {})

    def _complete_one(self, way: str, name: str, attempt: int, output: Any) -> None:
        effort = self.efforts(way)[name]
        if self.status == "failed":
            return  # given up as it stands
        if way == ACTION:
            self._complete_action(name, effort, output)
        elif way == UNDO:
            self._complete_undo(name, effort, attempt, output)
        else:
            if effort.status in OPEN:
                effort.status = "done"
            action = self.actions[name]
            if action.status in (*OPEN, "unknown"):
                self._complete_action(name, action, output)

    def _complete_undo(self, name: str, undo: Effort, attempt: int, output: Any) -> None:
        found_nothing = isinstance(output, dict) and output.get("nothing_to_undo") is True
        action = self.actions[name]
        # It may have come before the action that it undoes: then that is still there.
        was_before = undo.began_at[attempt] < action.done_at
        came_first = found_nothing and action.status == "done" and was_before
        if undo.status in SETTLED or (came_first and attempt != undo.sent):
            return
        undo.status, undo.found_nothing = "done", found_nothing
        if came_first:
            self.plan(name)

    def _complete_action(self, name: str, action: Effort, output: Any) -> None:
        needs_undo = self._needs_undo(name)
        if action.status == "done":
            return
        if action.status == "skipped" and not (self.going_back and needs_undo):
            action.happened = True
            return
        if self.status in ENDED and action.status not in OPEN:
            if self.status != "compensated" or not needs_undo:
                return
            self.status = "compensating"
        self._done(name, output)
        if needs_undo:
            self._plan_late(name)

    def _plan_late(self, name: str) -> None:
        self.plan(name)
        for other, undo in self.undos.items():
            if undo.status == "retrying" and base_of(other) in self.written.before[base_of(name)]:
                undo.status = "pending"  # it waits for the one that came late

    def _done(self, name: str, output: Any) -> None:
        self.actions[name].output, self.actions[name].done_at = output, self.now
        self.settle(name, "done")

    def _needs_undo(self, name: str) -> bool:
        if not self.planned or not self.written.has_undo(name):
            return False
        undo = self.undos.get(name)
        if undo is not None and undo.status == "skipped":
            return self.actions[name].status == "failed"  # a person had said so, and was wrong
        return undo is None or (undo.status == "done" and undo.found_nothing)

    def _fail(self, way: str, name: str, attempt: int, error: Mapping[str, Any]) -> None:
        effort = self.efforts(way)[name]
        is_unknown = error.get("effect_unknown") is True
        code, may_retry = error.get("code", "failed"), error.get("retryable") is not False
        is_over = self.status in ENDED or attempt != effort.sent
        is_awaited = effort.status == "running" or (effort.status == "verifying" and not is_unknown)
        if is_over or not is_awaited:
            if effort.status in OPEN and not is_unknown:
                effort.unanswered.discard(attempt)
        elif way == VERIFY:
            if code == "not_found":
                effort.status = "done"
                self._conclude(name, had_no_effect=self.written.fences(name))
            else:
                self._spend_question(name, may_retry=may_retry)
        elif way == ACTION:
            was_running = effort.status == "running"
            code = "timeout" if effort.is_cancelled else code
            effort.unanswered.discard(attempt)
            if is_unknown:
                effort.unanswered.add(attempt)
            effort.code = code if may_retry else None
            if not (is_unknown and was_running and self._is_asked(name)):
                self._spend(way, name, code, may_retry=may_retry)
        else:
            self._spend(way, name, code, may_retry=may_retry)

    def _is_asked(self, name: str) -> bool:
        """Leave open what became of an attempt, where there is somebody to ask."""
        if "verify" not in self.written.steps[base_of(name)]:
            return False
        self.actions[name].status = "verifying"  # the question itself follows, unless it is paused
        return True

    def _spend_question(self, name: str, *, may_retry: bool = True) -> None:
        self._spend(VERIFY, name, "timeout", may_retry=may_retry)
        if self.questions[name].status == "failed":
            self._conclude(name, had_no_effect=False)

    def _conclude(self, name: str, *, had_no_effect: bool) -> None:
        action = self.actions[name]
        if had_no_effect:
            action.unanswered.discard(action.sent)
        self._spend(ACTION, name, action.code or "", may_retry=action.code is not None)

    def _spend(self, way: str, name: str, code: str, *, may_retry: bool = True) -> None:
        effort = self.efforts(way)[name]
        status = "failed"
        if way == ACTION:
            status = "unknown" if effort.unanswered else "failed"
            is_pivot_over = self.noted and name == self.written.pivot
            may_retry = may_retry and not self.going_back
            may_retry = may_retry and (bool(effort.unanswered) or not is_pivot_over)
            may_retry = may_retry and self.written.is_worth_another(name, code)
        if may_retry and effort.sent - effort.free < effort.attempts_max:
            status = "pending" if way == UNDO and not self.may_undo(name) else "retrying"
        if way == ACTION:
            self.settle(name, status)
        else:
            effort.status = status

    # Locks

    def _take_lock(self, said: Mapping[str, Any]) -> None:
        if "status" in said:
            if said["status"] == "completed":
                self.status, self.result = "completed", reads(said["result"])
            else:
                self.turn_back()
        elif said["answer"] == "held":
            assert self.locks is not None
            self.locks[said["key"]] = True
        elif said["answer"] == "joined":
            self.joined_to = said["holder"]
        elif said["answer"] in ("refused", "deadlock"):
            self.turn_back()

    # Timers

    def _take_timer(self, event: Mapping[str, Any], at: int) -> None:
        if event["type"] == "deadline_passed":
            self._pass_deadline(event["consequence"], at)
        if "attempt" not in event:
            return
        name, attempt = event["step"], event["attempt"]
        way, _, word = event["type"].partition("_")
        if event["type"] == "child_cancelled":
            if event["reason"] == "timeout":
                self.actions[name].is_cancelled = True
                self.cancelled.append((name, attempt))
        elif word == "started":
            effort = self.efforts(way).get(name)
            if effort is not None and effort.status == "retrying" and attempt == effort.sent + 1:
                self.send(way, name)
        elif word == "timed_out":
            self._time_out(way, name, attempt)

    def _time_out(self, way: str, name: str, attempt: int) -> None:
        effort = self.efforts(way)[name]
        if effort.status != "running" or attempt != effort.sent:
            self.problems.append(
                f"the {way} of {name} is {effort.status}, and its attempt {attempt} timed out"
            )
        if way == VERIFY:
            self._spend_question(name)
            return
        if way == ACTION and self.written.kind(name) != "signal":
            effort.unanswered.add(attempt)
            effort.code = "timeout"
            if self._is_asked(name):
                return
        self._spend(way, name, "timeout")

    def _pass_deadline(self, consequence: str, at: int) -> None:
        deadline_s = self.written.document.get("deadline")
        is_running = self.status == "started" and not self.going_back and not self._deadline_passed
        if deadline_s is None or not is_running:
            self.problems.append(f"a deadline passed while it is {self.status}")
        elif at < self.accepted_at + round(deadline_s * 1000) + self._stood_still_ms:
            self.problems.append("the deadline passed before its time")
        self._deadline_passed = True
        expected = "turns_back"
        if self.is_pivot_in_flight():
            expected, self.noted = "noted", True
        elif self.is_pivot_sent():
            expected = "attention"
        else:
            self.turn_back(is_deadline=True)
        if consequence != expected:
            self.problems.append(f"the deadline's consequence is {consequence}, not {expected}")

    # Requests

    def _take_request(self, event: Mapping[str, Any]) -> None:
        if event["request_id"] in self._requests:
            self.problems.append(f"the request {event['request_id']} was taken twice")
        self._requests.add(event["request_id"])
        is_rejected = event["type"] == "operator_rejected"
        action = event["action"] if is_rejected else event["type"].removeprefix("operator_")
        is_parents = event.get("reply_to") is not None
        goes_that_way = self.going_back or self.status in ("compensated", "failed")
        is_allowed = self._is_allowed(action, event) or (is_parents and goes_that_way)
        if is_allowed is is_rejected:
            self.problems.append(f"{event['type']} {action}, while it is {self.status}")
        if not is_rejected and not (is_parents and goes_that_way):
            self._act(action, event)

    def _act(self, action: str, event: Mapping[str, Any]) -> None:
        step = event.get("step")
        match action:
            case "cancel" | "compensate":
                if self.is_pivot_in_flight():
                    self.noted = True
                else:
                    self.turn_back()
            case "pause":
                self.status = "paused"
            case "resume":
                self.status = "compensating" if self.going_back else "started"
            case "fail":
                self.status = "failed"
            case "retry":
                self._retry([found for found in self.stuck() if step in (None, found[1])])
            case "skip":
                way, name = next(found for found in self.stuck() if found[1] == step)
                self.efforts(way)[name].status = "skipped"
                if way == ACTION:
                    self.actions[name].output = reads(event.get("output"))
            case "resolve":
                self._resolve(str(step), event)

    def _retry(self, stuck: list[tuple[str, str]]) -> None:
        for way, name in stuck:
            if way == UNDO:
                self.plan(name)
        for way, name in stuck:
            if way == ACTION and name in self.written.steps and not self.actions[name].sent:
                self.judge(name)
            elif way == ACTION:
                self.actions[name].free = self.actions[name].sent
                self.begin(ACTION, name)

    def _resolve(self, name: str, event: Mapping[str, Any]) -> None:
        if event["outcome"] == "completed":
            needs_undo = self._needs_undo(name)
            self._done(name, reads(event.get("output")))
            if needs_undo:
                self._plan_late(name)
            return
        action, undo = self.actions[name], self.undos.get(name)
        action.unanswered.discard(action.sent)
        self.settle(name, "failed")
        if undo is not None and undo.status != "done":
            undo.status = "skipped"

    def _is_allowed(self, action: str, event: Mapping[str, Any]) -> bool:
        step = event.get("step")
        match action:
            case "cancel":
                return self._may_turn((*_RUNNING, *_HALTED))
            case "compensate":
                return self._may_turn((*_RUNNING, *_HALTED, "completed"))
            case "pause":
                return self.status in _RUNNING
            case "resume":
                return self.status == "paused"
            case "fail":
                return self.status in _HALTED
            case "retry" | "skip":
                return self.status == "suspended" and any(step in (None, name) for _, name in self.stuck())
            case "resolve":
                action_of = self.actions.get(str(step))
                is_unknown = action_of is not None and action_of.status == "unknown"
                return self.status not in ENDED and is_unknown
        return False

    def _may_turn(self, allowed: tuple[str, ...]) -> bool:
        has_passed = self.is_pivot_sent() and not self.is_pivot_in_flight()
        return self.status in allowed and not (self.going_back or self.noted or has_passed)
