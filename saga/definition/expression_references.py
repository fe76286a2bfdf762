"""What an expression reads, found in its tree: names of the scope, and outputs of steps.

JMESPath evaluates each part against the value to its left, so that a name belongs to the scope only where
nothing stands to its left. The walk carries along what that value is: the scope, `results`, or anything else.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TypedDict, cast

from jmespath.functions import Functions

_NOTHING: frozenset[str] = frozenset()


class Node(TypedDict):
    """A node of jmespath's tree; a slice has numbers for children, and some nodes have no `value`."""

    type: str
    value: object
    children: list["Node"]


@dataclass(frozen=True, slots=True)
class ResultReference:
    """Name a step whose output is read; guarded where the expression says what holds when it is missing."""

    step: str
    is_guarded: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what an expression reads: top-level names (`@` is the whole scope), and outputs of steps."""

    roots: frozenset[str]
    references: tuple[ResultReference, ...]
    reads_all_results: bool


def read_by(tree: Node) -> Reading:
    """Say what an expression reads from the scope that it is evaluated against."""
    reader = _Reader()
    reader.use(reader.visit(tree, _Place(_Value(_Kind.SCOPE))))
    found = {ResultReference(one.step, one.is_guarded): None for one in reader.references}
    return Reading(frozenset(reader.roots), tuple(found), reader.reads_all_results)


def parameter_types(function: str) -> list[list[str]] | None:
    """Give the types that each parameter of a function takes, none for any; None for an unknown function."""
    known = cast("dict[str, dict[str, list[dict[str, list[str]]]]]", Functions.FUNCTION_TABLE)
    return [one["types"] for one in known[function]["signature"]] if function in known else None


class _Kind(Enum):
    SCOPE = auto()
    RESULTS = auto()
    OTHER = auto()


class _Guard(Enum):
    """What a null meets further out: nothing, an alternative to it, or only the question whether it is one."""

    NONE = auto()
    ALTERNATIVE = auto()
    QUESTION = auto()


@dataclass(frozen=True, slots=True)
class _Value:
    """What a part evaluates to, and the steps whose outputs are there if it is not null, or if it is true."""

    kind: _Kind = _Kind.OTHER
    if_not_null: frozenset[str] = _NOTHING
    if_true: frozenset[str] = _NOTHING


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a part stands: the value that it is evaluated against, and what surrounds it."""

    here: _Value
    guard: _Guard = _Guard.NONE
    checked: frozenset[str] = _NOTHING
    is_argument: bool = False


# Against elements of a list, say: no name belongs to the scope there.
_ELSEWHERE = _Place(_Value())


@dataclass(slots=True)
class _Found:
    step: str
    is_guarded: bool
    is_argument: bool  # of a function that fails on null, so that no `&&` further out makes it harmless


