"""How the words of the language are refused: the sentence names the step, the word, and what to do."""

from __future__ import annotations

import pytest

from saga import Compensation, InvalidDefinition, Saga, Step, Verify
from saga.definition.canonical import canonical_text, definition_hash
from saga.definition.sources import parse_definition
from tests.unit.definition.writing import FILE, refusal, saga, step

HEAD = "name: b"
# Words of the library that judges, which mean nothing to whoever writes a definition.
NOISE = (
    "constrained", "Definition", "RetryPolicy", "tuple", "Tuple", "dict", "instance", "literal[", "function-",
    "[key]", "Value error", "pydantic",
)  # fmt: skip

JOIN = "step 'b': join: give all, any, or how many of 'after' it waits for: a number from 1 to 1000"
ONE_KIND = "step 'b': a step has a service and its action, or a process, or it is a signal: one of the three"
BOTH = "step 'b': a step that a service carries out names both 'service' and 'action'"
NO_SENDING = "step 'b': nothing is sent for a signal: it has no 'for_each' and no 'input'"
NO_UNDO = (
    "step 'b': a signal has nothing to undo and is not tried again: it has no 'compensation' and no 'retry'"
)
OF_A_PROCESS = (
    "step 'b': what undoes a process are its own compensations: leave 'compensation' out, or say none"
)
AN_ACTION = "give the name of an action or an object with it, or leave it out"
NOT_ASKED = "step 'b': only a service can be asked: 'verify' stands beside 'service'"
NO_LOCKS = "on_locked: says what to do about a lock that is taken, and there are no 'locks'"
ONE_PIVOT = "step 'b': the pivot is one step: it has no 'for_each'"
NO_LIST = "step 'b': 'at_once' bounds a 'for_each', and there is none"


def told(*steps: str, head: str = "") -> str:
    """Give the one sentence, which speaks the language of definitions."""
    (sentence,) = refusal(saga(*steps, head=head))
    assert not [word for word in NOISE if word in sentence]
    assert sentence.isprintable()
    return sentence


