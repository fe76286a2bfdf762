"""Write the page of the testing kit from its docstrings, so that it names what there is."""  # noqa: INP001

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import cast

from saga.testing import (
    Harness,
    HarnessProcess,
    Script,
    ScriptedService,
    StandsStill,
    StepSeen,
    UnscriptedCommand,
)

_PARTS = (Harness, HarnessProcess, StepSeen, ScriptedService, Script)
_BETWEEN_THEMSELVES = frozenset({"drive", "take", "next"})

_HEAD = """# Testing kit

<!-- Written by `python -m docs.generate` from the code; don't edit it by hand. -->

What a test of a saga uses, all of it from `saga.testing`; [Test a saga](../how-to/test-a-saga.md) shows how. The
fixture `saga_harness` gives a `Harness` of the test's own, and closes it. Beside these, `saga.testing` has the
ports in memory, the clocks and the loop of virtual time that the harness is made of.
"""


def testing_page() -> str:
    """Give the page."""
    return "\n".join([_HEAD, *(section for part in _PARTS for section in _sections(part)), *_failures()])


def _sections(part: type) -> Iterator[str]:
    yield f"## {part.__name__}\n\n{inspect.getdoc(part)}\n"
    if part is StepSeen:
        members = ", ".join(f"`{name}`" for name in inspect.get_annotations(part))
        yield f"Its members are {members}.\n"
    for name, member in vars(part).items():
        if name.startswith("_") or name in _BETWEEN_THEMSELVES:
            continue
        if isinstance(member, property):
            yield f"### {name}\n\n{inspect.getdoc(member)}\n"
        elif inspect.isfunction(member):
            yield f"### {name}\n\n```python\n{_signature(member)}\n```\n\n{inspect.getdoc(member)}\n"


def _signature(function: Callable[..., object]) -> str:
    """Give the signature as its author wrote it, without what the reader doesn't pass."""
    source = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = cast("ast.FunctionDef", source.body[0])
    arguments = definition.args
    del arguments.args[0]
    for argument in (*arguments.args, *arguments.kwonlyargs):
        if isinstance(argument.annotation, ast.Constant):
            argument.annotation = ast.Name(str(argument.annotation.value))
    returned = cast("ast.expr", definition.returns)
    return f"{definition.name}({ast.unparse(arguments)}) -> {ast.unparse(returned)}".replace("'", '"')


def _failures() -> Iterator[str]:
    yield "## Failures\n\nBoth are AssertionErrors.\n"
    for failure in (UnscriptedCommand, StandsStill):
        yield f"- `{failure.__name__}`: {inspect.getdoc(failure)}"
    yield ""
