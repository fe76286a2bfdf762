"""Rules about the source that no linter of ours can be told."""

from __future__ import annotations

import ast
import sys

from tests.architecture.source import PACKAGES, source_files

_LINES_MAX = 400
_CLOCK_AND_CHANCE = {"asyncio", "random", "secrets", "threading", "time", "uuid"}
_CALLS_OF_THE_CLOCK = {"now", "utcnow", "today"}
_OUTSIDE_WORLD = {"io", "logging", "multiprocessing", "os", "pathlib", "socket", "subprocess", "tempfile"}
_KNOWN_TO_THE_PURE_MACHINE = (
    "saga.process",
    "saga.definition",
    "saga.messages",
    "saga.errors",
    "saga.values",
)


def test_decisions_have_no_clock_and_no_chance() -> None:
    """Time and chance come in as arguments, so that a replay decides what production decided."""
    files = source_files("saga/process", "saga/definition")
    offences = [
        f"{file} imports {name}"
        for file in files
        for name in file.imports()
        if name.partition(".")[0] in _CLOCK_AND_CHANCE
    ]
    offences += [
        f"{file}:{node.lineno} calls {node.func.attr}"
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _CALLS_OF_THE_CLOCK
    ]
    assert offences == []


def test_the_pure_machine_has_no_io() -> None:
    """The machine can't reach a file, a socket, a process or a log."""
    offences = [
        f"{file} imports {name}"
        for file in source_files("saga/process")
        for name in file.imports()
        if name.partition(".")[0] in _OUTSIDE_WORLD
    ]
    assert offences == []


def test_the_pure_machine_needs_nothing_but_the_standard_library() -> None:
    """A stored process folds to the same state whatever version of a library is installed."""
    offences = [
        f"{file} imports {name}"
        for file in source_files("saga/process")
        for name in file.imports()
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith(_KNOWN_TO_THE_PURE_MACHINE)
    ]
    assert offences == []


def test_files_are_short() -> None:
    """No file is longer than a reader can keep in mind."""
    offences = [
        f"{file} has {lines} lines"
        for file in source_files(*PACKAGES)
        if (lines := len(file.text.splitlines())) > _LINES_MAX
    ]
    assert offences == []


def test_every_test_states_its_expectation() -> None:
    """A test function has a docstring, also where it is a method or stands in a function."""
    offences = [
        f"{file}:{node.lineno} {node.name}"
        for file in source_files("tests")
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert offences == []


def test_no_test_polls_on_its_own() -> None:
    """A loop that sleeps stands in tests/support: `eventually` has a deadline and says what it waits for."""
    offences = [
        f"{file}:{node.lineno}"
        for file in source_files("tests")
        if not str(file).startswith("tests/support/")
        for loop in ast.walk(file.tree)
        if isinstance(loop, ast.While)
        for node in ast.walk(loop)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "asyncio.sleep"}
    ]
    assert offences == []
