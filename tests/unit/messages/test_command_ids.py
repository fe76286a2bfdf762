"""Command ids: derived, readable back, and short enough for every broker."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.definition.model import ATTEMPTS_MAX, ITEMS_MAX
from saga.messages.command import NAME_PATTERN, CommandRef, parse_command_id

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)
ITEMS = st.builds(lambda name, index: f"{name}[{index}]", NAMES, st.integers(min_value=0, max_value=999_999))
REFS = st.builds(
    CommandRef,
    process_id=st.uuids().map(str) | st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    step=NAMES | ITEMS,
    kind=st.sampled_from(["action", "compensation", "verify"]),
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
    """The longest process id, the longest name, the last item and the last attempt."""
    for step in ("s" * 40, f"{'s' * 40}[{ITEMS_MAX - 1}]", f"{'s' * 40}[999999]"):
        ref = CommandRef("p" * 64, step, "compensation", max(ATTEMPTS_MAX, 999_999))
        assert len(ref.command_id) <= 128
        assert parse_command_id(ref.command_id) == ref


def test_an_item_of_a_step_has_its_index_in_the_id() -> None:
    """As the contract writes it: the process, the step, the item, the kind and the attempt."""
    assert CommandRef("p", "hotel[3]", "action", 1).command_id == "p.hotel.3.a1"
    assert CommandRef("p", "hotel[0]", "compensation", 12).command_id == "p.hotel.0.c12"
    assert CommandRef("p", "hotel[3]", "action", 1).idempotency_key == "p.hotel.3.a"
    assert CommandRef("p", "hotel", "verify", 2).command_id == "p.hotel.v2"
    assert parse_command_id("p.hotel.3.a1") == CommandRef("p", "hotel[3]", "action", 1)


def test_the_key_stays_the_same_over_all_attempts() -> None:
    """And differs between a step, its undo, the question about it, and each of its items."""
    process_id = str(uuid.UUID(int=7))
    keys = {CommandRef(process_id, "hotel", "action", attempt).idempotency_key for attempt in (1, 2, 3)}
    assert len(keys) == 1
    keys.update(
        CommandRef(process_id, "hotel", kind, 1).idempotency_key for kind in ("compensation", "verify")
    )
    keys.update(CommandRef(process_id, f"hotel[{item}]", "action", 1).idempotency_key for item in (0, 1, 11))
    assert len(keys) == 6


@pytest.mark.parametrize(
    "nonsense",
    [
        "", ".", "..", "p", "p.hotel", "p.hotel.a", "p.hotel.a0", "p.hotel.a01", "p.hotel.x1", "p.hotel.a1.",
        ".hotel.a1", "p..a1", "p.Hotel.a1", "p.hotel.a1\n", "p.hotel.a-1", "p.hotel.a1000000", "p q.hotel.a1",
        "p.hotel.03.a1", "p.hotel.-1.a1", "p.hotel.3.4.a1", "p.hotel[3].a1", "p.hotel..a1", "p.hotel.3.a0",
        "p.hotel.1000000.a1", "p.hotel.3", "p.3.a1", "p.hotel.\u0663.a1", "p.hotel.v0", "p.hotel.A1",
        "p/../hotel.a1", "p.hotel.a\u0663", "\x00.hotel.a1", "p" * 65 + ".hotel.a1",
        "p." + "h" * 41 + ".a1", "é.hotel.a1", "x" * 100_000,
    ],
)  # fmt: skip
def test_nonsense_is_no_id(nonsense: str) -> None:
    """None for whatever no command of ours was ever called."""
    assert parse_command_id(nonsense) is None
