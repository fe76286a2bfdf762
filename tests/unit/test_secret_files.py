"""Secrets by environment or by file: what is taken, and what is refused with a sentence that shows none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga.secret_files import BYTES_MAX, UnusableSecret, secret

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "amqp://user:canary@host/"


def _refusal(environment: dict[str, str]) -> str:
    with pytest.raises(UnusableSecret) as refused:
        secret(environment, "SAGA_AMQP_URL")
    assert "canary" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_comes_from_its_file_without_the_newline_at_its_end(tmp_path: Path, ending: str) -> None:
    """Editors and `echo` put a newline there, and it belongs to no password."""
    file = tmp_path / "url"
    file.write_bytes((CANARY + ending).encode())
    assert secret({"SAGA_AMQP_URL_FILE": str(file)}, "SAGA_AMQP_URL") == CANARY


def test_a_secret_keeps_what_is_no_newline(tmp_path: Path) -> None:
    """A space at the end may well be part of it."""
    file = tmp_path / "url"
    file.write_text(" a b \n", encoding="utf-8")
    assert secret({"NAME_FILE": str(file)}, "NAME") == " a b "


def test_a_secret_comes_from_the_environment_where_no_file_is_named() -> None:
    """Empty means not set, as of any other setting."""
    assert secret({"NAME": "value", "NAME_FILE": ""}, "NAME") == "value"
    assert secret({"NAME": ""}, "NAME") is None
    assert secret({}, "NAME") is None


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """Nobody could say which of them counts; the sentence names both variables."""
    environment = {"SAGA_AMQP_URL": CANARY, "SAGA_AMQP_URL_FILE": str(tmp_path / "url")}
    assert _refusal(environment) == "SAGA_AMQP_URL and SAGA_AMQP_URL_FILE are both set: set one of them"


def test_a_file_that_is_missing_or_no_file_is_refused_by_its_path(tmp_path: Path) -> None:
    """The sentence says where it looked and why it found nothing."""
    missing = tmp_path / "missing"
    assert _refusal({"SAGA_AMQP_URL_FILE": str(missing)}) == (
        f"SAGA_AMQP_URL_FILE: {missing} can't be read (No such file or directory)"
    )
    assert "can't be read (Is a directory)" in _refusal({"SAGA_AMQP_URL_FILE": str(tmp_path)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"canary\n\n", "is not one line of text"),
        (b"user: canary\npassword: canary\n", "is not one line of text"),
        (b"canary\0", "is not one line of text"),
        (b"canary\xff", "is not UTF-8 text"),
        (b"canary " * BYTES_MAX, f"is larger than {BYTES_MAX} bytes"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """An empty one, another kind of file, the wrong file: each is told, and none of its content is shown."""
    file = tmp_path / "url"
    file.write_bytes(content)
    assert f"SAGA_AMQP_URL_FILE: {file} {reason}" in _refusal({"SAGA_AMQP_URL_FILE": str(file)})
