"""Publish what a transition orders, and answer in the participant's place where no queue took a command."""

import asyncio
from collections.abc import Iterable, Sequence

from saga.coordinator.outgoing import command_message, unroutable_message
from saga.coordinator.patience import patiently
from saga.messages.command import Command
from saga.ports.bus import MessageBus, OutgoingMessage, PublishResult
from saga.ports.observer import Observer
from saga.process.state import ProcessState


class Publisher:
    """Publish until the broker confirmed; a second publication is the same message."""

    def __init__(self, bus: MessageBus, observer: Observer) -> None:
        self._bus = bus
        self._observer = observer

    async def commands(self, state: ProcessState, commands: Sequence[Command], *, at: int) -> None:
        """Return when every command is confirmed; one that came back is answered as a retryable failure."""
        if len(commands) == 1:  # the common case, without the cost of a gathering
            await self._command(state, commands[0], at)
        elif commands:
            await asyncio.gather(*(self._command(state, command, at) for command in commands))
        self._observer.reached("confirmed")

    async def all(self, messages: Iterable[OutgoingMessage]) -> None:
        """Return when every message is confirmed; nobody needs to take them."""
        for message in messages:
            await patiently(lambda message=message: self._bus.publish(message), self._observer)  # type: ignore[misc]  # mypy can't type a default of a lambda

    async def _command(self, state: ProcessState, command: Command, at: int) -> None:
        message = command_message(state, command, at=at)
        self._observer.reached("published")
        result = await patiently(lambda: self._bus.publish(message), self._observer)
        if result is PublishResult.RETURNED:
            self._observer.counted("unroutable", service=command.routing_key.split(".")[1])
            answer = unroutable_message(state, command, at=at)
            await patiently(lambda: self._bus.publish(answer), self._observer)
