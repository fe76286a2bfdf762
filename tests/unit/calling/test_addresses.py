"""The addresses of a service are read once, and their secrets are kept away from what is shown."""

from __future__ import annotations

import pytest

from saga.calling.address import InvalidAddress, read_addresses


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://hotel:8000", ["http://hotel:8000/book"]),
        ("http://a , https://B.internal/", ["http://a/book", "https://b.internal/book"]),
        ("http://hotel/v1/steps/", ["http://hotel/v1/steps/book"]),
        ("http://[::1]:81/x", ["http://[::1]:81/x/book"]),
        ("http://hotel/v1?key=s3cret", ["http://hotel/v1/book?key=s3cret"]),
        ("http://compose_name:80", ["http://compose_name:80/book"]),
    ],
)
def test_the_action_stands_behind_the_path(text: str, urls: list[str]) -> None:
    """A path of the address is kept, its query too, and several addresses are separated by commas."""
    assert [address.url_of("book") for address in read_addresses(text)] == urls


def test_a_user_becomes_basic_authorization() -> None:
    """User and password are decoded, and the address no longer holds them."""
    (address,) = read_addresses("http://us%40er:p%2Css@hotel:1/x?token=s3cret")

    assert address.authorization == "Basic dXNAZXI6cCxzcw=="
    assert address.shown == "http://hotel:1/x"
    for secret in ("p,ss", "p%2Css", "s3cret", "dXNA"):
        assert secret not in repr(address)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("http://a,,http://b", "empty address"),
        ("http://canary,http://canary/", "the same address twice"),
        ("amqp://canary", "must begin with http:// or https://"),
        ("canary", "must begin with http:// or https://"),
        ("http://", "names no host"),
        ("http://user:canary@", "names no host"),
        ("http://can ary", "printable ASCII"),
        ("http://canary\r\nX: y", "printable ASCII"),
        ("http://cänary", "printable ASCII"),
        ("http://h:canary", "can't be one"),
        ("http://h:99999", "can't be one"),
        ("http://h:0", "neither the port 0"),
        ("http://h/#canary", "nor a fragment"),
        ("http://[canary", "can't be one"),
        ("http://can<ary>", "names no host"),
        ("http://canary..x", "names no host"),
        (f"http://{'canary' * 11}", "names no host"),
        ("http://a,ftp://canary", "its address 2 must begin"),
        ("http://" + "canary" * 400, "2048 at most"),
        (",".join(f"http://h{number}" for number in range(65)), "64 at most"),
    ],
)
def test_what_can_be_no_address_is_refused_without_repeating_it(text: str, sentence: str) -> None:
    """The sentence follows the name of the variable, and never says what stood there."""
    with pytest.raises(InvalidAddress) as refused:
        read_addresses(text)

    assert sentence in str(refused.value)
    assert "canary" not in str(refused.value)
