"""Which addresses may be called: what an address is for, whatever it is written like or wrapped in.

The tables are those of IANA's registries of special-purpose addresses, written out: what Python's `ipaddress`
calls global differs between its versions.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_PRIVATE_V4 = tuple(
    map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
# Nobody's own network either: this network, link-local (where clouds keep their credentials), protocols,
# documentation, relays, benchmarks, multicast, reserved and broadcast.
_NEVER_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))
_PUBLIC_V6 = IPv6Network("2000::/3")
# Inside of it, but with an address of another kind in them, or nobody's: Teredo and its neighbours, 6to4,
# documentation.
_NEVER_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# What stands for an IPv4 address is judged as that one: mapped ones, and those of NAT64's well-known prefix.
_WRAPPING = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))


def may_be_called(address: str, *, may_be_private: bool) -> bool:
    """Say whether an address is public; private ones and loopback pass where that is allowed, others never."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if any(parsed in network for network in _WRAPPING):
            parsed = IPv4Address(int(parsed) & 0xFFFF_FFFF)
        else:
            return _is_good_v6(parsed, may_be_private=may_be_private)
    if any(parsed in network for network in _PRIVATE_V4):
        return may_be_private
    return not any(parsed in network for network in _NEVER_V4)


def _is_good_v6(address: IPv6Address, *, may_be_private: bool) -> bool:
    if any(address in network for network in _PRIVATE_V6):
        return may_be_private
    return address in _PUBLIC_V6 and not any(address in network for network in _NEVER_V6)
