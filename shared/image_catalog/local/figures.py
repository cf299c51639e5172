"""The figures of the stack's processes, scraped as Prometheus does, and added up as its dashboard does."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from image_catalog.errors import PermanentError
from image_catalog.local.clients import IN_CLEAR

__all__ = ["Figure", "Figures", "quantile_of", "scrape"]

Buckets = Sequence[tuple[float, float]]
"""Upper bounds, ascending, each with the number of observations up to it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One sample of one process."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What all processes showed.

    Parameters
    ----------
    samples
        Every sample of every process.
    """

    samples: tuple[Figure, ...]

    @classmethod
    def read(cls, expositions: Iterable[str]) -> Self:
        """Read what processes show, in Prometheus's text format."""
        families = (family for text in expositions for family in text_string_to_metric_families(text))
        return cls(tuple(Figure(s.name, s.labels, s.value) for family in families for s in family.samples))

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return sums over everything but some labels; what counts nothing is left out.

        Parameters
        ----------
        name
            Of the figure, ``_total`` or ``_count`` included.
        labels
            Those that are told apart.
        """
        sums: dict[tuple[str, ...], float] = defaultdict(float)
        for sample in self._of(name):
            if sample.value:
                sums[tuple(sample.labels.get(label, "") for label in labels)] += sample.value
        return dict(sorted(sums.items()))

    def total(self, name: str) -> float:
        """Return the sum over all processes and labels."""
        return math.fsum(sample.value for sample in self._of(name))

    def largest(self, name: str) -> float:
        """Return the largest value of any process; 0 where none shows it."""
        return max((sample.value for sample in self._of(name)), default=0.0)

    def quantile(self, quantile: float, name: str, **labels: str) -> float | None:
        """Return a quantile of a histogram since its processes began; `None` where nothing was observed.

        Parameters
        ----------
        quantile
            Between 0 and 1.
        name
            Of the figure, without ``_bucket``.
        labels
            What its labels have to be.
        """
        counts: dict[float, float] = defaultdict(float)
        for sample in self._of(f"{name}_bucket"):
            if labels.items() <= sample.labels.items():
                counts[float(sample.labels["le"])] += sample.value
        found = quantile_of(quantile, sorted(counts.items()))
        return None if math.isnan(found) else found

    def _of(self, name: str) -> Iterable[Figure]:
        return (sample for sample in self.samples if sample.name == name)


def quantile_of(quantile: float, buckets: Buckets) -> float:
    """Return a quantile as Prometheus does.

    See `histogram_quantile
    <https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile>`__.

    Parameters
    ----------
    quantile
        Between 0 and 1.
    buckets
        The histogram.

    Returns
    -------
    float
        Interpolated within its bucket; the last finite bound where it is
        above that, and NaN where nothing was observed.
    """
    total = buckets[-1][1] if buckets else 0.0
    if not total:
        return math.nan
    rank, below, bound_below = quantile * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            within = (rank - below) / (count - below) if count > below else 1.0
            return bound_below if math.isinf(bound) else bound_below + (bound - bound_below) * within
        below, bound_below = count, bound
    return bound_below


async def scrape(urls: Iterable[str]) -> Figures:
    """Ask processes for their figures.

    Parameters
    ----------
    urls
        Where each answers.

    Raises
    ------
    PermanentError
        Raised if one does not.
    """
    async with httpx.AsyncClient(trust_env=False, verify=IN_CLEAR, timeout=10) as client:
        try:
            answers = await asyncio.gather(*(client.get(url) for url in urls))
            return Figures.read(answer.raise_for_status().text for answer in answers)
        except httpx.HTTPError as e:
            raise PermanentError(f"a process does not show its figures: {e}") from e
