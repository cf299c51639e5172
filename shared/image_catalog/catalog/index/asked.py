"""What a query asks for: the words that its matches have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from image_catalog.catalog.index.groups import Alike
from image_catalog.catalog.index.query import Query
from image_catalog.catalog.index.values import canonical_url, term
from image_catalog.models import normalise_architecture

__all__ = ["alike", "terms_of"]

_FILTERS: tuple[tuple[int, str, Callable[[str], str] | None], ...] = tuple(
    (Query._fields.index(attribute), field, write)
    for attribute, field, write in (
        ("namespace", "namespace", None),
        ("phase", "phase", None),
        ("architecture", "architecture", normalise_architecture),
        ("distro", "distro", None),
        ("distro_version", "distroVersion", None),
        ("target", "target", None),
        ("build_mode", "buildMode", None),
        ("digest", "digest", None),
        ("registry_url", "registryUrl", canonical_url),
        ("kernel_version", "kernelVersion", None),
        ("source_image_build", "sourceImageBuild", None),
        ("schedule", "schedule", None),
        ("verified_on", "verified", None),
    )
)
"""Where a query has a filter, the field of the term that it asks for, and how its value is written there."""

_OF_SCHEDULES = frozenset({"namespace", "phase", "schedule"})
_OF_GROUPS = frozenset({"distro", "architecture", "target"})
"""Attributes of a query in which the members of a schedule, and those of any other group, are alike; in one phase."""


def terms_of(query: Query) -> list[str]:
    """Return the words that an entry must have to match a query."""
    asked: tuple[Any, ...] = query
    terms = [
        term(field, write(value) if write else value)
        for at, field, write in _FILTERS
        if (value := asked[at]) is not None
    ]
    terms += [term("tag", tag) for tag in query.tags]
    if query.bootc_capable is not None:
        terms.append(term("bootcCapable", str(query.bootc_capable).lower()))
    return terms


def alike(query: Query) -> Alike:
    """Return in which groups all members in one phase match a query, or none does."""
    asked = {Query._fields[at] for at, _, _ in _FILTERS if query[at] is not None} - _OF_SCHEDULES
    apart = (query.bootc_capable, query.recalled, query.min_availability)
    if query.tags or query.q or any(each is not None for each in apart) or asked - _OF_GROUPS:
        return Alike.NOWHERE
    return Alike.BUT_IN_SCHEDULES if asked else Alike.EVERYWHERE
