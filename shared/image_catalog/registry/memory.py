"""The memory of what digests say, bounded by what it weighs: a stranger decides how large one entry is."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from image_catalog.registry.inspection import Facts
from image_catalog.registry.limits import FACTS_BYTES

__all__ = ["FactMemory", "weigh"]

_DIGEST = 128
"""Bytes of a digest and its place in a tuple."""

_VARIANT = 512
_ARTIFACT = 1024
_FACTS = 1024
"""The same of the objects themselves, with room to spare."""


class FactMemory:
    """Keeps facts by digest; what was not asked for longest goes first.

    Parameters
    ----------
    limit
        Bytes that all of them may weigh.

    Attributes
    ----------
    weight
        Bytes that they do.
    """

    def __init__(self, *, limit: int = FACTS_BYTES) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[Facts, int]] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, digest: str) -> Facts | None:
        """Return what a digest says, if it is known.

        Parameters
        ----------
        digest
            Of a manifest.
        """
        found = self._kept.get(digest)
        if found is None:
            return None
        self._kept.move_to_end(digest)
        return found[0]

    def keep(self, digest: str, facts: Facts) -> None:
        """Remember what a digest says, and forget what there is no room for any more.

        Parameters
        ----------
        digest
            Of a manifest.
        facts
            What it says.
        """
        _, before = self._kept.pop(digest, (None, 0))
        weight = weigh(facts)
        self._kept[digest] = (facts, weight)
        self.weight += weight - before
        while self.weight > self._limit:
            _, (_, gone) = self._kept.popitem(last=False)
            self.weight -= gone


def weigh(facts: Facts) -> int:
    """Estimate the bytes that facts take in memory.

    Parameters
    ----------
    facts
        What a digest says.
    """
    return (
        _FACTS
        + _DIGEST * (len(facts.blobs) + len(facts.manifests))
        + _VARIANT * len(facts.platform_variants)
        + sum(_ARTIFACT + sys.getsizeof(file.name or "") for file in facts.artifacts)
        + sum(map(_weigh_texts, (facts.annotations, facts.labels)))
        + sum(_weigh_each(facts.warnings))
    )


def _weigh_texts(texts: Mapping[str, str]) -> int:
    return sum(_weigh_each(texts.keys())) + sum(_weigh_each(texts.values()))


def _weigh_each(texts: Iterable[str]) -> Iterable[int]:
    # One byte for each character, or up to four: whoever wrote it decides that, too.
    return (sys.getsizeof(text) + 16 for text in texts)
