"""Who could not take a dead letter, by what the broker says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["Destination", "destination_of"]

_OWN = "audit"
_LABELS = frozenset({"audit", "cleanup", "publish", "reverify", "verify", "unknown"})
_MAX_LABEL = 63


@dataclass(frozen=True, slots=True)
class Destination:
    """Who could not take an event.

    Attributes
    ----------
    function
        Its name, ``unknown`` where the broker did not know it.
    shown
        What people are shown: the name, else the address.
    """

    function: str
    shown: str

    @property
    def label(self) -> str:
        """What figures call it: a Trigger of somebody else's, and whoever posts a letter, may name anything."""
        return self.function if self.function in _LABELS else "other"

    @property
    def is_own(self) -> bool:
        """Whether it is the audit function itself."""
        return self.function == _OWN


def destination_of(extensions: Mapping[str, str]) -> Destination | None:
    """Return who could not take an event; a subscriber's host begins with its name, unless it is an address.

    Parameters
    ----------
    extensions
        The event's extensions. ``knativeerrordest``, ``knativeerrorcode`` and ``knativeerrordata`` say why it is a
        dead letter, where the broker knew.

    Returns
    -------
    Destination or None
        `None` for an event that does not look like a dead letter.
    """
    if not any(name.startswith("knativeerror") for name in extensions):
        return None
    try:
        url = urlsplit(extensions.get("knativeerrordest", ""))
        host = url.hostname or ""
    except ValueError:  # An address in brackets that is none.
        return Destination("unknown", "unknown")
    try:
        ip_address(host)
    except ValueError:
        name = host.split(".", 1)[0][:_MAX_LABEL] or "unknown"
        return Destination(name, name)
    return Destination("unknown", url.netloc.rpartition("@")[2])
