"""What an expression may read where it stands: nothing that may not be there, unless it says what holds then."""

from __future__ import annotations

import pytest

from saga.definition.sources import parse_definition
from tests.unit.definition.writing import FILE, refusal, saga, step

A = step("a", "after: []")
MAYBE = step("maybe", "after: [], when: parameters.go")
# One of two that starts as soon as the other is completed.
BESIDE = step("beside", "after: []")
ANY = step("either", "after: [a, beside], join: any")


def loads(text: str) -> None:
    """Expect no problem."""
    parse_definition(text, source=FILE)


def missing(name: str) -> str:
    """Write the end of the sentence about a result that may be missing."""
    return (
        f"the result of step '{name}' may be missing on a path that leads here; "
        f"say what holds then, for example results.{name} || 'nothing'"
    )


def early(name: str) -> str:
    """Write the end of the sentence about a result of a step that doesn't come before."""
    return f"the result of step '{name}' isn't there yet: it does not come before"


@pytest.mark.parametrize("word", ["when", "for_each", "input", "compensation.input"])
@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("results.a.go", None),
        ("results.first.go", None),
        ("parameters.go", None),
        ("results.other.go", early("other")),
        ("results.other.go || parameters.go", early("other")),
        ("results.z.go", early("z")),
        ("results.nobody.go", "'nobody' is no step of this saga"),
        ("secrets.go", "'secrets' can't be read here; there are parameters, results"),
        ("@", "'@' can't be read here; there are parameters, results"),
        ("results", "name the steps whose results it reads: results.<step>"),
        ("results.*.go", "name the steps whose results it reads: results.<step>"),
    ],
)
def test_only_results_of_steps_that_come_before_are_read(
    word: str, expression: str, says: str | None
) -> None:
    """Any ancestor will do; a step beside, a step after, and nobody are refused, guarded or not."""
    place = f"{word}: {{m: '{expression}'}}" if "input" in word else f"{word}: '{expression}'"
    compensation = f"{{action: undo, input: {{m: '{expression}'}}}}" if "." in word else "undo"
    b = step("b", f"after: [a]{'' if '.' in word else ', ' + place}", compensation=compensation)
    steps = (
        step("first", "after: []"),
        step("other", "after: []"),
        step("a", "after: [first]"),
        b,
        step("z"),
    )

    if says is None:
        loads(saga(*steps))
        return
    where = f"step 'b': {word}" + (".m" if "input" in word else "")
    assert refusal(saga(*steps)) == (f"{where}: {says}",)


def test_a_step_does_not_read_its_own_result_before_it_is_there() -> None:
    """Neither what is sent, nor the condition."""
    assert refusal(saga(step("b", "input: {m: results.b.x}, when: results.b"))) == (
        f"step 'b': when: {early('b')}",
        f"step 'b': input.m: {early('b')}",
    )


def test_an_undo_reads_its_own_result_only_with_a_word_for_where_it_is_missing() -> None:
    """A step is undone also where nobody knows whether it happened, and then there is no result."""
    unguarded, guarded = (
        step("b", compensation=f'{{action: undo, input: {{id: "{text}"}}}}')
        for text in ("results.b.id", "results.b.id || parameters.id")
    )
    assert refusal(saga(unguarded)) == (f"step 'b': compensation.input.id: {missing('b')}",)
    loads(saga(guarded))


def test_an_undo_reads_no_result_of_what_comes_after_its_step() -> None:
    """That is undone before it, or was never started."""
    b = step("b", compensation="{action: undo, input: {id: results.c.id}}")
    assert refusal(saga(b, step("c"))) == (f"step 'b': compensation.input.id: {early('c')}",)


