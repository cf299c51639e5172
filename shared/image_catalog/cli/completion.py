"""What a shell is told when somebody presses Tab: names that the catalog has, quickly or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from image_catalog.cli.client import CatalogClient

__all__ = [
    "complete_architectures",
    "complete_builds",
    "complete_distros",
    "complete_images",
    "complete_namespaces",
    "complete_secrets",
    "complete_tags",
    "complete_targets",
]

_PATIENCE = timedelta(seconds=1)
"""Somebody who waits longer for a name types it."""

_Entry = Mapping[str, Any]


def complete_images(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names of entries."""
    return _found(ctx, incomplete, lambda entry: [entry["metadata"]["name"]])


def complete_builds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names of completed builds."""
    return _found(ctx, incomplete, lambda build: [build["name"]], read=_builds)


def complete_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return namespaces that have entries, of those who may see them all."""
    return _found(ctx, incomplete, lambda entry: [entry["metadata"]["namespace"]], everywhere=True)


def complete_secrets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return Secrets that entries of the namespace name."""
    return _found(ctx, incomplete, _secret)


def complete_architectures(incomplete: str) -> list[str]:
    """Return the architectures that an entry can be said to have."""
    return [name for name in ("aarch64", "amd64", "arm64", "x86_64") if name.startswith(incomplete)]


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


def _secret(entry: _Entry) -> list[str]:
    named = entry["spec"].get("authSecretRef") or {}
    return ["/".join(part for part in (named.get("namespace"), named.get("name")) if part)]


def _images(catalog: CatalogClient, parameters: Mapping[str, str]) -> _Entry:
    return catalog.list_images(parameters).document


def _builds(catalog: CatalogClient, parameters: Mapping[str, str]) -> _Entry:
    return next(catalog.builds(parameters))


def _found(
    ctx: typer.Context,
    incomplete: str,
    words: Callable[[_Entry], Iterable[str]],
    *,
    read: Callable[[CatalogClient, Mapping[str, str]], _Entry] = _images,
    everywhere: bool = False,
) -> list[str]:
    from image_catalog.cli.options import global_options  # noqa: PLC0415 - which takes a completion of this module

    options = replace(global_options(ctx), request_timeout=_PATIENCE, verbose=False)
    try:
        with options.connect() as catalog:
            everywhere = everywhere or bool(ctx.params.get("all_namespaces"))
            where = {"allNamespaces": "true"} if everywhere else {"namespace": catalog.namespace}
            page = read(catalog, {**where, "limit": "500"})
        found = {str(word) for item in page.get("items") or () for word in words(item)}
    except Exception:  # noqa: BLE001 - a completion that says what is wrong would say it into the command line
        return []
    return sorted(word for word in found if word and word.startswith(incomplete))
