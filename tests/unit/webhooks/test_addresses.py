"""Which addresses and which URLs may be called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.webhooks.addresses import may_be_called
from saga.webhooks.policy import CallbackPolicy, CallbackRefused, host_of, parse_hosts

if TYPE_CHECKING:
    import ipaddress

PUBLIC = ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
    "::1", "fd00::1", "fc00::", "::ffff:127.0.0.1", "::ffff:a00:1", "64:ff9b::7f00:1", "64:ff9b::c0a8:1",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1",  # noqa: S104
    "203.0.113.7", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0",
    "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "64:ff9b:1::1", "100::1", "5f00::1",
    "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::127.0.0.1", "localhost", "", "127.1", "0x7f000001",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    """Also where it stands in IPv6's clothes."""
    assert may_be_called(address, may_be_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_may_be_called_only_where_that_is_allowed(address: str) -> None:
    """Loopback, private and carrier-grade ranges, also mapped or translated."""
    assert not may_be_called(address, may_be_private=False)
    assert may_be_called(address, may_be_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_what_is_nobodys_address_is_never_called(address: str) -> None:
    """Link-local, where clouds keep their credentials, multicast, reserved: whatever is allowed."""
    assert not may_be_called(address, may_be_private=False)
    assert not may_be_called(address, may_be_private=True)


@given(st.ip_addresses())
def test_nothing_that_python_calls_special_passes(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """An independent table agrees that what passes is global."""
    if may_be_called(str(address), may_be_private=False) and not str(address).startswith("64:ff9b:"):
        assert address.is_global
        assert not address.is_multicast


PUBLIC_ONLY = CallbackPolicy(
    hosts=("hooks.example.com", "*.shop.example", "127.0.0.1", "::1", "169.254.169.254")
)
ANYBODY = CallbackPolicy(hosts=("*",))
HERE = CallbackPolicy(hosts=("*",), may_be_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com", "https://hooks.example.com/", "HTTPS://Hooks.Example.COM./a?b=c&d=%20",
        "https://hooks.example.com:8443/a/b;c=d", "https://a.shop.example/", "https://a.b.shop.example/",
    ],
)  # fmt: skip
def test_a_listed_host_may_be_called(url: str) -> None:
    """By its name or by a wildcard, in any case, at any port."""
    assert PUBLIC_ONLY.problem_with(url) is None
    PUBLIC_ONLY.check(url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://hooks.example.com/", "https://"),
        ("https://example.com/", "not among those"),
        ("https://shop.example/", "not among those"),
        ("https://evilshop.example/", "not among those"),
        ("https://hooks.example.com.evil.test/", "not among those"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::1]/", "not public"),
        ("https://169.254.169.254/latest/meta-data", "not public"),
        ("https://8.8.8.8/", "not among those"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:70000/", "port"),
        ("https://hooks.example.com/" + "a" * 2_048, "longer"),
    ],
)
def test_what_may_not_be_called_says_why(url: str, problem: str) -> None:
    """The sentence says what to do, and repeats nothing of the address."""
    said = PUBLIC_ONLY.problem_with(url)
    assert said is not None
    assert problem in said
    with pytest.raises(CallbackRefused, match="callback_url"):
        PUBLIC_ONLY.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example.com", "//hooks.example.com/", "ftp://hooks.example.com/", "https:hooks.example.com",
        "https:///", "https://", "https://user@hooks.example.com/", "https://a:b@hooks.example.com/",
        "https://hooks.example.com#x", "https://hooks.example.com/#x", "https://hooks.example.com\\@evil.test/",
        "https://hooks.example.com /", " https://hooks.example.com/", "https://hooks.example.com/\n",
        "https://hooks.example.com/a\r\nHost: evil", "https://hooks.exämple.com/", "https://hooks.example.com/é",
        "https://hooks。example。com/", "https://hooks.example.com:/", "https://hooks..example.com/",
        "https://-hooks.example.com/", "https://.example.com/", f"https://{'a' * 64}.example.com/",
        "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://017700000001/",
        "https://127.1/", "https://0177.0.0.1/", "https://127.0.0.0x1/", "https://1.2.3.4.5/", "https://0x/",
        "https://[::1/", "https://[fe80::1%25eth0]/", "https://[::ffff:127.0.0.1", "https://[1:2]/",
        "https://hooks.example.com/\x00", "javascript:alert(1)", "https://hooks.example.com/<script>",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused_whoever_may_be_called(url: str) -> None:
    """Whatever two parsers might read in two ways, and every old spelling of a number, is no address here."""
    assert ANYBODY.problem_with(url) is not None
    assert HERE.problem_with(url) is not None


def test_private_addresses_and_plain_http_pass_where_they_are_allowed() -> None:
    """The one switch that tests and private networks need; what is nobody's stays out."""
    assert HERE.problem_with("http://127.0.0.1:8080/hook") is None
    assert HERE.problem_with("http://[::1]:8080/hook") is None
    assert HERE.problem_with("http://service_a/hook") is None
    assert HERE.problem_with("http://169.254.169.254/") == "names an address that is not public"


def test_nobody_is_called_where_no_host_is_listed() -> None:
    """The refusal names the setting."""
    assert "SAGA_WEBHOOK_HOSTS" in str(CallbackPolicy().problem_with("https://hooks.example.com/"))
    CallbackPolicy().check(None)


def test_a_host_has_one_spelling() -> None:
    """By which calls to it are counted."""
    spellings = ("https://A.example.com/x", "https://a.example.com.:443", "http://a.example.com?x")
    assert {host_of(url) for url in spellings} == {"a.example.com"}
    assert host_of("http://[::1]:80/") == "::1"


@pytest.mark.parametrize(
    "entry",
    ["https://a.example", "a.example:443", "a.example/x", "*.*.a", "a*.example", "*.", "**", "a b", "1.2"],
)
def test_an_entry_of_the_list_that_is_no_host_is_refused(entry: str) -> None:
    """A list that would never match is an error at start, not a surprise later."""
    with pytest.raises(ValueError, match="each host"):
        parse_hosts(("a.example", entry))


def test_the_list_of_hosts_is_read_in_any_case() -> None:
    """With brackets around IPv6 addresses or without."""
    assert parse_hosts(("A.Example.", "*.B.example", "*", "[::1]", "10.0.0.1")) == (
        "a.example", "*.b.example", "*", "::1", "10.0.0.1",
    )  # fmt: skip
