"""What is refused when a definition is loaded: each time with the file, the step, and what to do."""

from __future__ import annotations

import time

import pytest

from saga.definition.checks import warnings_in
from saga.definition.sources import parse_definition
from tests.unit.definition.writing import FILE, refusal, saga, step


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (saga(step("b", "colour: red")), "step 'b': colour: Extra inputs"),
        (saga(step("b", "1: red")), "step 'b': 1: Keys should be strings"),
        (saga(step("b", "retry: {tries: 3}")), "step 'b': retry.tries: Extra inputs"),
        (saga(step("b", compensation="{action: x, speed: 3}")), "step 'b': compensation.speed: Extra inputs"),
        (saga(step(), head="colour: red"), "colour: Extra inputs"),
    ],
)
def test_an_unknown_key_is_refused(text: str, says: str) -> None:
    """A misspelt key is never ignored, at any level."""
    assert any(sentence.startswith(says) for sentence in refusal(text))


@pytest.mark.parametrize(
    "name", ["Trip", "2nd", "_a", "a-b", "a.b", "''", '"a\\n"', "é", "a" * 41, "5", "null"]
)
@pytest.mark.parametrize("word", ["name", "service", "action"])
def test_a_name_that_breaks_the_pattern_is_refused(word: str, name: str) -> None:
    """Names go into ids, queues and routing keys, so they are plain."""
    words = {"name": "b", "service": "s", "action": "x"} | {word: name}
    text = ", ".join(f"{key}: {value}" for key, value in words.items())

    (sentence,) = refusal(saga(text + ", compensation: none"))

    # Null is as good as left out: the sentence says then which words belong together.
    assert (f"'{word}'" if name == "null" and word != "name" else f"{word}: ") in sentence
    assert sentence.startswith("step ")


def test_the_process_types_name_is_judged_too() -> None:
    """It is a part of routing keys as well."""
    (sentence,) = refusal(saga(step()).replace("process_type: t", "process_type: 'a.*'"))
    assert sentence.startswith("process_type: ")


def test_a_name_used_twice_is_refused() -> None:
    """Two steps of one name would share commands and outcomes."""
    assert refusal(saga(step("b"), step("b"))) == ("step 'b': the name is used 2 times",)


def test_an_unknown_step_in_after_is_refused() -> None:
    """The step would wait for ever."""
    assert refusal(saga(step(), step("b", "after: [a, car]"))) == (
        "step 'b': 'after' names 'car', which is no step of this saga",
    )


@pytest.mark.parametrize("value", ["a", "5", "[5]", "{a: b}"])
def test_after_is_a_list_of_names(value: str) -> None:
    """A lone name is not read as a list of letters."""
    (sentence,) = refusal(saga(step(), step("b", f"after: {value}")))
    assert sentence.startswith("step 'b': after")


@pytest.mark.parametrize(
    ("steps", "cycle"),
    [
        ([step("a", "after: [a]")], "a -> a"),
        ([step("a", "after: [b]"), step("b", "after: [a]")], "b -> a -> b"),
        ([step("z", "after: []"), step("a", "after: [z, c]"), step("b"), step("c")], "b -> c -> a -> b"),
    ],
)
def test_a_cycle_is_refused_and_shown(steps: list[str], cycle: str) -> None:
    """The sentence walks once around the cycle, in the order in which its steps would run."""
    (sentence,) = refusal(saga(*steps))
    first = cycle.partition(" -> ")[0]
    assert sentence == f"step '{first}': 'after' makes a cycle: {cycle}"


def test_a_cycle_through_a_thousand_steps_is_found_quickly() -> None:
    """Neither recursion nor time runs out."""
    steps = [step("s0", "after: [s999]"), *(step(f"s{n}") for n in range(1, 1000))]
    text = saga(*steps)
    document_only = time.perf_counter()
    parse_definition(saga(step("s0", "after: []"), *steps[1:]), source=FILE)
    sound_s = time.perf_counter() - document_only

    begun = time.perf_counter()
    (sentence,) = refusal(text)

    assert sentence.count(" -> ") == 1000
    assert time.perf_counter() - begun < max(2 * sound_s, 5.0)


def test_a_thousand_and_one_steps_are_refused() -> None:
    """The limit is stated and enforced."""
    (sentence,) = refusal(saga(*(step(f"s{n}") for n in range(1001))))
    assert "1000" in sentence


