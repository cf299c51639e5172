"""Which network addresses may be connected to.

``ipaddress.is_global`` is no guard: it calls multicast and every transition
form that hides an IPv4 address global. The check here names what it lets
through instead, and looks into the forms that carry another address.
"""

from __future__ import annotations

import ipaddress
from enum import Enum

__all__ = ["Reach", "classify"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(Enum):
    """How far an address reaches, and with it who may ask for it."""

    PUBLIC = "public"
    """Anybody's: no leave is needed."""

    PRIVATE = "private"
    """Loopback, private, unique-local, shared: an administrator must have allowed the host."""

    FORBIDDEN = "forbidden"
    """Link-local, multicast, unspecified, reserved or a cloud's metadata service: nobody may ask."""


def _v4(*networks: str) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(ipaddress.IPv4Network(network) for network in networks)


def _v6(*networks: str) -> tuple[ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.IPv6Network(network) for network in networks)


_FORBIDDEN_V4 = _v4(
    "0.0.0.0/8",
    "100.100.100.200/32",  # Alibaba Cloud's metadata service, inside the shared range
    "168.63.129.16/32",  # Azure's platform service, a public address
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PRIVATE_V4 = _v4("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15")

_FORBIDDEN_V6 = _v6(
    "2001::/23",  # Teredo, ORCHID, benchmarking and the other IETF assignments
    "2001:db8::/32",
    "3fff::/20",
    "fd00:ec2::/32",  # EC2's metadata service, inside the unique-local range
    "fd20:ce::/32",  # Compute Engine's metadata service, the same
)
_PRIVATE_V6 = _v6("::1/128", "fc00::/7")
_GLOBAL_V6 = _v6("2000::/3")

_LAST_32_BITS = _v6("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
"""Mapped, translated and NAT64 addresses: the IPv4 address is at the end."""
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_ISATAP = 0x00005EFE
_IPV4_MASK = 0xFFFFFFFF


def classify(address: str | Address) -> Reach:
    """Tell how far an address reaches.

    Parameters
    ----------
    address
        An address in canonical text or parsed.

    Raises
    ------
    ValueError
        Raised if the text is no address.
    """
    parsed = ipaddress.ip_address(address) if isinstance(address, str) else address
    if isinstance(parsed, ipaddress.IPv4Address):
        return _classify_v4(parsed)
    return _classify_v6(parsed)


def _classify_v4(address: ipaddress.IPv4Address) -> Reach:
    if any(address in network for network in _FORBIDDEN_V4):
        return Reach.FORBIDDEN
    if any(address in network for network in _PRIVATE_V4):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _classify_v6(address: ipaddress.IPv6Address) -> Reach:
    number = int(address)
    if any(address in network for network in _LAST_32_BITS):
        return _classify_v4(ipaddress.IPv4Address(number & _IPV4_MASK))
    if address in _SIX_TO_FOUR:
        return _classify_v4(ipaddress.IPv4Address((number >> 80) & _IPV4_MASK))
    if any(address in network for network in _PRIVATE_V6) and not any(address in network for network in _FORBIDDEN_V6):
        return Reach.PRIVATE
    # The universal/local bit of an ISATAP interface identifier may be set or not.
    if (number >> 32) & 0xFDFFFFFF == _ISATAP or any(address in network for network in _FORBIDDEN_V6):
        return Reach.FORBIDDEN
    return Reach.PUBLIC if any(address in network for network in _GLOBAL_V6) else Reach.FORBIDDEN
