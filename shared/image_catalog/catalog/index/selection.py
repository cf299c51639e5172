"""What a query asks of one object, for who goes through objects that are in no index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from image_catalog.catalog.index.asked import terms_of
from image_catalog.catalog.index.query import Query
from image_catalog.catalog.index.reliability import Watched
from image_catalog.catalog.index.values import RECALLED, read_values, searchable
from image_catalog.catalog.plain import part, text

__all__ = ["Selection"]

_AS_THEY_ARE: Final = (
    "distro",
    "distro_version",
    "target",
    "build_mode",
    "digest",
    "kernel_version",
    "schedule",
    "verified_on",
)
"""Filters whose values stand in an object as they are asked for: an architecture has several names, for example."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._:@+-]+")
"""What JSON writes without escapes."""


class Selection:
    """Tells whether an object matches a query, as an index does; `Query.latest` is left to the index.

    Parameters
    ----------
    query
        The query.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._terms = frozenset(terms_of(query))
        self._searched = searchable(query.q) if query.q else ""
        self._recalled = query.recalled
        self._least, self._window = query.min_availability, query.availability_window
        apart = (self._recalled, self._least)
        self._asks_nothing = not (self._terms or self._searched or any(each is not None for each in apart))

    @property
    def texts(self) -> tuple[bytes, ...]:
        """What the JSON of every match holds somewhere; others hold it, too."""
        asked = (getattr(self._query, field) for field in _AS_THEY_ARE)
        words = [*(word for word in asked if word is not None), *self._query.tags]
        return tuple(word.encode() for word in words if _PLAIN.fullmatch(word))

    def admits(self, obj: Mapping[str, Any]) -> bool:
        """Return whether an object matches.

        Parameters
        ----------
        obj
            The object as JSON gave it.
        """
        if self._asks_nothing:
            return True
        metadata = part(obj, "metadata")
        values = read_values(obj, namespace=text(metadata, "namespace") or "", name=text(metadata, "name") or "")
        return (
            self._terms.issubset(values.terms)
            and self._searched in values.searched
            and self._recalled in {None, RECALLED in values.terms}
            and (self._least is None or self._is_available(values.watched))
        )

    def _is_available(self, watched: Watched) -> bool:
        share = watched.tallies[self._window].ratio
        return share is not None and self._least is not None and share >= self._least
