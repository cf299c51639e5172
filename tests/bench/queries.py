"""Queries that no cache of answers helps with: each differs from every other by what it asks."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx
from tests.bench.api_process import IMAGES

__all__ = ["HOT", "choose_filters", "different_paths"]

HOT = f"{IMAGES}?{urlencode({'allNamespaces': 'true', 'architecture': 'arm64', 'limit': 20})}"
"""What is asked over and over where a hot query is measured."""

_SORTS = ("published", "name", "size", "verified")
_ORDERS = ("asc", "desc")
_LIMITS = range(15, 26)
"""Around 20, so that a page has 20 entries on average."""

_POSITIONS = 3
"""Pages of a query that are asked for: its first, and those that follow."""

_LEAST = max(_LIMITS) * _POSITIONS
"""Matches that a filter must leave, so that each of these pages is full."""

_Filter = tuple[tuple[str, str], ...]


async def choose_filters(client: httpx.AsyncClient, *, count: int) -> list[_Filter]:
    """Return filters of one to three parameters that leave a few pages of a catalog.

    Parameters
    ----------
    client
        Leads to the smallest catalog that they are used with.
    count
        How many are wanted; fewer where the catalog has no more.
    """
    entries = [set(_values(item)) for item in await _every_entry(client)]
    candidates = [
        pairs
        for size in (1, 2, 3)
        for pairs in itertools.combinations(sorted(set().union(*entries)), size)
        if len({parameter for parameter, _ in pairs}) == size
    ]
    random.Random(0).shuffle(candidates)  # noqa: S311 - the same filters in every run
    enough = (pairs for pairs in candidates if sum(entry.issuperset(pairs) for entry in entries) >= _LEAST)
    return list(itertools.islice(enough, count))


async def _every_entry(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    asked, items = {"allNamespaces": "true", "limit": "500"}, []
    while True:
        page = (await client.get(IMAGES, params=asked)).raise_for_status().json()
        items += page["items"]
        if not page["metadata"]["continue"]:
            return items
        asked["continue"] = page["metadata"]["continue"]


async def different_paths(client: httpx.AsyncClient, filters: Sequence[_Filter]) -> list[str]:
    """Return a path for each filter, sort, order, limit and continue position, in random order.

    Parameters
    ----------
    client
        Leads to the catalog that is to be asked: the continue tokens are its own.
    filters
        Of `choose_filters`.
    """
    paths = []
    for pairs, sort, order in itertools.product(filters, _SORTS, _ORDERS):
        asked = [("allNamespaces", "true"), *pairs, ("sort", sort), ("order", order)]
        position: list[tuple[str, str]] = []
        for page in range(_POSITIONS):
            paths += [f"{IMAGES}?{urlencode([*asked, ('limit', str(limit)), *position])}" for limit in _LIMITS]
            if page + 1 < _POSITIONS:
                answer = await client.get(IMAGES, params=[*asked, ("limit", "20"), *position])
                position = [("continue", answer.raise_for_status().json()["metadata"]["continue"])]
    random.Random(0).shuffle(paths)  # noqa: S311 - the same order in every run
    return paths


def _values(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return what an entry is found by."""
    spec, status = item["spec"], item.get("status") or {}
    told = spec.get("metadata") or {}
    for parameter, value in (
        ("architecture", told.get("architecture")),
        ("distro", told.get("distro")),
        ("distroVersion", told.get("distroVersion")),
        ("buildMode", told.get("buildMode")),
        ("phase", status.get("phase")),
        *(("target", target["name"]) for target in told.get("targets") or ()),
        *(("tags", tag) for tag in spec.get("tags") or ()),
    ):
        if value:
            yield parameter, value
    if told.get("bootcCapable") is not None:
        yield "bootcCapable", str(told["bootcCapable"]).lower()
