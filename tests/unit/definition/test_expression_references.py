"""What expressions are found to read; and of generated ones, that they read no more and change nothing."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.definition.expressions import Expression, ExpressionFailed, InvalidExpression, ResultReference
from saga.messages.json_text import to_canonical_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from saga.messages.json_text import JsonObject


def references(text: str) -> set[tuple[str, bool]]:
    """Give the steps that an expression reads, and whether guarded."""
    return {(one.step, one.is_guarded) for one in Expression(text).result_references}


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("parameters.a", {"parameters"}),
        ("item.parameters.results", {"item"}),
        ("'results'", set()),
        ('`{"results": 1}`', set()),
        ("[index, item]", {"index", "item"}),
        ("{results: parameters.x}", {"parameters"}),
        ("parameters | results", {"parameters"}),
        ("parameters.list[?results.a == item].index", {"parameters"}),
        ("parameters.*.item", {"parameters"}),
        ("parameters.list[].item", {"parameters"}),
        ("parameters.list[1:].item", {"parameters"}),
        ("parameters.[results, item]", {"parameters"}),
        ("map(&results.a, parameters.list)", {"parameters"}),
        ("sort_by(item, &index)", {"item"}),
        ("parameters.x || secrets.y", {"parameters", "secrets"}),
        ("parameters.x == null", {"parameters", "null"}),
        ("@", {"@"}),
        ("@.parameters", {"parameters"}),
        ("@.[parameters, item]", {"parameters", "item"}),
        ("@ | parameters", {"@"}),
        ("keys(@)", {"@"}),
        ("*", {"@"}),
        ("[0]", {"@"}),
        ("[*].a", {"@"}),
        ("[]", {"@"}),
        ("[?a]", {"@"}),
        ("a || @", {"@", "a"}),
        ("parameters.a.not_null(item, @)", {"parameters"}),
    ],
)
def test_the_names_read_from_the_scope_are_known(text: str, roots: set[str]) -> None:
    """A name counts where nothing stands to its left; what reads the whole scope shows as @."""
    assert Expression(text).roots == roots


@pytest.mark.parametrize(
    "text",
    [
        "results",
        "keys(results)",
        "results.*",
        "results | x",
        "[results]",
        "{a: results}",
        "results || a",
        "!results",
        "results[0]",
        "results[*]",
        "results[]",
        "results[?a]",
        "results == a",
        "results.keys(@)",
        "results.[@]",
        "a && results",
        "@.results",
        "length(results) > `1`",
    ],
)
def test_whoever_uses_results_as_a_whole_is_known(text: str) -> None:
    """It may read any step, so that nothing can be said of it before it runs."""
    assert Expression(text).reads_all_results
    assert not Expression(text).result_references


@pytest.mark.parametrize(
    "text", ["results.a", "results.[a]", "parameters.results", "@.results.a", "a | results"]
)
def test_whoever_names_a_step_does_not_use_all(text: str) -> None:
    """A step named behind `results` is a reference, and a member called so elsewhere is nothing special."""
    assert not Expression(text).reads_all_results


@pytest.mark.parametrize(
    "text",
    [
        "results.a",
        'results."a".x',
        "@.results.a",
        "results.a.x.y[0]",
        "results.a[*].b",
        "results.a.*",
        "results.a | b",
        "(results).a",
        "results.[a]",
        "results.{x: a}",
        "{x: {y: [results.a.z]}}",
        "length(results.a.list)",
        "map(&x, results.a.list)",
        "parameters.x || results.a",
        "results.a.x > `1`",
        "results.a && parameters.x",
        "[results.a] || 'x'",
        "not_null([results.a])",
        "length(results.a) || `0`",
        "to_string(results.a) || 'x'",
        "length(results.a) == `1`",
        "!starts_with(results.a, 'x')",
        "results.a || 'x' | results.b || 'y'",
    ],
)
def test_a_reference_is_found_and_guarded_only_where_a_null_is_dealt_with(text: str) -> None:
    """Also not where a function fails on null, or where the null is wrapped before anybody asks."""
    guarded = text.endswith("'y'")
    assert Expression(text).result_references == (ResultReference("a", is_guarded=guarded),)


@pytest.mark.parametrize(
    "text",
    [
        "results.a || 'x'",
        "results.a.list[*].x || `[]`",
        "(results.a | x) || 'x'",
        "(results.a.x && parameters.y) || 'x'",
        "not_null(results.a, 'x')",
        "not_null('x', results.a)",
        "results.a == `null`",
        "'x' != results.a.y",
        "[results.a] == `[null]`",
        "type(results.a) == 'null'",
        "!(results.a)",
        "!(results.a.x && parameters.y)",
        "length(results.a.list || `[]`)",
        "results.a && results.a.x",
        "results.a && length(results.a.list)",
        "results.a != `null` && results.a.x.y",
        "results.a.kind == 'x' && length(results.a.list) > `0`",
        "results.a.n > `1` && results.a.x",
        "results.a && parameters.x && results.a.y",
        "(results.a && results.a.x) || 'x'",
        "results.a.list[*].x && results.a.y",
    ],
)
def test_a_reference_is_guarded_where_a_null_is_dealt_with(text: str) -> None:
    """Under an alternative, not_null, an equation or a negation, and behind a check of the same step."""
    assert references(text) == {("a", True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("results.a || results.b", {("a", True), ("b", False)}),
        ("results.a || results.b || 'x'", {("a", True), ("b", True)}),
        ("results.a || results.a.x", {("a", True), ("a", False)}),
        ("[results.a, results.a, results.b]", {("a", False), ("b", False)}),
        ("results.a && results.b", {("a", False), ("b", False)}),
        ("results.a && results.b && results.a.x", {("a", True), ("b", False)}),
        ("(results.a || results.b) && results.a", {("a", True), ("b", False), ("a", False)}),
        ("results.a == `null` && results.a.x", {("a", True), ("a", False)}),
        ("results.a != 'x' && results.a.x", {("a", True), ("a", False)}),
        ("length(results.a) > `0` && results.a.x", {("a", False)}),
        ("(length(results.a) > `0` && results.a) && results.a.x", {("a", False), ("a", True)}),
    ],
)
def test_each_step_is_given_guarded_and_not(text: str, expected: set[tuple[str, bool]]) -> None:
    """One entry for each pair, so that one careless reference is seen beside careful ones."""
    assert references(text) == expected
    assert len(Expression(text).result_references) == len(expected)


_NAMES = st.sampled_from(["a", "b", "parameters", "results", "item"])
_ATOMS = _NAMES | st.sampled_from(
    ["@", "`1`", "`[]`", "'a'", "results.a", "results.b", "parameters.a", "[0]"]
)
_TEXTS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("({}).{}".format, inner, _NAMES),
        st.builds("({}) | ({})".format, inner, inner),
        st.builds("({}) || ({})".format, inner, inner),
        st.builds("({}) && ({})".format, inner, inner),
        st.builds("({}) == ({})".format, inner, inner),
        st.builds("({}) < ({})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({})[*].[{}]".format, inner, inner),
        st.builds("({})[?{}]".format, inner, inner),
        st.builds("({})[]".format, inner),
        st.builds("({}).*".format, inner),
        st.builds("({}).{{a: {}, x: {}}}".format, inner, inner, inner),
        st.builds("{{b: {}}}".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("not_null({}, {})".format, inner, inner),
        st.builds("length({})".format, inner),
        st.builds("to_string({})".format, inner),
        st.builds("map(&({}), {})".format, inner, inner),
    ),
    max_leaves=8,
)
_SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)
_OBJECTS = st.dictionaries(_NAMES, _SOME_JSON, max_size=3)


def outcome(expression: Expression, scope: JsonObject) -> str:
    """Give the value as text, or how it failed."""
    try:
        return to_canonical_text(expression.evaluate(scope))
    except ExpressionFailed as error:
        return f"failed: {error}"


def exchanged(value: JsonObject, others: JsonObject, kept: Collection[str]) -> JsonObject:
    """Put other members in the place of all but some."""
    return {name: one for name, one in others.items() if name not in kept} | {
        name: one for name, one in value.items() if name in kept
    }


def parsed(text: str) -> Expression | None:
    """Parse, unless it is refused."""
    try:
        return Expression(text)
    except InvalidExpression:
        return None


@given(_TEXTS, _OBJECTS)
def test_evaluation_is_repeatable_and_changes_nothing(text: str, scope: JsonObject) -> None:
    """Twice the same outcome, from a scope that is as it was."""
    if expression := parsed(text):
        before = copy.deepcopy(scope)
        first = outcome(expression, scope)
        assert scope == before
        assert outcome(expression, scope) == first


@given(_TEXTS, _OBJECTS, _OBJECTS, _OBJECTS)
def test_what_is_not_found_to_be_read_makes_no_difference(
    text: str, scope: JsonObject, results: JsonObject, others: JsonObject
) -> None:
    """The outcome is the same whatever stands under other names, and in the outputs of other steps."""
    expression = parsed(text)
    if expression is None or "@" in expression.roots:
        return
    steps = {one.step for one in expression.result_references}
    seen = results if expression.reads_all_results else exchanged(results, others, steps)
    changed = exchanged(scope, others, expression.roots) | {"results": seen}
    assert outcome(expression, scope | {"results": results}) == outcome(expression, changed)
