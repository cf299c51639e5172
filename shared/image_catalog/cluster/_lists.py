"""Lists, as objects and as tables, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_catalog.cluster._failures import GONE, Operation, failure, read_object
from image_catalog.cluster._kinds import ResourceKind
from image_catalog.cluster._requests import Requests
from image_catalog.cluster._transport import JSON

__all__ = ["PAGE_SIZE", "PARSED_PAGE_SIZE", "TABLE_ACCEPT", "Page", "TableRow", "list_bodies", "read_page", "read_rows"]

TABLE_ACCEPT: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""Asks for printer columns instead of objects."""

PAGE_SIZE: Final = 500
"""kubectl's own page size: a page of entries stays near 2 MB."""

PARSED_PAGE_SIZE: Final = 100
"""Objects of a page that become models: ten times as large as they were on the wire."""

MOST_REMEMBERED_BYTES: Final = 4 * 1024 * 1024
"""The longest list that is taken whole, some ten thousand rows of a table."""

# A list that expires this often under its reader asks for smaller collections, not for another try.
MAX_RESTARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes
    ----------
    objects
        The objects of this part.
    resource_version
        The version of the whole list, from which a watch can go on.
    first
        Whether the list starts here. A list whose continuation expired starts
        again, so that this can be true more than once.
    last
        Whether the list is complete with this page.
    """

    objects: tuple[JSON, ...]
    resource_version: str
    first: bool
    last: bool


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a Table answer.

    Attributes
    ----------
    cells
        Cell by column name, ``{"Name": "a", "Next Verification": None}``.
    """

    cells: Mapping[str, Any]


async def list_bodies(
    requests: Requests,
    operation: Operation,
    query: Mapping[str, str],
    *,
    accept: str,
    page_size: int,
    remembered: bool = False,
) -> AsyncIterator[tuple[JSON, bool]]:
    """Yield the body of every page, and whether the list starts with it.

    Parameters
    ----------
    requests
        Sends the requests.
    operation
        What is listed.
    query
        The selectors.
    accept
        What the answers may be.
    page_size
        How many objects a page holds.
    remembered
        Whether the API server may answer from its memory, for a list of which
        selectors leave little. It then knows no pages, so that a list that
        turns out to be long is asked for again as any other.

    Raises
    ------
    ForbiddenError
        When this process may not list them.
    ClusterUnavailableError
        When the API server does not answer, does not know the kind, or forgets
        the list again and again.
    """
    path = operation.kind.path(namespace=operation.namespace)
    token = ""
    restarts = 0
    while True:
        paging = {"limit": str(page_size), **({"continue": token} if token else {})}
        options: dict[str, Any] = {"accept": accept}
        if remembered:
            paging["resourceVersion"] = "0"
            options["most_bytes"] = MOST_REMEMBERED_BYTES
        response = await requests.send(operation, "GET", path, query={**query, **paging}, **options)
        remembered = False
        if response.is_cut:
            continue
        if response.status == GONE and token and restarts < MAX_RESTARTS:
            token = ""
            restarts += 1
            continue
        if not response.is_success:
            raise failure(response, operation)
        body = read_object(response, operation)
        yield body, not token
        token = str((body.get("metadata") or {}).get("continue") or "")
        if not token:
            return


def read_page(kind: ResourceKind, body: JSON, *, first: bool) -> Page:
    """Read a page of objects."""
    metadata = body.get("metadata") or {}
    return Page(
        # A list leaves out what it says of all its items; a model wants it on each.
        objects=tuple({"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in body.get("items") or ()),
        resource_version=str(metadata.get("resourceVersion") or ""),
        first=first,
        last=not metadata.get("continue"),
    )


def read_rows(body: JSON, columns: list[str]) -> tuple[TableRow, ...]:
    """Read a page of a Table whose columns an earlier page may have named."""
    rows: list[Mapping[str, Any]] = body.get("rows") or []
    return tuple(TableRow(dict(zip(columns, row.get("cells") or (), strict=False))) for row in rows)
