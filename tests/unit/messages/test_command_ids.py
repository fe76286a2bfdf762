"""Command ids: derived, readable back, and short enough for every broker."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.definition.model import ATTEMPTS_MAX
from saga.messages.command import NAME_PATTERN, CommandRef, parse_command_id

REFS = st.builds(
    CommandRef,
    process_id=st.uuids().map(str) | st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    step=st.from_regex(NAME_PATTERN, fullmatch=True),
    kind=st.sampled_from(["action", "compensation"]),
    attempt=st.integers(min_value=1, max_value=999_999),
)


@given(ref=REFS)
def test_an_id_reads_back_to_what_it_was_made_of(ref: CommandRef) -> None:
    """A reply needs no lookup: its id says whose it is."""
    assert parse_command_id(ref.command_id) == ref
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,128}", ref.command_id)
    assert ref.command_id.startswith(ref.idempotency_key)


@given(ref=REFS, other=REFS)
def test_different_commands_have_different_ids(ref: CommandRef, other: CommandRef) -> None:
    """Two commands never share an id, two effects never share a key."""
    assert (ref == other) == (ref.command_id == other.command_id)
    is_one_effect = (ref.process_id, ref.step, ref.kind) == (other.process_id, other.step, other.kind)
    assert is_one_effect == (ref.idempotency_key == other.idempotency_key)


def test_the_longest_id_fits_128_characters() -> None:
    """The longest process id, the longest name and the last attempt."""
    ref = CommandRef("p" * 64, "s" * 40, "compensation", ATTEMPTS_MAX)
    assert len(ref.command_id) <= 128
    assert parse_command_id(ref.command_id) == ref


def test_the_key_stays_the_same_over_all_attempts() -> None:
    """And differs between a step and its undo."""
    process_id = str(uuid.UUID(int=7))
    keys = {CommandRef(process_id, "hotel", "action", attempt).idempotency_key for attempt in (1, 2, 3)}
    assert len(keys) == 1
    assert CommandRef(process_id, "hotel", "compensation", 1).idempotency_key not in keys


@pytest.mark.parametrize(
    "nonsense",
    [
        "", ".", "..", "p", "p.hotel", "p.hotel.a", "p.hotel.a0", "p.hotel.a01", "p.hotel.x1", "p.hotel.a1.",
        ".hotel.a1", "p..a1", "p.Hotel.a1", "p.hotel.a1\n", "p.hotel.a-1", "p.hotel.a1000000", "p q.hotel.a1",
        "p.hotel.03.a1", "p.hotel.-1.a1", "p.hotel.3.4.a1",
        "p/../hotel.a1", "p.hotel.a\u0663", "\x00.hotel.a1", "p" * 65 + ".hotel.a1",
        "p." + "h" * 41 + ".a1", "é.hotel.a1", "x" * 100_000,
    ],
)  # fmt: skip
def test_nonsense_is_no_id(nonsense: str) -> None:
    """None for whatever no command of ours was ever called."""
    assert parse_command_id(nonsense) is None
