"""Who may be called back: what an address must look like, and which hosts are allowed."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import ClassVar

from saga.errors import SagaError
from saga.messages.start import CALLBACK_URL_MAX
from saga.webhooks.addresses import may_be_called

_HOST_MAX = 253
# Narrower than the standard on purpose: no two parsers read what passes here in two ways. No user, no fragment,
# no backslash, no space, no character beyond ASCII.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][a-z0-9\-._~:/?@!$&'()*+,;=%\[\]]*)?",
    re.ASCII | re.IGNORECASE,
)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
# What ends like this is read as an IPv4 address by those who know the old spellings: 127.1, 0x7f000001.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_PORT_MAX = 65_535
EVERY_HOST = "*"


class CallbackRefused(SagaError):  # noqa: N818 - says what is the case
    """Say that a process is not started, since its callback address would not be called."""

    code: ClassVar[str] = "callback-refused"

    def __init__(self, problem: str) -> None:
        super().__init__(f"callback_url {problem}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """Hold who may be called back: hosts by name, `*.example.com` for all below one, `*` for all.

    With `may_be_private` plain http, loopback and private addresses are allowed too. Without hosts nobody is
    called.
    """

    hosts: tuple[str, ...] = ()
    may_be_private: bool = False

    def problem_with(self, url: str) -> str | None:
        """Say in a sentence without a subject why an address is not called; None where it may be.

        What a name stands for is not looked up here: the sender does that, each time.
        """
        if not self.hosts:
            return "can't be obeyed: this service calls nobody back, since its SAGA_WEBHOOK_HOSTS is not set"
        problem = form_problem(url)
        if problem is not None:
            return problem
        if url[:5].lower() != "https" and not self.may_be_private:
            return "must begin with https://"
        host = host_of(url)
        if not any(_fits(host, allowed) for allowed in self.hosts):
            return "names a host that is not among those that this service may call (SAGA_WEBHOOK_HOSTS)"
        if _is_literal(host) and not may_be_called(host, may_be_private=self.may_be_private):
            return "names an address that is not public"
        return None

    def check(self, url: str | None) -> None:
        """Raise CallbackRefused for an address that would not be called; none at all is well."""
        problem = None if url is None else self.problem_with(url)
        if problem is not None:
            raise CallbackRefused(problem)


NOBODY = CallbackPolicy()


def form_problem(url: str) -> str | None:
    """Say what is wrong with the form of an address, whoever may be called; None where it is well."""
    if len(url) > CALLBACK_URL_MAX:
        return f"is longer than {CALLBACK_URL_MAX} characters"
    match = _URL.fullmatch(url)
    if match is None:
        return "is no plain https address: no user and fragment, ASCII only (other alphabets in punycode)"
    if match["port"] is not None and not 0 < int(match["port"]) <= _PORT_MAX:
        return "has a port that does not exist"
    host = host_of(url)
    if _is_literal(host):
        return None
    if len(host) > _HOST_MAX or _NAME.fullmatch(host) is None or _NUMERIC.fullmatch(host) is not None:
        return "names no host: write a name, or an address in its usual form"
    return None


def host_of(url: str) -> str:
    """Give the host of an address of good form: in lower case, without brackets and the dot at its end."""
    match = _URL.fullmatch(url)
    return "" if match is None else match["host"].lower().strip("[]").removesuffix(".")


def parse_hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Read the list of hosts that may be called. Raises ValueError."""
    hosts = tuple(entry.lower().strip("[]").removesuffix(".") for entry in entries)
    for entry, host in zip(entries, hosts, strict=True):
        name = host.removeprefix("*.")
        is_name = _NAME.fullmatch(name) is not None and _NUMERIC.fullmatch(name) is None
        if not (entry == EVERY_HOST or _is_literal(host) or is_name):
            raise ValueError(
                "each host is a name without scheme and port, *.name for all below it, an address, or * for all"
            )
    return hosts


def _fits(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:]) and len(host) > len(allowed) - 1
    return allowed in (EVERY_HOST, host)


def _is_literal(host: str) -> bool:
    for kind in (IPv4Address, IPv6Address):
        try:
            kind(host)
        except AddressValueError:
            continue
        return True
    return False
