"""Entries that wait for their registry: nobody asks it at present, or it has just come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from image_catalog.cluster import ImageRow
from image_catalog.errors import InvalidReferenceError
from image_catalog.models import CatalogRegistry, Phase, Reference, RegistryPhase

if TYPE_CHECKING:
    from image_catalog.registry import HostPolicy

__all__ = ["Hold", "find_hold"]

_RETURN = timedelta(minutes=30)
"""How long after a registry came back its entries are let through in portions: 6,000 of them at one tick a minute."""

_PORTION = 200
"""Entries of a registry that has come back that one tick asks for."""


_COUNTED_AGAIN = timedelta(minutes=50)
"""How late an entry of a registry that is not asked is checked all the same, and counts the time as an outage.

With the ten minutes after which such an entry is due, once an hour; what a check found of a registry that is down
counts for two (`held_for`).
"""


class Hold:
    """Keeps back entries that are due, and need not be asked for at this tick.

    An entry that is Unavailable already learns nothing from a check that asks
    no registry, but how long that lasts: one an hour is enough. One that is
    Available has to be told.

    Parameters
    ----------
    hosts
        Finds the CatalogRegistry of a host; `None` where there is nothing to hold.
    shut
        Names of the CatalogRegistries whose circuit is open.
    returned
        Names of those that have come back a moment ago.
    now
        The time.

    Attributes
    ----------
    held
        How many entries were kept back.
    """

    def __init__(
        self, hosts: HostPolicy | None, shut: frozenset[str], returned: frozenset[str], *, now: datetime
    ) -> None:
        self.held = 0
        self._hosts = hosts
        self._shut = shut
        self._returned = returned
        self._counted_again = now - _COUNTED_AGAIN
        self._let_through: Counter[str] = Counter()

    def keeps(self, row: ImageRow) -> bool:
        """Tell whether an entry waits for a later tick."""
        if self._hosts is None or row.phase is not Phase.UNAVAILABLE:
            return False
        try:
            rule = self._hosts.rule(Reference.parse(row.registry_url).registry)
        except InvalidReferenceError:
            return False
        if rule is None:
            return False
        name = rule.metadata.name
        if name in self._returned:
            self._let_through[name] += 1
        is_late = row.next_verification is not None and row.next_verification <= self._counted_again
        kept = (name in self._shut and not is_late) or self._let_through[name] > _PORTION
        self.held += kept
        return kept


def find_hold(registries: Iterable[CatalogRegistry], *, now: datetime, believed_for: timedelta) -> Hold:
    """Return what keeps back the entries of registries that are not asked, or came back a moment ago.

    Parameters
    ----------
    registries
        Every CatalogRegistry.
    now
        The time.
    believed_for
        How long an open circuit in a status is believed.
    """
    known = tuple(registries)
    shut = frozenset(r.metadata.name for r in known if r.is_shut(now=now, believed_for=believed_for))
    returned = frozenset(r.metadata.name for r in known if _has_returned(r, now)) - shut
    if not shut | returned:
        return Hold(None, shut, returned, now=now)
    # Only now: what speaks to registries takes a tenth of a second to load, which most ticks need not wait for.
    from image_catalog.registry import HostPolicy  # noqa: PLC0415 - see above

    return Hold(HostPolicy(known), shut, returned, now=now)


def _has_returned(registry: CatalogRegistry, now: datetime) -> bool:
    reachable = registry.status.condition("Reachable")
    return (
        registry.status.phase is RegistryPhase.REACHABLE
        and reachable is not None
        and now - reachable.last_transition_time < _RETURN
    )
