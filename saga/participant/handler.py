"""One handler of a participant: which input it wants, and how it is called."""

import asyncio
import contextvars
import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import cast

import pydantic

from saga.participant.command import StepCommand

HandlerFunction = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Handler:
    """Hold a function, how to make its input (None where it takes none), and whether it wants the command."""

    function: HandlerFunction
    input_adapter: pydantic.TypeAdapter[object] | None
    order: tuple[str, ...]

    def read_input(self, command: StepCommand) -> object:
        """Make the typed input of the command's parameters. Raises pydantic.ValidationError."""
        if self.input_adapter is None:
            return None
        return self.input_adapter.validate_python(command.parameters)

    async def call(self, value: object, command: StepCommand, threads: Executor) -> object:
        """Run the function, a plain one in a thread; what it raises comes out of here."""
        arguments = [command if part == _COMMAND else value for part in self.order]
        call = functools.partial(self.function, *arguments)
        if inspect.iscoroutinefunction(self.function):
            return await cast("Awaitable[object]", call())
        context = contextvars.copy_context()
        result = await asyncio.get_running_loop().run_in_executor(threads, context.run, _guarded, call)
        if isinstance(result, Awaitable):  # of a plain function around an async one, such as a decorator
            awaited: object = await cast("Awaitable[object]", result)
            return awaited
        return result


def _guarded(call: Callable[[], object]) -> object:
    try:
        return call()
    except StopIteration as error:
        # A future can't hold this one: whoever waits for it would wait for ever.
        raise RuntimeError("the handler raised StopIteration") from error


_COMMAND = "command"
_INPUT = "input"


def inspect_handler(function: HandlerFunction, local_names: Mapping[str, object]) -> Handler:
    """Read from the signature what the function takes.

    Raises TypeError where that is more than one input and one StepCommand, or where an annotation means
    nothing here: a service must not start and then fail at its first command.
    """
    name = getattr(function, "__qualname__", repr(function))
    try:
        hints = typing.get_type_hints(_annotated(function), localns=dict(local_names), include_extras=True)
    except NameError as error:
        raise TypeError(f"the annotations of {name} can't be resolved: {error}") from error
    order: list[str] = []
    adapter: pydantic.TypeAdapter[object] | None = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind in _NEVER_FILLED:
            continue
        wanted = hints.get(parameter.name, object)
        part = _COMMAND if wanted is StepCommand else _INPUT
        if parameter.kind is parameter.KEYWORD_ONLY or part in order:
            raise TypeError(f"{name} takes {parameter.name!r}: a handler takes one input and one StepCommand")
        order.append(part)
        if part == _INPUT:
            adapter = pydantic.TypeAdapter(wanted)
    return Handler(function, adapter, tuple(order))


_NEVER_FILLED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _annotated(function: HandlerFunction) -> HandlerFunction:
    while isinstance(function, functools.partial):
        function = function.func
    is_plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if is_plain else type(function).__call__
