"""Draw a definition, or a process on it, as text for Mermaid and Graphviz: steps, order, what undoes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from saga.definition.graph import StepGraph, StepKind, StepNode

# Mermaid's marks for each shape; a name alone may be a word of its language, so each gets a prefix.
_MERMAID_SHAPES = {
    StepKind.SERVICE: ("[", "]"),
    StepKind.SIGNAL: ("[/", "/]"),
    StepKind.PROCESS: ("[[", "]]"),
}
_DOT_SHAPES = {StepKind.SERVICE: "box", StepKind.SIGNAL: "parallelogram", StepKind.PROCESS: "box3d"}
_ENTITIES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "&": "#amp;"}
# The colour only repeats the word, which always stands in the node.
_COLOURS = {
    "completed": "#d3f2d3", "compensated": "#fbeec2", "failed": "#f8d0d0", "unknown": "#f8d0d0",
    "running": "#d0e6fa", "retrying": "#e8d9f7", "waiting": "#e8d9f7", "skipped": "#eeeeee",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold the words for where a step of a process stands, and its undo, once it is planned."""

    status: str | None = None
    compensation: str | None = None


Standings = Mapping[str, Standing]
NOWHERE: Standings = MappingProxyType({})
_UNTOLD = Standing()


def mermaid(graph: StepGraph, standings: Standings = NOWHERE) -> str:
    """Write a flow chart; what undoes a step hangs on it by a dotted line."""
    return "".join(f"{line}\n" for line in _mermaid(graph, standings))


def _mermaid(graph: StepGraph, standings: Standings) -> Iterator[str]:
    yield f"%% {graph.process_type}"
    yield "flowchart TD"
    for node in graph.nodes:
        left, right = ("{{", "}}") if node.pivot else _MERMAID_SHAPES[node.kind]
        standing = standings.get(node.name, _UNTOLD)
        label = "<br/>".join(_for_mermaid(line) for line in _lines(node, standing))
        yield f'    s_{node.name}{left}"{label}"{right}{_class(standing.status)}'
        undo = _undo(node)
        if undo is not None:
            planned = standing.compensation
            label = "<br/>".join(_for_mermaid(line) for line in (undo, planned) if line)
            yield f'    s_{node.name} -. undo .-> u_{node.name}(["{label}"]){_class(planned)}'
    for node in graph.nodes:
        join = _join(node)
        label = "" if join is None else f"|{join}|"
        for before in node.after:
            yield f"    s_{before} -->{label} s_{node.name}"
    words = {word for one in standings.values() for word in (one.status, one.compensation)}
    for word, colour in _COLOURS.items():
        if word in words:
            yield f"    classDef {word} fill:{colour}"


def _class(word: str | None) -> str:
    return f":::{word}" if word in _COLOURS else ""


def dot(graph: StepGraph, standings: Standings = NOWHERE) -> str:
    """Write a directed graph; what undoes a step hangs on it by a dashed line."""
    return "".join(f"{line}\n" for line in _dot(graph, standings))


def _dot(graph: StepGraph, standings: Standings) -> Iterator[str]:
    yield f"digraph {graph.process_type} {{"
    yield "    node [fontname=Helvetica];"
    for node in graph.nodes:
        shape = "hexagon" if node.pivot else _DOT_SHAPES[node.kind]
        standing = standings.get(node.name, _UNTOLD)
        label = "\\n".join(_for_dot(line) for line in _lines(node, standing))
        filled = _fill("filled", standing.status)
        yield f'    "{node.name}" [shape={shape}, label="{label}"{filled}];'
        undo = _undo(node)
        if undo is not None:
            planned = standing.compensation
            label = "\\n".join(_for_dot(line) for line in (undo, planned) if line)
            style = _fill("rounded,dashed,filled", planned) or ', style="rounded,dashed"'
            yield f'    "undo {node.name}" [shape=box, label="{label}"{style}];'
            yield f'    "{node.name}" -> "undo {node.name}" [style=dashed, arrowhead=open, label="undo"];'
    for node in graph.nodes:
        join = _join(node)
        label = "" if join is None else f' [label="{join}"]'
        for before in node.after:
            yield f'    "{before}" -> "{node.name}"{label};'
    yield "}"


def _fill(style: str, word: str | None) -> str:
    return f', style="{style}", fillcolor="{_COLOURS[word]}"' if word in _COLOURS else ""


def _lines(node: StepNode, standing: Standing) -> Iterator[str]:
    yield f"{node.name} (pivot)" if node.pivot else node.name
    if standing.status is not None:
        yield standing.status
    match node.kind:
        case StepKind.SERVICE:
            yield f"{node.service}.{node.action.action}"
        case StepKind.SIGNAL:
            yield "signal"
        case StepKind.PROCESS:
            yield f"process {node.action.action}"
    if node.when is not None:
        yield f"when {node.when.text}"
    if node.for_each is not None:
        yield f"for each {node.for_each.text}, {node.at_once} at once"
    if node.verify is not None:
        yield f"verify: {node.verify.action}"


def _undo(node: StepNode) -> str | None:
    """Name what undoes a step; nothing is undone from the pivot on."""
    if node.compensation is None or node.forward_only:
        return None
    return node.compensation.action


def _join(node: StepNode) -> str | None:
    match node.join_count:
        case None:
            return None
        case 1:
            return "any"
        case count:
            return f"{count} of {len(node.after)}"


def _for_mermaid(text: str) -> str:
    return "".join(_ENTITIES.get(letter, letter if letter.isprintable() else " ") for letter in text)


def _for_dot(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')
