"""Figures of the registries' availability, made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from image_catalog.models import AvailabilityWindow

if TYPE_CHECKING:
    from image_catalog.catalog.index import Index

__all__ = ["AVAILABILITY", "RegistryAvailability"]

_MOST: Final = 100
"""Registries that have figures, those of the most entries: whoever makes entries chooses the names of hosts."""


class RegistryAvailability(Collector):
    """Tells what the entries of a catalog say of their registries."""

    def __init__(self) -> None:
        self._asked: tuple[Index, Callable[[], datetime]] | None = None

    def watch(self, index: Index, clock: Callable[[], datetime]) -> None:
        """Tell of this catalog from now on.

        Parameters
        ----------
        index
            Every entry.
        clock
            Tells the time.
        """
        self._asked = (index, clock)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give each registry's figures; what is not known has none."""
        ratio = GaugeMetricFamily(
            "image_catalog_registry_availability_ratio",
            "Share of known time in which a registry answered the checks of its entries.",
            labels=("registry", "window"),
        )
        known = GaugeMetricFamily(
            "image_catalog_registry_availability_known_ratio",
            "Share of a window in which it is known whether a registry answered.",
            labels=("registry", "window"),
        )
        if self._asked is not None:
            index, clock = self._asked
            found = index.registries(None, clock())
            for registry in nlargest(_MOST, found, key=attrgetter("entries")):
                for window in AvailabilityWindow:
                    tally, labels = registry.tallies[window], (registry.registry, window.value)
                    if tally.answered_ratio is not None:
                        ratio.add_metric(labels, tally.answered_ratio)
                    known.add_metric(labels, tally.known_ratio or 0)
        yield ratio
        yield known


AVAILABILITY: Final = RegistryAvailability()
"""What `/metrics` of the process tells of."""

REGISTRY.register(AVAILABILITY)
