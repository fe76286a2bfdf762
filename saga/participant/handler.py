"""One handler of a participant: what it wants, and how it is called."""

import asyncio
import contextvars
import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

import pydantic

from saga.participant.command import StepCommand
from saga.participant.progress import Progress

HandlerFunction = Callable[..., object]


class Part(Enum):
    """Name what a parameter of a handler is filled with."""

    INPUT = auto()
    COMMAND = auto()
    PROGRESS = auto()
    TRANSACTION = auto()


@dataclass(frozen=True, slots=True)
class Handler:
    """Hold a function, how to make its input (None where it takes none), and what its parameters want."""

    function: HandlerFunction
    input_adapter: pydantic.TypeAdapter[object] | None
    order: tuple[Part, ...]
    heartbeat_s: float | None = None

    def read_input(self, command: StepCommand) -> object:
        """Make the typed input of the command's parameters. Raises pydantic.ValidationError."""
        if self.input_adapter is None:
            return None
        return self.input_adapter.validate_python(command.parameters)

    async def call(self, given: Mapping[Part, object], threads: Executor) -> object:
        """Run the function, a plain one in a thread; what it raises comes out of here."""
        call = functools.partial(self.function, *(given[part] for part in self.order))
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


def inspect_handler(
    function: HandlerFunction,
    local_names: Mapping[str, object],
    transaction_types: Sequence[type] = (),
    heartbeat_s: float | None = None,
) -> Handler:
    """Read from the signature what the function takes.

    Raises TypeError where that is more than one of a kind (an input, a StepCommand, a Progress, the barrier's
    transaction), or where an annotation means nothing here: a service must not start and then fail at its first
    command.
    """
    name = getattr(function, "__qualname__", repr(function))
    try:
        hints = typing.get_type_hints(_annotated(function), localns=dict(local_names), include_extras=True)
    except NameError as error:
        raise TypeError(f"the annotations of {name} can't be resolved: {error}") from error
    order: list[Part] = []
    adapter: pydantic.TypeAdapter[object] | None = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind in _NEVER_FILLED:
            continue
        wanted = hints.get(parameter.name, object)
        part = _part(wanted, transaction_types)
        if parameter.kind is parameter.KEYWORD_ONLY or part in order:
            kinds = "one input, one StepCommand, one Progress and, with a barrier, its transaction"
            raise TypeError(f"{name} takes {parameter.name!r}: a handler takes {kinds}")
        order.append(part)
        if part is Part.INPUT:
            adapter = _input_adapter(name, wanted)
    if Part.TRANSACTION in order and not inspect.iscoroutinefunction(function):
        raise TypeError(f"{name} takes the barrier's transaction, so it must be an `async def`")
    return Handler(function, adapter, tuple(order), heartbeat_s)


def _part(wanted: object, transaction_types: Sequence[type]) -> Part:
    if wanted is StepCommand:
        return Part.COMMAND
    if wanted is Progress:
        return Part.PROGRESS
    return Part.TRANSACTION if wanted in transaction_types else Part.INPUT


def _input_adapter(name: str, wanted: object) -> pydantic.TypeAdapter[object]:
    try:
        return pydantic.TypeAdapter[object](wanted)  # type: ignore[arg-type]  # it is whatever stands there
    except pydantic.PydanticSchemaGenerationError as error:
        raise TypeError(
            f"{name} takes a {wanted!r}, which is no input that can be validated; a session needs a participant "
            f"with a barrier"
        ) from error


_NEVER_FILLED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _annotated(function: HandlerFunction) -> HandlerFunction:
    while isinstance(function, functools.partial):
        function = function.func
    is_plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if is_plain else type(function).__call__