def test_a_step_before_the_pivot_needs_a_compensation() -> None:
    """Left out it is an omission; that there is nothing to undo must be said."""
    steps = ["name: a, service: s, action: x", step("p", "pivot: true"), "name: z, service: s, action: x"]
    (sentence,) = refusal(saga(*steps))
    assert sentence == (
        "step 'a': has no compensation; name the action that undoes it, "
        "or say 'compensation: none' if there is nothing to undo"
    )


def test_without_a_pivot_every_step_needs_a_compensation() -> None:
    """Also the last one, since a failure beside it may come later."""
    problems = refusal(saga("name: a, service: s, action: x", "name: b, service: s, action: x"))
    assert [sentence.split(":")[0] for sentence in problems] == ["step 'a'", "step 'b'"]


def test_a_step_beside_the_pivot_needs_a_compensation_too() -> None:
    """Only what comes after the pivot is behind it."""
    steps = [step("p", "pivot: true, after: []"), "name: beside, service: s, action: x, after: []"]
    (sentence,) = refusal(saga(*steps))
    assert sentence.startswith("step 'beside': has no compensation")


def test_two_pivots_are_refused() -> None:
    """There is one point of no return at most; the sentence names both."""
    assert refusal(saga(step("p", "pivot: true"), step("q", "pivot: true"))) == (
        "step 'q': a saga has one pivot at most, and 'p' is it",
    )


@pytest.mark.parametrize(
    "value",
    ["-1", "0", "soon", "''", "P", "PT", "PT-3S", "30s", "P1M", "P1Y", "PT٣S", ".nan", ".inf", "true", "[3]",
     "31622401", "P5000W"],
)  # fmt: skip
def test_a_timeout_that_is_no_duration_is_refused(value: str) -> None:
    """Nonsense, nothing, and more than a year are all errors with the step and the word."""
    (sentence,) = refusal(saga(step("b", f"timeout: {value}")))
    assert sentence.startswith("step 'b': timeout: ")


@pytest.mark.parametrize(
    "policy",
    ["attempts: 0", "attempts: 1001", "attempts: 2.5", "attempts: '3'", "attempts: true", "backoff: -1",
     "factor: 0.5", "factor: 101", "jitter: 1.1", "jitter: -0.1", "max_backoff: never", "retry_on: timeout",
     "retry_on: [5]", "factor: .nan"],
)  # fmt: skip
def test_a_retry_policy_beyond_its_limits_is_refused(policy: str) -> None:
    """At each of the three places where one may stand; nothing is coerced."""
    word = policy.partition(":")[0]
    (of_step,) = refusal(saga(step("b", f"retry: {{{policy}}}")))
    (of_undo,) = refusal(saga(step("b", compensation=f"{{action: undo, retry: {{{policy}}}}}")))
    (of_saga,) = refusal(saga(step("b"), head=f"retry: {{{policy}}}"))

    assert of_step.startswith(f"step 'b': retry.{word}")
    assert of_undo.startswith(f"step 'b': compensation.retry.{word}")
    assert of_saga.startswith(f"retry.{word}")


@pytest.mark.parametrize(
    "text",
    [
        "process_type: t\nprocess_type: u\n" + saga(step()),
        saga(step("b", "name: c")),
        saga(step("b", "retry: {attempts: 1, attempts: 2}")),
        saga(step(), head="parameters: {properties: {a: {type: string}, a: {type: number}}}"),
    ],
)
def test_a_key_given_twice_is_refused(text: str) -> None:
    """YAML would keep one of them without a word."""
    (sentence,) = refusal(text)
    assert "is given twice" in sentence
    assert "line" in sentence


def test_a_shared_part_may_be_merged_in() -> None:
    """YAML's own way to share settings is no repeated key; what is written out wins."""
    shared = "  - &common {name: a, service: s, action: x, compensation: none, timeout: 7}\n"
    text = f"process_type: t\nsteps:\n{shared}  - {{<<: *common, name: b}}\n"

    assert [one.timeout for one in parse_definition(text, source=FILE).steps] == [7, 7]


