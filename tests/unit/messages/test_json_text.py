"""Texts that are joined, never decoded: the same bytes as encoding the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from saga.messages.json_text import EMPTY_OBJECT, from_text, splice, to_canonical_text, to_text
from tests.unit.messages.test_strict_json import JSON_VALUES

if TYPE_CHECKING:
    from saga.messages.json_text import Json, JsonObject

NAMES = st.sampled_from(["parameters", "results", "output", "step_one", "compensates"])


@given(
    frame=st.dictionaries(st.sampled_from(["command_id", "attempt", "kind"]), JSON_VALUES),
    payloads=st.dictionaries(NAMES, JSON_VALUES),
)
def test_splicing_equals_encoding_the_whole(frame: dict[str, object], payloads: dict[str, object]) -> None:
    """A command made of stored texts is byte for byte the one made of values."""
    texts = {name: to_text(cast("Json", value)) for name, value in payloads.items()}
    whole = cast("JsonObject", {**frame, **payloads})

    assert splice(texts, onto=cast("JsonObject", frame)) == to_text(whole)
    assert from_text(splice(texts, onto=cast("JsonObject", frame))) == whole


def test_splicing_nothing_gives_an_empty_object() -> None:
    """Neither a stray comma nor a missing brace."""
    assert splice({}) == splice({}, onto={}) == EMPTY_OBJECT


@given(value=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON_VALUES))
def test_the_canonical_text_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    """Equal objects are equal bytes."""
    backward = cast("Json", dict(reversed(value.items())))

    assert to_canonical_text(backward) == to_canonical_text(cast("Json", value))
