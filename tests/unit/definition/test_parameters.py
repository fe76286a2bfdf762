"""Parameters judged by a type's schema: pointers, sentences, and never a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.definition.parameters import PROBLEMS_MAX, ParameterSchema

if TYPE_CHECKING:
    from saga.messages.json_text import Json, JsonObject

CANARY = "CANARY-7f3a"

SCHEMA: JsonObject = {
    "type": "object",
    "required": ["id", "level"],
    "properties": {
        "id": {"type": "string", "minLength": 3, "maxLength": 20, "pattern": "^doc"},
        "level": {"enum": ["full", "quick"]},
        "pages": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        "a/b~c": {"type": ["integer", "null"]},
        "one": {"oneOf": [{"const": 1}, {"const": 2}]},
        "never": False,
    },
    "additionalProperties": False,
}


def problems(parameters: JsonObject, schema: JsonObject = SCHEMA) -> tuple[tuple[str, str], ...]:
    """Judge."""
    return ParameterSchema(schema).problems_with(parameters)


def test_good_parameters_have_no_problems() -> None:
    """What the schema allows passes."""
    assert problems({"id": "doc123", "level": "full", "pages": [1, 2], "a/b~c": None}) == ()


@pytest.mark.parametrize(
    ("parameters", "pointer", "says"),
    [
        ({"level": "full"}, "/id", "is required"),
        ({"id": 5, "level": "full"}, "/id", 'must be of type "string"'),
        ({"id": "doc1", "level": "slow"}, "/level", 'does not satisfy enum ["full","quick"]'),
        ({"id": "doc1", "level": "full", "pages": [1, "x"]}, "/pages/1", 'must be of type "integer"'),
        ({"id": "doc1", "level": "full", "a/b~c": "x"}, "/a~1b~0c", 'must be of type ["integer","null"]'),
        ({"id": "doc1", "level": "full", "more": 1}, "", "holds a member that the schema does not allow"),
        ({"id": "x", "level": "full"}, "/id", "does not satisfy minLength 3"),
    ],
)
def test_a_problem_is_a_pointer_and_a_sentence(parameters: JsonObject, pointer: str, says: str) -> None:
    """The pointer leads to the value or to where it is missing; the sentence gives the rule."""
    assert (pointer, says) in problems(parameters)


def test_each_missing_member_has_a_pointer_of_its_own() -> None:
    """Not one sentence that lists them, and none twice."""
    assert sorted(problems({})) == [("/id", "is required"), ("/level", "is required")]


@pytest.mark.parametrize(
    "value", [CANARY, [CANARY], {"x": CANARY}, [CANARY, CANARY], f"doc {CANARY} {'x' * 40}", [1.5, CANARY]]
)
@pytest.mark.parametrize("member", ["id", "level", "pages", "a/b~c", "one", "never", "surplus"])
def test_no_sentence_repeats_a_value(member: str, value: Json) -> None:
    """A secret in the parameters must not reach an answer, a log or a dead letter's header."""
    parameters: JsonObject = {"id": "doc123", "level": "full"}
    found = problems(parameters | {member: value})

    assert CANARY not in repr(found)


def test_at_most_twenty_problems_are_told() -> None:
    """A hostile body doesn't become a hostile answer."""
    pages: list[Json] = ["x"] * 10_000
    schema: JsonObject = {"properties": {"pages": {"items": {"type": "integer"}}}}

    assert len(problems({"pages": pages}, schema)) == PROBLEMS_MAX


def test_a_long_rule_is_not_quoted() -> None:
    """A list of a thousand allowed values is named, not repeated."""
    schema: JsonObject = {"properties": {"a": {"enum": [f"value{n}" for n in range(1000)]}}}

    assert problems({"a": "x"}, schema) == (("/a", "does not satisfy enum of the schema"),)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "#/$defs/nope"}, {"$dynamicRef": "http://x/y"}])
def test_a_schema_that_can_not_judge_is_a_problem_and_no_crash(schema: JsonObject) -> None:
    """A start by it is refused; it must not take the door down with it."""
    ((pointer, sentence),) = problems({"a": 1}, schema)

    assert pointer == ""
    assert "can't be judged" in sentence