@pytest.mark.parametrize(
    "value",
    ["!!python/object:os.system {}", "!!python/object/apply:os.system [ls]", "!!python/name:os.system ''",
     "!!python/module:os ''", "!unknown {}"],
)  # fmt: skip
def test_an_unsafe_tag_is_refused(value: str) -> None:
    """A definition is data: no tag of it makes an object or runs code."""
    (sentence,) = refusal(f"process_type: t\nsteps:\n- {value}\n")
    assert "could not determine a constructor" in sentence


@pytest.mark.parametrize(
    "text",
    ["", "- a", "5", "{", "a: b: c", "process_type: t", "process_type: t\nsteps: []", "steps: []",
     "process_type: t\nsteps: 5", "process_type: t\nsteps: [5]", "process_type: t\nsteps: [null]",
     saga(step()) + "---\n{}", "[" * 2000, "{? [a] : b}", "\x00"],
)  # fmt: skip
def test_what_is_no_definition_is_refused_with_a_reason(text: str) -> None:
    """Whatever the text is, the answer is a sentence about the file, never an error of a library."""
    assert refusal(text)


@pytest.mark.parametrize(
    "schema",
    ["{$ref: 'http://example.org/schema'}", "{properties: {a: {$ref: 'other.json#/a'}}}",
     "{items: {$dynamicRef: 'http://example.org/schema'}}", "{allOf: [{$ref: 'file:///etc/passwd'}]}"],
)  # fmt: skip
def test_a_foreign_reference_in_the_parameters_is_refused(schema: str) -> None:
    """Nothing is ever fetched to judge parameters, so such a schema could judge nothing."""
    (sentence,) = refusal(saga(step(), head=f"parameters: {schema}"))
    assert "leads out of the schema; put the part into $defs" in sentence


@pytest.mark.parametrize("reference", ["#/$defs/nope", "#nope", "#/properties/0/1"])
def test_a_reference_that_leads_nowhere_is_refused(reference: str) -> None:
    """No start could ever be judged by it."""
    (sentence,) = refusal(saga(step(), head=f"parameters: {{properties: {{a: {{$ref: '{reference}'}}}}}}"))
    assert f"the reference {reference!r} leads nowhere" in sentence


@pytest.mark.parametrize(
    "schema",
    ["{$ref: '#/$defs/a', $defs: {a: {type: object}}}", "{properties: {a: {$ref: '#'}}}",
     "{properties: {$ref: {type: string}}}", "{$ref: '#a', $defs: {b: {$anchor: a}}}",
     "{$id: 'http://example.org/s', $ref: '#/$defs/a', $defs: {a: {}}}",
     "{$defs: {b: {$id: 'http://example.org/b', $defs: {c: {}}, $ref: '#/$defs/c'}}}"],
)  # fmt: skip
def test_a_reference_within_the_schema_is_fine(schema: str) -> None:
    """Parts of the schema itself may be named, and a parameter may even be called `$ref`."""
    assert parse_definition(saga(step(), head=f"parameters: {schema}"), source=FILE).parameters


@pytest.mark.parametrize(
    "schema",
    ["{type: nonsense}", "{required: a}", "{properties: {a: {pattern: '['}}}", "[]", "5", "{minimum: .nan}",
     "{default: .inf}", '{title: "\\ud800"}', "{default: 2026-11-24}"],
)  # fmt: skip
def test_what_is_no_json_schema_is_refused(schema: str) -> None:
    """It would fail at the first start otherwise, or when the definition is stored."""
    (sentence,) = refusal(saga(step(), head=f"parameters: {schema}"))
    assert sentence.startswith("parameters")


def test_all_problems_are_told_at_once() -> None:
    """Whoever mends a definition sees the whole list."""
    problems = refusal(saga(step("A"), step("b", "timeout: soon"), step("c", "colour: red")))
    assert [sentence.split(": ")[0] for sentence in problems] == ["step 'A'", "step 'b'", "step 'c'"]


def test_an_undo_that_nothing_asks_for_is_a_warning() -> None:
    """From the pivot on nothing turns back: allowed, but probably not meant."""
    definition = parse_definition(
        saga(
            step("a", compensation="undo"),
            step("p", "pivot: true", compensation="undo"),
            step("z", compensation="undo"),
        ),
        source=FILE,
    )
    assert [sentence.split(": ")[0] for sentence in warnings_in(definition)] == ["step 'p'", "step 'z'"]
