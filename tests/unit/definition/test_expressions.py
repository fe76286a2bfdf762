"""Expressions: what is refused at once, and what they give."""

from __future__ import annotations

import contextlib
import copy
import pickle
import warnings
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.definition.expressions import (
    DEPTH_MAX,
    TEXT_MAX,
    Expression,
    ExpressionFailed,
    InvalidExpression,
)
from saga.messages.json_text import to_canonical_text
from saga.messages.strict_json import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from saga.messages.json_text import Json, JsonObject

CANARY = "CANARY-7f3a"

SCOPE: JsonObject = {
    "parameters": {"id": "doc1", "pages": [3, 1, 2], "items": [{"n": 1}, {"n": 2, "x": "y"}]},
    "results": {"scan": {"ok": True, "list": [1, 2]}, "empty": {}},
}


def value_of(text: str, scope: JsonObject = SCOPE) -> Json:
    """Evaluate."""
    return Expression(text).evaluate(scope)


def failure_of(text: str, scope: JsonObject = SCOPE) -> str:
    """Evaluate what has no value; the message is one line that repeats nothing of the scope."""
    with pytest.raises(ExpressionFailed) as caught:
        Expression(text).evaluate(scope)
    message = str(caught.value)
    assert "\n" not in message
    assert CANARY not in message
    return message


def refusal_of(text: str) -> str:
    """Parse what is no expression; the message is one line."""
    with pytest.raises(InvalidExpression) as caught:
        Expression(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("  ", "ends too early"),
        ("a[", "ends too early"),
        ("a b", "Unexpected token: b, at character 3"),
        ("a\n\nb", "at character 4"),
        ("a-1", "at character 2"),
        ("a = b", "Unknown token '=', at character 3"),
        ("'a", "Unclosed ' delimiter, at character 1"),
        ("a.'b'", "got: literal, at character 3"),
        ("`{`", "must be JSON"),
        ("`bare`", "must be JSON; text is written as 'text'"),
        ("a == `bare`", "must be JSON"),
        ("'\\", "Unclosed"),
        ('"\\x"', "at character 1"),
        ("a" * (TEXT_MAX + 1), "longer than 1000 characters"),
    ],
)
def test_what_is_no_jmespath_is_refused(text: str, says: str) -> None:
    """The line says what is wrong and where."""
    assert says in refusal_of(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("random()", "there is no function random()"),
        ("length()", "length() takes 1 argument, not 0"),
        ("starts_with(a)", "starts_with() takes 2 arguments, not 1"),
        ("not_null()", "not_null() takes at least 1 argument, not 0"),
        ("map(a, b)", "argument 1 of map() must be a reference, like &name"),
        ("&a", "a reference (&) must be an argument"),
        ("to_string(&a)", "a reference (&) must be an argument"),
        ("[&a]", "a reference (&) must be an argument"),
        ("a || &b", "a reference (&) must be an argument"),
        ("map(&b, &a)", "a reference (&) must be an argument"),
        ("a[::0]", "a slice can't have the step 0"),
        ("`NaN`", "a number is not finite"),
        ("`1e999`", "a number is not finite"),
        (f"`{INT64_MAX + 1}`", "outside 64 bits"),
        ('`"\\ud800"`', "lone surrogate"),
        ("a[?f(x)]", "there is no function f()"),
        ("sort_by(a, &f(x))", "there is no function f()"),
    ],
)
def test_what_could_never_have_a_value_is_refused(text: str, says: str) -> None:
    """Unknown functions, wrong counts, stray references and literals that nobody can keep are seen at once."""
    assert says in refusal_of(text)


@pytest.mark.parametrize("text", ["!a.b", "!a.*", "!a[]", "!a[?b]", "!results.scan", "[!a.b]", "x && !a.b.c"])
def test_a_negation_of_less_than_it_seems_is_refused(text: str) -> None:
    """The library reads !a.b as (!a).b, which is always null."""
    assert "write !(a.b)" in refusal_of(text)


@pytest.mark.parametrize("text", ["!(a.b)", "!a", "!a[0]", "!a && b", "!a | b", "!!a", "!contains(a, b)"])
def test_other_negations_are_taken(text: str) -> None:
    """Only a path behind the negated part is suspicious."""
    assert Expression(text).text == text


