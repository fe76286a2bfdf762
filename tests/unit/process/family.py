"""A process and those that carry out its steps: stories that exchange the messages that `effects` gives."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from saga.definition.graph import compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.sources import parse_definition
from saga.messages.command import Command, parse_command_id
from saga.messages.control import parse_control
from saga.messages.json_text import to_text
from saga.messages.reply import CompletedReply, FailedReply, parse_reply
from saga.process import inputs
from saga.process.events import Accepted
from saga.process.status import Direction, OperatorAction
from tests.support.scenario import PROCESS_ID, Scenario, saga_text


@dataclass
class Family:
    """A parent and its children; what is sent between them arrives when the test lets it."""

    parent: Scenario
    types: dict[str, SagaDefinition]
    children: list[Scenario] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, steps: str, child: str, *, head: str = "", child_head: str = "") -> "Family":
        """Start a parent whose steps are carried out by processes of the type `child`, given by its steps."""
        text = saga_text(child, head=child_head).replace("test_saga", "child", 1)
        story = Scenario.of(steps, head=head, children={"child": "hash of child"}).starts()
        return cls(story, {"child": parse_definition(text, source="child")}).exchange()

    @property
    def child(self) -> Scenario:
        """Give the youngest child."""
        return self.children[-1]

    def exchange(self, *, loses: Callable[[Command], bool] = lambda _: False) -> "Family":
        """Deliver what was sent between the processes until nothing is under way, but what is lost."""
        while fresh := self._fresh():
            for command in fresh:
                if not loses(command):
                    self._deliver(command)
        return self

    def passes(self, milliseconds: int) -> "Family":
        """Let time pass for all of them, and what they say to each other arrive."""
        for story in (self.parent, *self.children):
            story.passes(milliseconds)
        return self.exchange()

    def _fresh(self) -> list[Command]:
        fresh = []
        for story in (self.parent, *self.children):
            seen = self._read.get(story.process_id, 0)
            fresh += [one for one in story.sent[seen:] if not one.routing_key.startswith("step.s.")]
            self._read[story.process_id] = len(story.sent)
        return fresh

    def _deliver(self, command: Command) -> None:
        exchange, _, word = command.routing_key.partition(".")
        if command.routing_key == "process.start":
            self._start(command)
        elif exchange == "process":
            request = parse_control(word, json.loads(command.body))
            self._story(request.process_id).receives(
                inputs.OperatorRequested(
                    OperatorAction(request.action), request.reason, "parent", request.request_id or "",
                    reply_to=request.reply_to,
                )
            )  # fmt: skip
        else:
            self._reply(word, command)

    def _start(self, command: Command) -> None:
        body = json.loads(command.body)
        story = Scenario(compile_graph(self.types[body["process_type"]]), process_id=body["process_id"])
        story.now = self.parent.now
        accepted = Accepted(
            body["process_type"], body["definition"], to_text(body["parameters"]), body["labels"], "request", "",
            None, None, parent=body["parent"], root_id=body["root_id"], children=body["children"],
        )  # fmt: skip
        self.children.append(story)
        story.accepts(accepted).starts()

    def _reply(self, word: str, command: Command) -> None:
        reply = parse_reply(word, json.loads(command.body))
        ref = parse_command_id(reply.command_id)
        assert ref is not None
        direction = Direction(ref.kind)
        received: inputs.Input
        if isinstance(reply, CompletedReply):
            received = inputs.SuccessReceived(direction, ref.step, ref.attempt, reply.output)
        else:
            assert isinstance(reply, FailedReply)
            received = inputs.FailureReceived(
                direction, ref.step, ref.attempt, reply.code, reply.error,
                retryable=reply.retryable, effect_unknown=reply.effect_unknown,
            )  # fmt: skip
        self._story(ref.process_id).receives(received)

    def _story(self, process_id: str) -> Scenario:
        if process_id == PROCESS_ID:
            return self.parent
        return next(child for child in self.children if child.process_id == process_id)
