"""Where a service is: read from the settings once, with its secrets kept away from everything that is shown."""

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

ADDRESSES_MAX = 64
_LENGTH_MAX = 2_048
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL}){{0,126}}\.?|\[[0-9A-Fa-f:.]{{2,45}}\]")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class InvalidAddress(ValueError):  # noqa: N818 - the name of what came in
    """Say what is wrong with an address, but never what stood there: it may hold a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """Hold one address of a service; `shown` is what anybody may see of it."""

    shown: str
    query: str = field(default="", repr=False)
    authorization: str | None = field(default=None, repr=False)

    def url_of(self, action: str) -> str:
        """Give where an action is asked for: its name after the path, before the query."""
        url = f"{self.shown.rstrip('/')}/{action}"
        return f"{url}?{self.query}" if self.query else url


def read_addresses(text: str) -> tuple[Address, ...]:
    """Read addresses that are separated by commas. Raises InvalidAddress."""
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise InvalidAddress("is empty, or has an empty address between its commas")
    if len(parts) > ADDRESSES_MAX:
        raise InvalidAddress(f"has {len(parts)} addresses: {ADDRESSES_MAX} at most")
    many = len(parts) > 1
    addresses = tuple(
        _read(part, f"its address {number} " if many else "") for number, part in enumerate(parts, 1)
    )
    if len({address.shown for address in addresses}) < len(addresses):
        raise InvalidAddress("has the same address twice: each counts as a server of its own")
    return addresses


def _read(text: str, which: str) -> Address:
    if len(text) > _LENGTH_MAX or _PRINTABLE.fullmatch(text) is None:
        raise InvalidAddress(
            f"{which}must be printable ASCII without a blank, {_LENGTH_MAX} at most (write others as %xx)"
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidAddress(f"{which}has a host or a port that can't be one") from None
    if parts.scheme not in {"http", "https"}:
        raise InvalidAddress(f"{which}must begin with http:// or https://")
    if port == 0 or parts.fragment or "#" in text:
        raise InvalidAddress(f"{which}must have neither the port 0 nor a fragment (#)")
    return Address(
        shown=f"{parts.scheme}://{_host_and_port(parts, which)}{parts.path.rstrip('/')}",
        query=parts.query,
        authorization=_basic(parts),
    )


def _host_and_port(parts: SplitResult, which: str) -> str:
    place = parts.netloc.rpartition("@")[2]
    host = place if place.endswith("]") else re.sub(r":[0-9]*$", "", place)
    if _HOST.fullmatch(host) is None:
        raise InvalidAddress(f"{which}names no host that can be called")
    return place.lower().removesuffix(":")


def _basic(parts: SplitResult) -> str | None:
    """Write user and password as HTTP's basic authorization wants them."""
    given, at, _ = parts.netloc.rpartition("@")
    if not at:
        return None
    user, _, password = given.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