@pytest.mark.parametrize(
    "nest",
    [
        lambda n: "(" * n + "a" + ")" * n,
        lambda n: "[" * n + "a" + "]" * n,
        lambda n: "!" * n + "a",
        lambda n: "a" + "[?a" * n + "]" * n,
        lambda n: "abs(" * n + "a" + ")" * n,
        lambda n: "`" + "[" * n + "]" * n + "`",
        lambda n: "a" + "||a" * n,
        lambda n: "a" + "[*]" * n,
        lambda n: "a" + ".*" * n,
    ],
)
def test_nesting_is_bounded_wherever_it_is_parsed(nest: Callable[[int], str]) -> None:
    """What is taken doesn't depend on the stack of the caller: a little is taken, too much is refused."""
    assert Expression(nest(DEPTH_MAX // 2)).text
    for levels in (DEPTH_MAX + 1, 150, 330):
        if len(text := nest(levels)) <= TEXT_MAX:
            assert "nested deeper than 64" in refusal_of(text)
    assert refusal_of(nest(499))


def test_the_deepest_expressions_can_be_evaluated() -> None:
    """The limits of text keep evaluation far from the limit of the stack."""
    levels = DEPTH_MAX - 2
    assert value_of("[" * levels + "a" + "]" * levels, {"a": 1}) is not None
    assert value_of("a" + " || a" * levels, {}) is None


@pytest.mark.parametrize("action", ["ignore", "error"])
def test_a_bare_word_is_refused_whatever_happens_to_warnings(action: str) -> None:
    """The library warns of it; that must be neither a crash nor permission."""
    with warnings.catch_warnings():
        warnings.simplefilter(action)  # type: ignore[arg-type]
        assert "must be JSON" in refusal_of("`word`")


@given(st.text(alphabet="ab.[]{}()*@&|!<>=?:,'\"`\\ -01\n", max_size=30) | st.text(max_size=20))
def test_parsing_raises_nothing_else(text: str) -> None:
    """Whatever the text, it is an expression or it is refused."""
    with contextlib.suppress(InvalidExpression):
        Expression(text)


def test_expressions_of_the_same_text_are_equal() -> None:
    """They are values: hashable, immutable, and they survive a copy."""
    one, same, other = Expression("a.b"), Expression("a.b"), Expression("a . b")
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert repr(one) == "Expression(text='a.b')"
    assert pickle.loads(pickle.dumps(one)).evaluate({"a": {"b": 1}}) == 1  # noqa: S301 - our own
    assert copy.deepcopy(one) == one
    with pytest.raises(AttributeError):
        one.text = "c"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("parameters.id", "doc1"),
        ("parameters.missing.deeper", None),
        ("results.scan.list[-1]", 2),
        ("results.skipped || 'none'", "none"),
        ("results.empty || 'none'", "none"),
        ("not_null(results.empty, 'none')", {}),
        ("{id: parameters.id, n: length(parameters.items)}", {"id": "doc1", "n": 2}),
        ("parameters.items[?n > `1`].x | [0]", "y"),
        ("sort(parameters.pages)", [1, 2, 3]),
        ("sort_by(parameters.items, &n)[-1].n", 2),
        ("results.scan.ok && parameters.id == 'doc1'", True),
        ("results.skipped == `null`", True),
        ("!(results.scan.ok)", False),
        ('`{"a": [1.5, null]}`', {"a": [1.5, None]}),
        ("to_string(results.scan)", '{"ok":true,"list":[1,2]}'),
        ("map(&to_string(n), parameters.items)", ["1", "2"]),
        ("results.scan.list[99999999999999999999]", None),
        ("'1' < `2`", "fails"),
    ],
)
def test_an_expression_gives_its_value(text: str, value: Json) -> None:
    """Missing names are null; the functions are those of JMESPath."""
    if value == "fails":
        assert "can't be compared" in failure_of(text)
    else:
        assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "scope", "says"),
    [
        ("length(a)", {}, "length() takes string or array or object, not null"),
        ("sum(a)", {"a": [1, CANARY]}, "sum() takes array of number, not string"),
        ("abs(a)", {"a": CANARY}, "abs() takes number, not string"),
        ("sort_by(a, &x)", {"a": [{"x": 1}, {"x": CANARY}]}, "sort_by() takes number, not string"),
        ("a < b", {"a": 1, "b": CANARY}, "can't be compared"),
        ("contains(a, b)", {"a": CANARY, "b": 1}, "searched"),
        ("merge(a, b)", {"a": {}, "b": 1}, "merged"),
        ("merge(a, b)", {"a": {}, "b": [[1, CANARY]]}, "the key of a member is no string"),
        ("max_by(a, &x)", {"a": [{"x": 1}, {"x": CANARY}]}, "can't be compared"),
        ("ceil(to_number(a))", {"a": "inf"}, "a number grows out of range"),
        ("ceil(to_number(a))", {"a": "nan"}, "rounded"),
        ("to_number(a)", {"a": "nan"}, "a number is not finite"),
        ("[to_number(a)]", {"a": "-1e999"}, "a number is not finite"),
        ("to_number(a)", {"a": str(INT64_MAX + 1)}, "an integer is outside 64 bits"),
        ("sum(a)", {"a": [INT64_MIN, -1]}, "an integer is outside 64 bits"),
        ("ceil(a)", {"a": 1e300}, "an integer is outside 64 bits"),
        ("sum(a)", {"a": [1e308, 1e308]}, "out of range"),
        ('{"\\u0000": a}', {"a": 1}, "a key holds a NUL character"),
        ('{"\\ud800": a}', {"a": 1}, "lone surrogate"),
    ],
)
def test_what_has_no_value_fails_in_words(text: str, scope: JsonObject, says: str) -> None:
    """The line names the function or the kind of number, and no value."""
    assert says in failure_of(text, scope)


