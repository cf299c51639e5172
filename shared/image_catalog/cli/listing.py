"""Lists of entries: once, and then whatever changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from image_catalog.cli.client import CatalogClient
from image_catalog.cli.entries import columns, row
from image_catalog.cli.errors import ApiError, RequestTimedOutError, ServerUnreachableError
from image_catalog.cli.output import Format, Table, notice, print_document

__all__ = ["Listed", "print_list", "watch_list"]

_DEFAULT_LIMIT = 20
_LARGEST_PAGE = 500
_LOOK_EVERY = timedelta(seconds=1)
"""Changes are seen soon enough for a person, and an unchanged list costs the server a 304."""

_Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Which entries are asked for, and how they are shown.

    Attributes
    ----------
    filters
        The API's query parameters for them.
    limit
        How many at most; the command's own default when absent.
    everything
        Whether pages are followed to the last.
    all_namespaces
        Whether every namespace is looked at.
    form
        How they are printed.
    """

    filters: Mapping[str, str]
    limit: int | None
    everything: bool
    all_namespaces: bool
    form: Format

    def parameters(self, catalog: CatalogClient, default_limit: int) -> dict[str, str]:
        """Return the query parameters of a page."""
        where = {"allNamespaces": "true"} if self.all_namespaces else {"namespace": catalog.namespace}
        limit = _LARGEST_PAGE if self.everything else self.limit or default_limit
        return {**where, **self.filters, "limit": str(limit)}


def print_list(catalog: CatalogClient, asked: Listed) -> None:
    """Print the entries, and on stderr when there are none or more.

    Parameters
    ----------
    catalog
        The API.
    asked
        Which entries.
    """
    pages = catalog.pages(asked.parameters(catalog, _DEFAULT_LIMIT))
    page = next(pages)
    entries, metadata = list(page.get("items") or ()), page.get("metadata") or {}
    if asked.everything:
        for page in pages:
            entries += page.get("items") or ()
            metadata = page.get("metadata") or {}
    if asked.form in {Format.JSON, Format.YAML}:
        # A v1 List, as kubectl prints and applies it.
        print_document({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": entries}, asked.form)
    elif not entries:
        notice(f"no images in {'any namespace' if asked.all_namespaces else f'namespace {catalog.namespace}'}")
    elif asked.form is Format.NAME:
        print_document({"items": entries}, Format.NAME)
    else:
        _EntryTable(asked).print(entries)
    if note := metadata.get("note"):
        notice(str(note))
    if more := metadata.get("remainingItemCount") or metadata.get("continue"):
        count = f"{more} more" if isinstance(more, int) else "more"
        shown = "1 image" if len(entries) == 1 else f"{len(entries)} images"
        notice(f"{shown} shown, {count} there; --all shows every one, --limit N up to {_LARGEST_PAGE}")


def watch_list(catalog: CatalogClient, asked: Listed, *, wait: Callable[[float], object] = time.sleep) -> None:
    """Print the entries, and then each that is new, changed or gone, until Ctrl-C.

    Parameters
    ----------
    catalog
        The API.
    asked
        Which entries; without a limit the newest 500, and with ``everything`` all of them.
    wait
        Waits for so many seconds between two looks.
    """
    show = _EntryTable(asked).print if asked.form in {Format.TABLE, Format.WIDE} else _documents(asked.form)
    known: dict[str, _Entry] = {}
    with suppress(KeyboardInterrupt):
        for entries, whole in _looks(catalog, asked, wait):
            changed = [entry for uid, entry in entries.items() if _version(known.get(uid)) != _version(entry)]
            # Of a page that is full nobody knows what became of an entry that left it.
            gone = [entry for uid, entry in known.items() if uid not in entries] if whole else []
            if changed or gone:
                show([*(_deleted(entry) for entry in gone), *changed])
            known = dict(entries)


def _looks(
    catalog: CatalogClient, asked: Listed, wait: Callable[[float], object]
) -> Iterator[tuple[dict[str, _Entry], bool]]:
    """Yield the entries by uid, and whether they are all that there are, at first and whenever anything changed."""
    parameters = asked.parameters(catalog, _LARGEST_PAGE)
    etag: str | None = None
    away = first = False
    while True:
        try:
            answer = catalog.list_images(parameters, etag=etag)
            token = _token(answer.document)
            if answer.status != HTTPStatus.NOT_MODIFIED:
                entries = _by_uid(answer.document)
                if asked.everything and token:
                    for page in catalog.pages({**parameters, "continue": token}):
                        entries |= _by_uid(page)
                    token = ""
                etag, first = answer.etag, True
                yield entries, not token
            if away:
                notice("the server answers again")
            away = False
        except (ServerUnreachableError, RequestTimedOutError, ApiError) as e:
            # What is wrong from the start, or for good, is not waited for.
            if not first or (isinstance(e, ApiError) and e.status < HTTPStatus.INTERNAL_SERVER_ERROR):
                raise
            if not away:
                notice(f"{e.message}; trying again until it answers or Ctrl-C")
            away = True
        wait(_LOOK_EVERY.total_seconds())


def _by_uid(page: _Entry) -> dict[str, _Entry]:
    return {str(entry["metadata"].get("uid") or entry["metadata"]["name"]): entry for entry in page.get("items") or ()}


def _token(page: _Entry) -> str:
    return str((page.get("metadata") or {}).get("continue") or "")


def _version(entry: _Entry | None) -> object:
    return entry and entry["metadata"].get("resourceVersion")


def _deleted(entry: _Entry) -> _Entry:
    return {**entry, "status": {**(entry.get("status") or {}), "phase": "Deleted"}}


def _documents(form: Format) -> Callable[[list[_Entry]], None]:
    def show(entries: list[_Entry]) -> None:
        for entry in entries:
            if form is Format.YAML:
                print("---")  # noqa: T201 - separates documents of a stream
            print_document(entry, form)

    return show


class _EntryTable:
    """A table of entries.

    Parameters
    ----------
    asked
        Says which columns it has.
    """

    def __init__(self, asked: Listed) -> None:
        self._cells = columns(asked.form, all_namespaces=asked.all_namespaces)
        self._table = Table(list(self._cells))

    def print(self, entries: list[_Entry]) -> None:
        now = datetime.now(UTC)
        self._table.print(row(entry, self._cells, now=now) for entry in entries)
