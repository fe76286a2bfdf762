"""The smallest parameters that a schema takes, where they can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.testing.explore_parameters import NoExample, example_parameters

if TYPE_CHECKING:
    from pydantic import JsonValue


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, {}),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {}),
        ({"required": ["a"], "properties": {"a": {"type": "string", "minLength": 9}}}, {"a": "examplexx"}),
        ({"required": ["a"], "properties": {"a": {"type": "integer", "minimum": 3}}}, {"a": 3}),
        ({"required": ["a"], "properties": {"a": {"type": "number", "exclusiveMinimum": 0}}}, {"a": 1}),
        ({"required": ["a"], "properties": {"a": {"maximum": -1, "type": "integer"}}}, {"a": -1}),
        ({"required": ["a"], "properties": {"a": {"type": "boolean"}}}, {"a": False}),
        ({"required": ["a"], "properties": {"a": {"type": ["null", "string"]}}}, {"a": None}),
        ({"required": ["a"], "properties": {"a": {"enum": ["x", "y"]}}}, {"a": "x"}),
        ({"required": ["a"], "properties": {"a": {"const": 7}}}, {"a": 7}),
        ({"required": ["a"], "properties": {"a": {"default": [1], "enum": [[1], [2]]}}}, {"a": [1]}),
        ({"required": ["a"], "properties": {"a": {"examples": ["e"], "type": "string"}}}, {"a": "e"}),
        (
            {
                "required": ["a"],
                "properties": {"a": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/n"}}},
                "$defs": {"n": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
            },
            {"a": [1, 1]},
        ),
    ],
)
def test_an_example_is_made(schema: dict[str, JsonValue], expected: object) -> None:
    """Only what is required is there; const, default, examples and enum say what it is."""
    assert example_parameters(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"required": ["a"], "properties": {"a": {"type": "string", "pattern": "^[0-9]+$"}}},
        {"type": "array"},
        {"required": ["a"], "properties": {"a": False}},
    ],
)
def test_where_none_can_be_made_that_is_said(schema: dict[str, JsonValue]) -> None:
    """What the schema refuses is no example."""
    with pytest.raises(NoExample):
        example_parameters(schema)
