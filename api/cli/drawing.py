"""Draw a definition as text, for Mermaid and for Graphviz: steps, their order, and what undoes them."""

from collections.abc import Iterator

from saga.definition.graph import StepGraph, StepKind, StepNode

# Mermaid's marks for each shape; a name alone may be a word of its language, so each gets a prefix.
_MERMAID_SHAPES = {
    StepKind.SERVICE: ("[", "]"),
    StepKind.SIGNAL: ("[/", "/]"),
    StepKind.PROCESS: ("[[", "]]"),
}
_DOT_SHAPES = {StepKind.SERVICE: "box", StepKind.SIGNAL: "parallelogram", StepKind.PROCESS: "box3d"}
_ENTITIES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "&": "#amp;"}


def mermaid(graph: StepGraph) -> str:
    """Write a flow chart; what undoes a step hangs on it by a dotted line."""
    return "".join(f"{line}\n" for line in _mermaid(graph))


def _mermaid(graph: StepGraph) -> Iterator[str]:
    yield f"%% {graph.process_type}"
    yield "flowchart TD"
    for node in graph.nodes:
        left, right = ("{{", "}}") if node.pivot else _MERMAID_SHAPES[node.kind]
        label = "<br/>".join(_for_mermaid(line) for line in _lines(node))
        yield f'    s_{node.name}{left}"{label}"{right}'
        undo = _undo(node)
        if undo is not None:
            yield f'    s_{node.name} -. undo .-> u_{node.name}(["{_for_mermaid(undo)}"])'
    for node in graph.nodes:
        join = _join(node)
        label = "" if join is None else f"|{join}|"
        for before in node.after:
            yield f"    s_{before} -->{label} s_{node.name}"


def dot(graph: StepGraph) -> str:
    """Write a directed graph; what undoes a step hangs on it by a dashed line."""
    return "".join(f"{line}\n" for line in _dot(graph))


def _dot(graph: StepGraph) -> Iterator[str]:
    yield f"digraph {graph.process_type} {{"
    yield "    node [fontname=Helvetica];"
    for node in graph.nodes:
        shape = "hexagon" if node.pivot else _DOT_SHAPES[node.kind]
        label = "\\n".join(_for_dot(line) for line in _lines(node))
        yield f'    "{node.name}" [shape={shape}, label="{label}"];'
        undo = _undo(node)
        if undo is not None:
            yield f'    "undo {node.name}" [shape=box, style="rounded,dashed", label="{_for_dot(undo)}"];'
            yield f'    "{node.name}" -> "undo {node.name}" [style=dashed, arrowhead=open, label="undo"];'
    for node in graph.nodes:
        join = _join(node)
        label = "" if join is None else f' [label="{join}"]'
        for before in node.after:
            yield f'    "{before}" -> "{node.name}"{label};'
    yield "}"


def _lines(node: StepNode) -> Iterator[str]:
    yield f"{node.name} (pivot)" if node.pivot else node.name
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
