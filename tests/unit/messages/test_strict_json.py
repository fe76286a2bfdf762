"""The decoder at every door, row by row; what it lets in comes back equal."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.messages.json_text import from_text, to_canonical_text, to_text
from saga.messages.strict_json import (
    DEFAULT_LIMITS,
    JsonLimits,
    MalformedJson,
    UnstorableJson,
    decode,
    pointer_to,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from saga.messages.json_text import Json, JsonObject

SECRET = "CANARY-7f3a"


def _quickest_refusal(refused: Callable[[], object]) -> float:
    """Give the seconds of CPU that a refusal takes: the best of five, which other work can't lengthen."""
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        with pytest.raises(UnstorableJson):
            refused()
        seconds.append(time.process_time() - begun)
    return min(seconds)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n\t",
        b'{"a": 1',
        b'{"a": ',
        b'"abc',
        b"[1,]",
        b"[1 2]",
        b"{a: 1}",
        b"{'a': 1}",
        b"{} {}",
        b"{}x",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
        b"True",
        b"// comment\n1",
        b'"a\nb"',
        b'"\\x41"',
        b"\x00",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32-be"),
        b'"\xff"',
        b'"\xc0\x80"',
        b'"\xed\xa0\x80"',
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"b": {"c": 1, "d": 2, "c": 3}}]',
        b'"\\ud800"',
        b'"\\udc00 \\ud800"',
        b'{"\\ud83d": 1}',
        b'[[{"a": ["\\ud83d\\u0041"]}]]',
    ],
)
def test_what_is_no_json_in_utf_8_is_malformed(body: bytes) -> None:
    """Empty, cut off, in another encoding, or with what Python would let through: 400 at the door."""
    with pytest.raises(MalformedJson) as refused:
        decode(body)
    assert str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"1e999",
        b"[-1e999]",
        b"%d" % 2**63,
        b"%d" % (-(2**63) - 1),
        b"18446744073709551616",
        b"9" * 5_000,
        b"0." + b"1" * 5_000,
        b"1" * 5_000 + b".5",
        b"1e" + b"9" * 5_000,
        b'{"a\\u0000b": 1}',
        b'[{"x": {"\\u0000": 1}}]',
    ],
)
def test_json_that_can_not_be_kept_exactly_is_unstorable(body: bytes) -> None:
    """Numbers out of range and NUL in a key are JSON, but no store gives them back: 422 at the door."""
    with pytest.raises(UnstorableJson):
        decode(body)


@pytest.mark.parametrize(
    "body", [b"9" * 1_000_000, b"[-" + b"9" * 1_000_000 + b"]", b"1." + b"9" * 1_000_000]
)
def test_a_number_of_a_million_digits_is_refused_at_once(body: bytes) -> None:
    """Its cost would grow with the square of the digits; 50 ms is the bound."""
    with pytest.raises(UnstorableJson):
        decode(body)
    assert _quickest_refusal(lambda: decode(body)) < 0.05


@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ('["]", ', "]")]
)
def test_sixty_four_levels_are_taken_and_sixty_five_are_not(opening: str, closing: str) -> None:
    """Arrays and objects count alike."""
    each = 2 if opening.startswith("[{") else 1
    allowed = 64 // each
    assert decode((opening * allowed + "1" + closing * allowed).encode())
    with pytest.raises(UnstorableJson, match="nested deeper than 64"):
        decode((opening * (allowed + 1) + "1" + closing * (allowed + 1)).encode())


def test_a_body_of_nothing_but_brackets_is_refused_within_200_ms() -> None:
    """The decoder never recurses into it."""
    with pytest.raises(UnstorableJson):
        decode(b"[" * 1_000_000)
    assert _quickest_refusal(lambda: decode(b"[" * 1_000_000)) < 0.2


@pytest.mark.parametrize("text", ["[" * 100, '\\"' + "{" * 100, "\\\\" + "[" * 100, "]" * 100 + "[" * 100])
def test_brackets_inside_strings_are_no_nesting(text: str) -> None:
    """Also behind escaped quotation marks and backslashes."""
    body = f'{{"a": "{text}", "b": [["{text}"]]}}'

    assert decode(body.encode()) == json.loads(body)


def test_many_flat_brackets_are_no_nesting() -> None:
    """Width is not depth."""
    assert decode(b"[" + b",".join([b"[]"] * 1_000) + b"]") == [[]] * 1_000