def test_integers_are_kept_up_to_64_bits() -> None:
    """The limits themselves are fine."""
    assert value_of("to_number(a)", {"a": str(INT64_MAX)}) == INT64_MAX
    assert value_of("a", {"a": INT64_MIN}) == INT64_MIN


def test_a_value_may_be_nested_64_levels_deep() -> None:
    """As deep as what comes in from outside, and no deeper."""
    deep: Json = 1
    for _ in range(64):
        deep = [deep]
    assert value_of("a", {"a": deep}) == deep
    assert failure_of("[a]", {"a": deep}) == "the value is nested deeper than 64"


@pytest.mark.parametrize(
    "text",
    [
        "|".join(["[@,@]"] * 60),
        "|".join(["[@,@][]"] * 60),
        "|".join(["{a:@,b:@}"] * 60) + "|a==b",
        "|".join(["[@,@]"] * 40) + "[*]" * 20,
        "p|" + "|".join(["join('',[@,@])"] * 60),
        "|".join(["to_string([@])"] * 60),
        "|".join(["merge({a:@},{b:@})"] * 50),
    ],
)
def test_work_is_bounded(text: str) -> None:
    """A short text can ask for more than any machine has; it fails, soon."""
    assert failure_of(text, {"p": CANARY}) == "it takes too much work"


def test_large_data_is_no_work_out_of_proportion() -> None:
    """As many objects as a body may hold can be built anew."""
    scope: JsonObject = {"items": [{"x": 1, "y": 2}] * 50_000}
    assert value_of("length(items[*].{a: x, b: y})", scope) == 50_000


def test_sums_are_the_same_on_every_python() -> None:
    """Python 3.11 adds floats from left to right, 3.12 compensates; a replay may run on either."""
    assert value_of("sum(a)", {"a": [0.1] * 10}) == 1.0
    assert value_of("avg(a)", {"a": [0.1] * 10}) == 0.1
    assert value_of("[sum(a), avg(b), sum(b)]", {"a": [1, 2], "b": []}) == [3, None, 0]
    assert to_canonical_text(value_of("sum(a)", {"a": [2**62, 1]})) == str(2**62 + 1)


@pytest.mark.parametrize(
    "text", ["@", "a", "a[]", "a[*]", "merge(b, {c: a})", "to_array(a)", "`[[1]]`", "not_null(a)"]
)
def test_a_value_shares_nothing_with_the_scope_or_the_expression(text: str) -> None:
    """Whoever changes a value changes neither what it was made of nor what comes next."""
    scope: JsonObject = {"a": [[1]], "b": {"c": 2}}
    before = copy.deepcopy(scope)
    expression = Expression(text)
    first = expression.evaluate(scope)
    expected = copy.deepcopy(first)
    _spoil(first)
    assert scope == before
    assert expression.evaluate(scope) == expected
    assert Expression(text).evaluate(scope) == expected


def _spoil(value: Json) -> None:
    if isinstance(value, list):
        for item in value:
            _spoil(item)
        value.append("spoilt")
    elif isinstance(value, dict):
        for item in value.values():
            _spoil(item)
        value["spoilt"] = True