@pytest.mark.parametrize("value", ["0", "-1", "1001", "some", "true", "1.0", "'1'", "[1]", "{}", "''"])
def test_a_join_is_all_any_or_a_number(value: str) -> None:
    """One sentence says what may stand there."""
    assert told(step(), step("b", f"join: {value}")) == JOIN


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "for_each: parameters.l, at_once: 0",
            "step 'b': at_once: Input should be greater than or equal to 1",
        ),
        (
            "for_each: parameters.l, at_once: 1001",
            "step 'b': at_once: Input should be less than or equal to 1000",
        ),
        ("for_each: parameters.l, at_once: many", "step 'b': at_once: Input should be a valid integer"),
        ("timeout: -1", "step 'b': timeout: Input should be greater than or equal to 0.001"),
        ("when: 'a ['", "step 'b': when: not JMESPath: it ends too early"),
        ("when: true", "step 'b': when: Input should be a text"),
        ("when: ''", "step 'b': when: empty"),
        ("for_each: [1]", "step 'b': for_each: Input should be a text"),
        ("for_each: 'f(x)'", "step 'b': for_each: there is no function f()"),
        ("input: text", "step 'b': input: Input should be an object"),
        ("input: [a]", "step 'b': input: Input should be an object"),
        ("input: {a: 5}", "step 'b': input.a: Input should be a text"),
        ("input: {a: 'b ['}", "step 'b': input.a: not JMESPath: it ends too early"),
        (
            "input: {'': a}",
            "step 'b': input: a name in it can't be used: String should have at least 1 character",
        ),
        ("verify: {}", "step 'b': verify.action: Field required"),
        ("verify: 5", f"step 'b': verify: {AN_ACTION}"),
        ("verify: none", f"step 'b': verify: {AN_ACTION}"),
        ("verify: [look]", f"step 'b': verify: {AN_ACTION}"),
        ("verify: {action: look, fences: often}", "step 'b': verify.fences: Input should be a valid boolean"),
        ("verify: {action: look, input: {}}", "step 'b': verify.input: Extra inputs are not permitted"),
        ("retry: often", "step 'b': retry: Input should be an object"),
        ("after: a", "step 'b': after: Input should be a list"),
        ("signal: maybe", "step 'b': signal: Input should be a valid boolean"),
    ],
)
def test_a_word_with_a_wrong_value_is_told_in_words_of_the_language(words: str, sentence: str) -> None:
    """The step and the word come first; neither a class nor a type of the implementation is named."""
    assert told(step(), step("b", words)) == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (HEAD, ONE_KIND),
        (f"{HEAD}, service: s, signal: true", ONE_KIND),
        (f"{HEAD}, service: s, action: x, signal: true", ONE_KIND),
        (f"{HEAD}, action: x, process: p", ONE_KIND),
        (f"{HEAD}, signal: true, process: p", ONE_KIND),
        (f"{HEAD}, service: s, compensation: none", BOTH),
        (f"{HEAD}, action: x, compensation: none", BOTH),
        (f"{HEAD}, signal: true, for_each: parameters.list", NO_SENDING),
        (f"{HEAD}, signal: true, input: {{a: parameters.a}}", NO_SENDING),
        (f"{HEAD}, signal: true, compensation: undo", NO_UNDO),
        (f"{HEAD}, signal: true, retry: {{attempts: 2}}", NO_UNDO),
        (f"{HEAD}, signal: true, verify: look", NOT_ASKED),
        (f"{HEAD}, process: p, verify: look", NOT_ASKED),
        (f"{HEAD}, process: p, compensation: undo", OF_A_PROCESS),
        (f"{HEAD}, process: p, compensation: {{action: undo}}", OF_A_PROCESS),
        (step("b", "at_once: 3"), NO_LIST),
        (f"{HEAD}, signal: true, at_once: 3", NO_LIST),
        (step("b", "pivot: true, for_each: parameters.list"), ONE_PIVOT),
    ],
)
def test_words_that_cannot_stand_together_are_refused(words: str, sentence: str) -> None:
    """What contradicts itself is told in one sentence about the step."""
    assert told(step(), words) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("5", "compensation: give the name of an action, none, or an object with it, or leave it out"),
        ("false", "compensation: give the name of an action, none, or an object with it, or leave it out"),
        ("[none]", "compensation: give the name of an action, none, or an object with it, or leave it out"),
        ("{}", "compensation.action: Field required"),
        ("{action: undo, input: text}", "compensation.input: Input should be an object"),
        ("{action: undo, input: {a: 'b ['}}", "compensation.input.a: not JMESPath: it ends too early"),
        ("{action: undo, when: parameters.a}", "compensation.when: Extra inputs are not permitted"),
    ],
)
def test_a_compensation_that_is_none_is_told_plainly(value: str, sentence: str) -> None:
    """Which of the ways to write one was meant is not guessed by the name of a class."""
    assert told(step("b", compensation=value)) == f"step 'b': {sentence}"


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("on_locked: wait", NO_LOCKS),
        ("locks: []\non_locked: wait", NO_LOCKS),
        ("locks: [parameters.a]\non_locked: maybe", "on_locked: Input should be 'wait', 'refuse' or 'join'"),
        ("locks: ['a [']\non_locked: wait", "locks.0: not JMESPath: it ends too early"),
        ("locks: parameters.a", "locks: Input should be a list"),
        ("locks: [5]", "locks.0: Input should be a text"),
        (
            f"locks: [{', '.join(['parameters.a'] * 11)}]",
            "locks: List should have at most 10 items after validation, not 11",
        ),
        ("deadline: 0", "deadline: Input should be greater than or equal to 0.001"),
        ("deadline: soon", "deadline: not a duration: give seconds as a number, or ISO 8601 such as PT30S"),
        ("result: results.a", "result: Input should be an object"),
        ("result: {a: [1]}", "result.a: Input should be a text"),
        ("result: {a: 'b ['}", "result.a: not JMESPath: it ends too early"),
    ],
)
def test_a_word_of_the_saga_is_refused_by_its_name(head: str, sentence: str) -> None:
    """What stands beside the steps is named likewise, and nothing follows from another mistake."""
    assert told(step(), head=head) == sentence


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            'input: {"a\\0": parameters.a}',
            "step 'b': input: a name in it can't be used: holds a NUL character",
        ),
        ('input: {"\\ud800": parameters.a}', "step 'b': input: a name in it can't be used: "),
        ('when: "parameters.\\"\\ud800\\""', "step 'b': when: holds half of a character"),
        ('retry: {retry_on: ["\\ud800"]}', "step 'b': retry.retry_on.0: holds half of a character"),
    ],
)
def test_text_that_cannot_be_kept_or_sent_is_refused(words: str, says: str) -> None:
    """A definition is stored and hashed, and what it builds is sent: no error may wait until then."""
    assert told(step(), step("b", words)).startswith(says)


@pytest.mark.parametrize("name", ["é", "with space", "a.b", "日本", "\U0001f600", "x" * 200])
def test_members_may_have_any_other_name(name: str) -> None:
    """They are the participants' words, not ours."""
    definition = parse_definition(saga(step("b", f'input: {{"{name}": parameters.a}}')), source=FILE)
    assert len(definition_hash(canonical_text(definition))) == 64


def test_all_complaints_about_one_step_are_told() -> None:
    """Wrong values of several words are several sentences."""
    problems = refusal(saga(step("b", "join: 0, when: 5, for_each: 'a [', at_once: 0, verify: {}, input: 7")))
    assert [sentence.split(": ")[1] for sentence in problems] == [
        "verify.action", "join", "when", "for_each", "at_once", "input",
    ]  # fmt: skip


def test_the_builder_refuses_with_the_same_sentences() -> None:
    """A mistake reads the same in Python, at the class that it was made in."""
    with pytest.raises(InvalidDefinition, match=r"step 'b'.*join: give all, any, or how many"):
        Step("b", service="s", action="x", join="some")
    with pytest.raises(InvalidDefinition, match=r"step 'b'.*one of the three"):
        Step("b", signal=True, process="p")
    with pytest.raises(InvalidDefinition, match=r"step 'b'.*'at_once' bounds a 'for_each'"):
        Step("b", service="s", action="x", at_once=2)
    with pytest.raises(InvalidDefinition, match=r"step 'b'.*verify: give the name of an action"):
        Step("b", service="s", action="x", verify="none")
    with pytest.raises(InvalidDefinition, match=r"verify 'Look'.*action: String should match"):
        Verify("Look")
    with pytest.raises(InvalidDefinition, match=r"compensation 'undo'.*input.a: not JMESPath"):
        Compensation("undo", input={"a": "b ["})
    with pytest.raises(InvalidDefinition, match=r"saga 't'.*on_locked: says what to do"):
        Saga("t", steps=[Step("a", signal=True)], on_locked="wait")