@dataclass(slots=True)
class _Reader:
    roots: set[str] = field(default_factory=set)
    references: list[_Found] = field(default_factory=list)
    reads_all_results: bool = False

    def use(self, value: _Value) -> _Value:
        """Take note where a part uses the whole of a value, and not a name in it."""
        if value.kind is _Kind.SCOPE:
            self.roots.add("@")
        elif value.kind is _Kind.RESULTS:
            self.reads_all_results = True
        return replace(value, kind=_Kind.OTHER)

    def visit(self, node: Node, place: _Place) -> _Value:
        """Walk through a part, and say what it gives."""
        children = node["children"]
        match node["type"]:
            case "current" | "identity":
                return place.here
            case "field":
                return self._field(str(node["value"]), place)
            case "index" | "slice":
                return self.use(place.here)
            case "subexpression" | "index_expression":
                return self._chain(children, place)
            case "pipe" | "flatten" | "projection" | "value_projection" | "filter_projection":
                return self._projection(node, place)
            case "or_expression":
                return self._or(children, place)
            case "and_expression":
                return self._and(children, place)
            case "comparator":
                return self._comparison(node, place)
            case "not_expression":
                return self._each(children, replace(place, guard=_Guard.QUESTION))
            case "function_expression":
                return self._function(node, place)
            case "expref":
                return self._each(children, _ELSEWHERE)
            case _:  # a literal, or an object or array that is built, and isn't null where a member is
                return self._each(children, _unless_asked(place))

    def _each(self, parts: list[Node], place: _Place) -> _Value:
        for part in parts:
            self.use(self.visit(part, place))
        return _Value()

    def _field(self, name: str, place: _Place) -> _Value:
        if place.here.kind is _Kind.SCOPE:
            self.roots.add(name)
            return _Value(_Kind.RESULTS if name == "results" else _Kind.OTHER)
        if place.here.kind is _Kind.RESULTS:
            is_guarded = place.guard is not _Guard.NONE or name in place.checked
            self.references.append(_Found(name, is_guarded, place.is_argument))
            return _Value(_Kind.OTHER, frozenset({name}), frozenset({name}))
        return place.here

    def _chain(self, parts: list[Node], place: _Place) -> _Value:
        for part in parts:
            place = replace(place, here=self.visit(part, place))
        return place.here

    def _projection(self, node: Node, place: _Place) -> _Value:
        base, *others = node["children"]
        value = self.use(self.visit(base, place))
        for other in others:
            self.visit(other, _ELSEWHERE)
        # Behind a pipe stands whatever one likes, a literal say.
        return _Value() if node["type"] == "pipe" else value

    def _or(self, children: list[Node], place: _Place) -> _Value:
        left = self.use(self.visit(children[0], _or_else(place)))
        right = self.use(self.visit(children[1], place))
        return _Value(
            if_not_null=left.if_not_null & right.if_not_null,
            if_true=left.if_true & right.if_true,
        )

    def _and(self, children: list[Node], place: _Place) -> _Value:
        start = len(self.references)
        left = self.use(self.visit(children[0], place))
        middle = len(self.references)
        right = self.use(self.visit(children[1], replace(place, checked=place.checked | left.if_true)))
        # `results.a && results.a.x`: what stands on the left is the check of what stands on the right.
        used = left.if_true.intersection(one.step for one in self.references[middle:])
        for one in self.references[start:middle]:
            one.is_guarded |= one.step in used and not one.is_argument
        return _Value(if_not_null=left.if_not_null, if_true=left.if_true | right.if_true)

    def _comparison(self, node: Node, place: _Place) -> _Value:
        operator = node["value"]
        is_equality = operator in {"eq", "ne"}
        inside = replace(place, guard=_Guard.QUESTION) if is_equality else _unless_asked(place)
        left, right = (self.use(self.visit(child, inside)) for child in node["children"])
        both = left.if_not_null | right.if_not_null
        if not is_equality:  # an order with anything but numbers and strings is null
            return _Value(if_not_null=both, if_true=both)
        # Other than null, or equal to something that is not null.
        literals = [child["value"] is None for child in node["children"] if child["type"] == "literal"]
        is_check = literals == [operator == "ne"]
        return _Value(if_true=both if is_check else _NOTHING)

    def _function(self, node: Node, place: _Place) -> _Value:
        name = str(node["value"])
        for argument, types in zip(node["children"], _types_of_arguments(node), strict=True):
            if name == "not_null":
                inside = _or_else(place)
            elif types:
                inside = replace(place, guard=_Guard.NONE, is_argument=True)
            else:
                inside = _unless_asked(place)
            self.use(self.visit(argument, inside))
        return _Value()


def _types_of_arguments(node: Node) -> Iterator[list[str]]:
    parameters = parameter_types(str(node["value"])) or [[]]
    for number in range(len(node["children"])):
        yield parameters[min(number, len(parameters) - 1)]  # the last one may be repeated


def _or_else(place: _Place) -> _Place:
    return replace(place, guard=_Guard.ALTERNATIVE) if place.guard is _Guard.NONE else place


def _unless_asked(place: _Place) -> _Place:
    """Within what is made of a null the null is no longer seen from outside, and no alternative is taken."""
    return replace(place, guard=_Guard.NONE) if place.guard is _Guard.ALTERNATIVE else place