@pytest.mark.parametrize(
    "body",
    [
        "{" + ",".join(f'"{n}":0' for n in range(100_001)) + "}",
        "[" + ",".join(['{"a":0,"b":0,"c":0}'] * 33_334) + "]",
    ],
)
def test_a_hundred_thousand_and_one_keys_are_refused_within_200_ms(body: str) -> None:
    """Counted over the whole body, not per object."""
    limits = JsonLimits(bytes_max=4 * 1024 * 1024)
    with pytest.raises(UnstorableJson, match="more than 100000 keys"):
        decode(body.encode(), limits)
    assert _quickest_refusal(lambda: decode(body.encode(), limits)) < 0.2


def test_a_hundred_thousand_keys_are_taken() -> None:
    """The limit itself is allowed."""
    body = "{" + ",".join(f'"{n}":0' for n in range(100_000)) + "}"

    value = decode(body.encode(), JsonLimits(bytes_max=4 * 1024 * 1024))

    assert isinstance(value, dict)
    assert len(value) == 100_000


def test_a_body_above_the_limit_is_refused_unread() -> None:
    """One byte too many is too many, whatever it says."""
    assert decode(b" " * (DEFAULT_LIMITS.bytes_max - 1) + b"1") == 1
    with pytest.raises(UnstorableJson, match="larger than"):
        decode(b" " * DEFAULT_LIMITS.bytes_max + b"1")


@pytest.mark.parametrize(
    "value",
    [
        {"a": "\x00"},
        {"$set": {"a.b": 1, "$ne": None}, "": {"": ""}},
        {"a": "\u202e\u2028\u2029\ufeff\U0001f3bc"},
        [2**63 - 1, -(2**63), 9007199254740993, 0, -1],
        [0.1, 1e-300, 1.7976931348623157e308, 5e-324, -0.0, 1.0, 1e22, 123456789.123456789],
        {"__proto__": 1, "a/b": {"~": 1}},
        "",
        None,
        False,
        [],
        {},
    ],
)
def test_odd_values_are_taken_and_come_back_equal(value: Json) -> None:
    """An operator's name is only a key, NUL in a value is only a character."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert is_same(decode(text.encode()), value)
    assert is_same(from_text(to_text(value)), value)


def test_a_refusal_repeats_nothing_of_the_body() -> None:
    """What was sent may be a secret: the sentence gives kinds and places only."""
    for body in (
        f'{{"{SECRET}": 1, "{SECRET}": 2}}',
        f'{{"{SECRET}\\u0000": 1}}',
        f'["{SECRET}\\ud800"]',
        f'["{SECRET}" oops]',
        f"{SECRET}",
        f'["{SECRET}", 1e999]',
    ):
        with pytest.raises((MalformedJson, UnstorableJson)) as refused:
            decode(body.encode())
        assert SECRET not in str(refused.value)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@given(value=JSON_VALUES, ascii_only=st.booleans())
def test_what_the_decoder_accepts_comes_back_equal(value: object, ascii_only: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    """Through the stored text and back: the same values of the same types, and the same text again."""
    decoded = decode(json.dumps(value, ensure_ascii=ascii_only).encode())

    stored = to_text(decoded)
    again = from_text(stored)

    assert is_same(again, cast("Json", value))
    assert to_text(again) == stored
    assert to_canonical_text(again) == to_canonical_text(decoded)


@given(
    body=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    """Nothing else ever comes out of the door; what is let in, Python's own decoder reads the same."""
    try:
        value = decode(body)
    except (MalformedJson, UnstorableJson):
        return
    assert is_same(value, json.loads(body.decode()))
    assert is_same(from_text(to_text(value)), value)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [((), ""), (("a", 0, "b"), "/a/0/b"), (("a/b", "m~n", ""), "/a~1b/m~0n/"), (("~1",), "/~01")],
)
def test_a_pointer_escapes_as_rfc_6901_says(path: tuple[str | int, ...], pointer: str) -> None:
    """Slash and tilde in keys don't change the path."""
    assert pointer_to(path) == pointer


def is_same(one: Json, other: Json) -> bool:
    """Compare values and their types: 1, 1.0 and true are three things, and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        theirs = cast("JsonObject", other)
        return list(one) == list(theirs) and all(is_same(one[key], theirs[key]) for key in one)
    if isinstance(one, list):
        items = cast("list[Json]", other)
        return len(one) == len(items) and all(map(is_same, one, items))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, cast("float", other))
    return one == other
