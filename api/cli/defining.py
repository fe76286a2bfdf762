"""What the commands for definitions do: check and draw files, and read the types that a service has."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from api.cli.client import Client
from api.cli.definition_tables import problem_list, type_list, type_view
from api.cli.outcome import CommandError, Exit
from api.cli.output import Output, say, show, show_all
from saga.definition.checks import problems_across, warnings_in
from saga.definition.graph import compile_graph
from saga.definition.model import SagaDefinition
from saga.definition.sources import SUFFIXES, load_definitions
from saga.errors import InvalidDefinition
from saga.messages.json_text import Json, JsonObject
from saga.views.drawing import dot, mermaid


def check(output: Output, sources: Sequence[str]) -> Exit:
    """Say what is wrong with each definition, and what is probably not meant."""
    found: list[SagaDefinition] = []
    documents: list[JsonObject] = []
    for source in _files(sources):
        try:
            definitions = load_definitions(source)
        except InvalidDefinition as error:
            documents.append(_verdict(error.source, None, problems=error.problems))
            continue
        found += definitions
        documents += [_verdict(source, one.process_type, warnings=warnings_in(one)) for one in definitions]
    documents += _across(found)
    show_all(documents, output, problem_list)
    refused = sum(bool(document["problems"]) for document in documents)
    if refused:
        raise CommandError(Exit.ERROR, f"{refused} refused")
    say(f"{len(found)} definitions may run")
    return Exit.WELL


def _files(sources: Sequence[str]) -> Iterator[str]:
    """Give each file of a folder by itself, so that the problems of all of them are said at once."""
    for source in sources:
        path = Path(source)
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else []
        yield from map(str, files) if files else (source,)


def _across(definitions: Sequence[SagaDefinition]) -> Iterator[JsonObject]:
    """Judge what carries out each other's steps; types that are not here may be known to the service."""
    graphs = {one.process_type: compile_graph(one) for one in definitions}
    missing = sorted({name for graph in graphs.values() for name in graph.child_types} - graphs.keys())
    for name in missing:
        warning = (
            f"process type {name!r} is started by one of these, and is not among them: not judged together"
        )
        yield _verdict("together", None, warnings=(warning,))
    if not missing:
        problems = problems_across(graphs)
        if problems:
            yield _verdict("together", None, problems=problems)


def _verdict(
    source: str, process_type: str | None, *, problems: Sequence[str] = (), warnings: Sequence[str] = ()
) -> JsonObject:
    return {
        "source": source,
        "process_type": process_type,
        "problems": list[Json](problems),
        "warnings": list[Json](warnings),
    }


def loaded(source: str, process_type: str | None) -> tuple[SagaDefinition, ...]:
    """Load definitions, or the one of a type; each failure ends the command with its own exit code."""
    try:
        definitions = load_definitions(source)
    except InvalidDefinition as error:
        lines = "".join(f"\n  {problem}" for problem in error.problems)
        raise CommandError(Exit.ERROR, f"{error.source}:{lines}") from None
    if process_type is None:
        return definitions
    chosen = tuple(one for one in definitions if one.process_type == process_type)
    if not chosen:
        names = ", ".join(one.process_type for one in definitions)
        raise CommandError(Exit.NOT_FOUND, f"{source} has no process type {process_type!r}; it has {names}")
    return chosen


def draw(source: str, process_type: str | None, form: str) -> Exit:
    """Print the drawing of each definition."""
    write = dot if form == "dot" else mermaid
    for definition in loaded(source, process_type):
        sys.stdout.write(write(compile_graph(definition)))
    return Exit.WELL


def list_types(client: Client, output: Output) -> Exit:
    """List the process types of a service."""
    types, _ = client.get_page("/process-type", ())
    show_all(types, output, type_list)
    return Exit.WELL


def show_type(client: Client, output: Output, process_type: str) -> Exit:
    """Show a process type of a service."""
    document = client.get(f"/process-type/{quote(process_type, safe='')}")
    if not isinstance(document, dict):
        raise CommandError(Exit.ERROR, "the answer is no process type: is this the address of Batuta?")
    show(document, output, type_view)
    return Exit.WELL
