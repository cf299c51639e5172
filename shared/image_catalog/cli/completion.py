"""What a shell is told when somebody presses Tab: names that the catalog has, quickly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import typer

from image_catalog.cli.options import global_options

__all__ = ["complete_distros", "complete_images", "complete_tags", "complete_targets"]

_PATIENCE = timedelta(seconds=1)
"""Somebody who waits longer for a name types it."""

_Entry = Mapping[str, Any]


def complete_images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names of entries."""
    return _found(ctx, incomplete, lambda entry: [entry["metadata"]["name"]])


def complete_distros(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return distributions of entries."""
    return _found(ctx, incomplete, lambda entry: [_metadata(entry).get("distro") or ""])


def complete_targets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return boards of entries."""
    return _found(ctx, incomplete, lambda entry: [target["name"] for target in _metadata(entry).get("targets") or ()])


def complete_tags(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return tags of entries, behind those of the comma list that are there already."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{tag}" for tag in _found(ctx, last, lambda entry: entry["spec"].get("tags") or ())]


def _metadata(entry: _Entry) -> _Entry:
    found: _Entry = entry["spec"].get("metadata") or {}
    return found


def _found(ctx: typer.Context, incomplete: str, words: Callable[[_Entry], Iterable[str]]) -> list[str]:
    options = replace(global_options(ctx), request_timeout=_PATIENCE, verbose=False)
    try:
        with options.connect() as catalog:
            everywhere = ctx.params.get("all_namespaces")
            where = {"allNamespaces": "true"} if everywhere else {"namespace": catalog.namespace}
            page = catalog.list_images({**where, "limit": "500"}).document
        found = {str(word) for entry in page.get("items") or () for word in words(entry)}
    except Exception:  # noqa: BLE001 - a completion that says what is wrong would say it into the command line
        return []
    return sorted(word for word in found if word and word.startswith(incomplete))
