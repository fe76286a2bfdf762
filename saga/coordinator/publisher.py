"""Publish what a transition orders, and answer in the participant's place where no queue took a command."""

import asyncio
from collections.abc import Iterable, Sequence

from saga.coordinator.outgoing import (
    STEP_COMMAND,
    command_message,
    life_messages,
    unroutable_message,
)
from saga.coordinator.patience import patiently
from saga.errors import BusUnavailable
from saga.messages.command import Command
from saga.ports.bus import MessageBus, OutgoingMessage, PublishResult
from saga.ports.observer import Observer
from saga.process.state import ProcessState
from saga.process.transition import Transition


class Publisher:
    """Publish until the broker confirmed; a second publication is the same message."""

    def __init__(self, bus: MessageBus, observer: Observer, *, with_step_events: bool = False) -> None:
        self._bus = bus
        self._observer = observer
        self._with_step_events = with_step_events

    @property
    def reply_key(self) -> str:
        """Give where commands that are made now should have their replies."""
        return self._bus.reply_key

    async def commands(
        self, state: ProcessState, commands: Sequence[Command], *, at: int, again: bool = False
    ) -> None:
        """Return when every command is confirmed; one that came back is answered as a retryable failure.

        `again` says that an earlier copy may have arrived, though this one comes back.
        """
        if len(commands) == 1:  # the common case, without the cost of a gathering
            await self._command(state, commands[0], at, again=again)
        elif commands:
            await asyncio.gather(*(self._command(state, command, at, again=again) for command in commands))
        self._observer.reached("confirmed")

    def news(self, state: ProcessState, transitions: Iterable[Transition]) -> Sequence[OutgoingMessage]:
        """Write what there is to tell of what happened, in order; most transitions are no news."""
        return [
            message
            for transition in transitions
            for message in life_messages(state, transition, with_steps=self._with_step_events)
        ]

    async def tell(self, news: Sequence[OutgoingMessage]) -> None:
        """Tell of it, in order; returns when it is confirmed, whether or not anybody listens."""
        for message in news:
            await self._publish(message)

    async def _publish(self, message: OutgoingMessage) -> PublishResult:
        return await patiently(lambda: self._bus.publish(message), self._observer)

    async def _command(self, state: ProcessState, command: Command, at: int, *, again: bool) -> None:
        message = command_message(state, command, at=at)
        is_order = message.kind == STEP_COMMAND
        copies = 1 if again else 0

        async def publish() -> PublishResult:
            nonlocal copies
            copies += 1
            result = await self._bus.publish(message)
            if result is PublishResult.RETURNED and not is_order:
                # What goes to another process goes to our own queue, which is gone, and will be declared again.
                raise BusUnavailable("the coordinators' queue is not there")
            return result

        self._observer.reached("published")
        if await patiently(publish, self._observer) is PublishResult.RETURNED:
            self._observer.counted("unroutable", service=command.routing_key.split(".")[1])
            await self._publish(unroutable_message(state, command, at=at, effect_unknown=copies > 1))
