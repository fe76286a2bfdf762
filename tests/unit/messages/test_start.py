"""The start command: what makes one well-formed, and two the same request."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from saga.messages.json_text import from_text
from saga.messages.start import (
    CALLBACK_URL_MAX,
    KEY_MAX,
    LABEL_KEY_MAX,
    LABEL_VALUE_MAX,
    LABELS_MAX,
    InvalidStart,
    StartCommand,
    id_for_key,
    id_for_message,
    parse_start,
)

if TYPE_CHECKING:
    from saga.messages.json_text import Json, JsonObject

ID = "0199a1b2-0000-7000-8000-000000000001"
BODY: JsonObject = {"process_type": "trip", "parameters": {"a": 1}}


def test_the_smallest_start_has_a_type_and_parameters() -> None:
    """Everything else is optional, and what nobody knows is ignored."""
    assert parse_start(BODY | {"colour": "red"}) == StartCommand("trip", {"a": 1})


def test_null_says_the_same_as_left_out() -> None:
    """Clients that write every member are served too."""
    nulls: JsonObject = dict.fromkeys(("labels", "callback_url", "process_id", "idempotency_key"))
    assert parse_start(BODY | nulls) == parse_start(BODY)


@pytest.mark.parametrize(
    "body", [None, [], "start", 5, True, {}, {"process_type": "trip"}, {"parameters": {}}]
)
def test_what_lacks_a_part_is_refused(body: Json) -> None:
    """Both the type and the parameters must be there."""
    with pytest.raises(InvalidStart):
        parse_start(body)


WRONG: dict[str, list[Json]] = {
    "process_type": [None, "", 5, True, ["trip"], {"$ne": None}],
    "parameters": [None, "{}", 5, [], True],
    "labels": [
        [], "a", 5, {"a": 1}, {"a": None}, {"a": {"$ne": ""}}, {"": "a"}, {"k" * (LABEL_KEY_MAX + 1): "a"},
        {"k": "v" * (LABEL_VALUE_MAX + 1)}, {f"k{n}": "v" for n in range(LABELS_MAX + 1)},
    ],
    "process_id": ["", "p1", 5, ["x"], {"$ne": None}, ID + "0", f"{ID}\n"],
    "idempotency_key": ["", 5, ["k"], "k" * (KEY_MAX + 1), "a\nb", "\u00e9", "a\x7f"],
    "callback_url": ["", 5, ["https://example.com/"], "h" * (CALLBACK_URL_MAX + 1)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("member", "value"), [(member, value) for member, values in WRONG.items() for value in values]
)
def test_a_member_of_the_wrong_form_is_refused_by_its_name(member: str, value: Json) -> None:
    """Nothing is coerced, and the sentence names the member without repeating what it held."""
    with pytest.raises(InvalidStart, match=member):
        parse_start(BODY | {member: value})


def test_what_is_as_long_as_allowed_is_taken() -> None:
    """The limits themselves are fine."""
    labels: JsonObject = {
        f"{n:02}".ljust(LABEL_KEY_MAX, "k"): "v" * LABEL_VALUE_MAX for n in range(LABELS_MAX)
    }
    started = parse_start(BODY | {"labels": labels, "idempotency_key": "k" * KEY_MAX})

    assert started.labels == labels
    assert started.idempotency_key == "k" * KEY_MAX


@pytest.mark.parametrize("spelling", [ID, ID.upper(), f"{{{ID}}}", f"urn:uuid:{ID}", ID.replace("-", "")])
def test_a_process_id_has_one_spelling(spelling: str) -> None:
    """However the caller writes the UUID, it is the same process."""
    assert parse_start(BODY | {"process_id": spelling}).process_id == ID


def test_the_request_does_not_depend_on_the_order_of_keys() -> None:
    """A client that builds its object anew repeats the same request."""
    one = parse_start(
        {"process_type": "t", "parameters": {"a": {"x": 1, "y": 2}, "b": 3}, "labels": {"k": "1", "l": "2"}}
    )
    other = parse_start(
        {"labels": {"l": "2", "k": "1"}, "parameters": {"b": 3, "a": {"y": 2, "x": 1}}, "process_type": "t"}
    )
    assert one.request_hash == other.request_hash


@pytest.mark.parametrize(
    "change",
    [{"process_type": "other"}, {"parameters": {"a": 2}}, {"parameters": {"a": 1.0}},
     {"parameters": {"a": True}}, {"parameters": {"a": 1, "b": None}}, {"labels": {"k": "v"}}],
)  # fmt: skip
def test_another_request_has_another_hash(change: JsonObject) -> None:
    """Whatever a process would do differently makes it another request."""
    assert parse_start(BODY | change).request_hash != parse_start(BODY).request_hash


def test_how_a_request_is_named_is_no_part_of_it() -> None:
    """The same order under a key and under an id is the same order."""
    named = parse_start(BODY | {"process_id": ID, "idempotency_key": "k"})
    assert named.request_hash == parse_start(BODY).request_hash


def test_the_body_on_the_broker_reads_back_to_the_same_request() -> None:
    """The API's start message and the caller's are one request, under the id that it has by now."""
    command = parse_start(BODY | {"labels": {"k": "v"}, "idempotency_key": "key"})

    sent = parse_start(from_text(command.to_body(ID)))

    assert sent.process_id == ID
    assert sent.idempotency_key is None
    assert sent.request_hash == command.request_hash


def test_keys_and_message_ids_have_namespaces_of_their_own() -> None:
    """The same text as a key, as a message id, and of another sender names three processes."""
    ids = {
        id_for_key("anna", "1"),
        id_for_key("bob", "1"),
        id_for_message("anna", "1"),
        id_for_message("bob", "1"),
    }

    assert len(ids) == 4
    assert all(str(uuid.UUID(one)) == one for one in ids)
    assert id_for_key("anna", "1") in ids