@pytest.mark.parametrize(
    "guarded",
    [
        "results.{0}.x || 'none'",
        "not_null(results.{0}.x, 'none')",
        "results.{0} && results.{0}.x",
        "results.{0} == `null`",
        "!(results.{0})",
    ],
)
@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ((MAYBE,), "maybe"),
        ((MAYBE, step("between")), "maybe"),
        ((A, BESIDE, ANY), "a"),
        ((A, BESIDE, ANY), "beside"),
        ((A, BESIDE, ANY, step("between")), "a"),
        ((MAYBE, step("left_out", "after: [maybe], join: any")), "left_out"),
    ],
)
def test_a_result_that_may_be_missing_needs_a_word_for_that(
    steps: tuple[str, ...], name: str, guarded: str
) -> None:
    """Of a step that may be skipped, or on the other side of a join, and also behind other steps."""
    last = 'input: {{m: "{0}"}}'
    assert refusal(saga(*steps, step("b", last.format(f"results.{name}.x")))) == (
        f"step 'b': input.m: {missing(name)}",
    )
    loads(saga(*steps, step("b", last.format(guarded.format(name)))))


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ((A, BESIDE, ANY, step("both", "after: [a, beside]")), "beside"),
        ((A, step("left"), step("right", "after: [a]"), step("j", "after: [left, right], join: any")), "a"),
        ((A, BESIDE, ANY), "either"),
        ((A, MAYBE, step("j", "after: [a, maybe]")), "a"),
        ((step("list", "for_each: parameters.list"),), "list"),
        (("name: asked, signal: true, timeout: 5",), "asked"),
        (("name: child, process: p, timeout: 5",), "child"),
        ((A, step("skipped", "when: parameters.go")), "a"),
    ],
)
def test_a_result_that_is_there_on_every_path_needs_no_word(steps: tuple[str, ...], name: str) -> None:
    """Behind a join of all, before a fork, behind a step that was skipped itself, and of every kind of step."""
    loads(saga(*steps, step("b", f"input: {{m: results.{name}.x}}")))


@pytest.mark.parametrize("word", ["item", "index"])
def test_an_item_is_read_only_where_there_is_one(word: str) -> None:
    """In what is sent for it and for its undo; the condition and the list are judged before there are items."""
    undo = f"{{action: undo, input: {{m: {word}}}}}"
    loads(saga(step("b", f"for_each: parameters.l, input: {{m: {word}}}", compensation=undo)))

    says = f"'{word}' can't be read here; there are parameters, results"
    assert refusal(saga(step("b", f"for_each: {word}, when: {word}"))) == (
        f"step 'b': when: {says}",
        f"step 'b': for_each: {says}",
    )
    assert refusal(saga(step("b", f"input: {{m: {word}}}", compensation=undo))) == (
        f"step 'b': input.m: {says}",
        f"step 'b': compensation.input.m: {says}",
    )


def test_locks_read_the_parameters_alone() -> None:
    """They are taken before the first step."""
    says = "can't be read here; there are parameters"
    assert refusal(saga(A, head="locks: [parameters.id, results.a.id, item]")) == (
        f"locks: number 2: 'results' {says}",
        f"locks: number 3: 'item' {says}",
    )


def test_a_result_reads_what_is_there_when_all_is_settled() -> None:
    """Of any step, whatever its order; with a word for one that may have been skipped."""
    steps = (A, BESIDE, ANY, MAYBE)
    loads(
        saga(
            *steps, head="result: {m: results.a.x, n: results.beside.x, o: 'results.maybe.x || parameters.x'}"
        )
    )
    assert refusal(saga(*steps, head="result: {m: results.maybe.x, n: item, o: results.nobody}")) == (
        f"result.m: {missing('maybe')}",
        "result.n: 'item' can't be read here; there are parameters, results",
        "result.o: 'nobody' is no step of this saga",
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("when: \"'yes'\"", "when: must give true, false or null, and reads nothing that could make it so"),
        ("when: '`1`'", "when: must give true, false or null, and reads nothing that could make it so"),
        ("for_each: \"'abc'\"", "for_each: must give a list of at most 1000 items, and reads nothing"),
        ("for_each: '`null`'", "for_each: must give a list of at most 1000 items, and reads nothing"),
        ("input: {m: 'abs(`null`)'}", "input.m: never has a value: abs() takes number, not null"),
    ],
)
def test_what_reads_nothing_and_can_only_fail_is_refused(words: str, says: str) -> None:
    """Each process would fail there; behind the pivot each would wait for a person."""
    (sentence,) = refusal(saga(step("b", words)))
    assert sentence.startswith(f"step 'b': {says}")


@pytest.mark.parametrize("key", ["'`null`'", "'`true`'", "'`[1]`'", "\"''\"", "'`1.5`'"])
def test_a_lock_on_no_key_is_refused(key: str) -> None:
    """A key is a text or a whole number."""
    (sentence,) = refusal(saga(A, head=f"locks: [{key}]"))
    assert sentence.startswith("locks: number 1: must give a text or a whole number")


@pytest.mark.parametrize(
    "words",
    ["when: '`false`'", "when: '`null`'", "for_each: '`[1]`'", "for_each: '`[]`'", "input: {m: '`7`'}"],
)
def test_a_constant_that_can_be_used_is_taken(words: str) -> None:
    """A fixed list, a step that is switched off, a constant that is sent; and one lock for all."""
    loads(saga(step("b", words), head="locks: [\"'everybody'\", '`7`']"))
