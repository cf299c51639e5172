"""What a board is given, as people and scripts read it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from image_catalog.cli.client import CatalogClient
from image_catalog.cli.errors import ApiError
from image_catalog.cli.output import Format, Table, notice, print_document
from image_catalog.local.ages import age_since

__all__ = ["print_resolution"]

_NOTHING_FITS = "NoImageFits"
_Image = Mapping[str, Any]


def print_resolution(catalog: CatalogClient, parameters: Mapping[str, str | list[str]], form: str) -> None:
    """Print the image for a board; on stderr, or in what is printed, why none of the others.

    Parameters
    ----------
    catalog
        The API.
    parameters
        Its query parameters.
    form
        ``reference`` or one of `Format`.

    Raises
    ------
    ApiError
        Raised if nothing fits, after the reasons have been printed.
    """
    try:
        found = catalog.resolve(parameters).document
    except ApiError as e:
        if e.reason == _NOTHING_FITS:
            _print_losers(e.details, form)
        raise
    if form in {Format.JSON, Format.YAML}:
        print_document(found, form)
    elif form == Format.NAME:
        print_document({"kind": "CatalogImage", "metadata": {"name": found["name"]}}, form)
    elif form in {Format.TABLE, Format.WIDE}:
        _print_table([found, *found["rejected"]], form, sys.stdout)
        _tell_of_more(found)
    else:
        print(found["reference"], flush=True)  # noqa: T201 - the command's output
        lost = len(found["rejected"]) + found["remainingRejectedCount"]
        others = f"; {lost} lost, -o table says why" if lost else ""
        published = f", published {_age(found)} ago" if found.get("publishedAt") else ""
        notice(f"{found['name']} in namespace {found['namespace']}{published}{others}")


def _print_losers(details: Mapping[str, Any], form: str) -> None:
    if form in {Format.JSON, Format.YAML}:
        # Without a reference in it: who looks for one finds none.
        print_document(details, form)
    elif rejected := details.get("rejected"):
        _print_table(rejected, form, sys.stderr)
        _tell_of_more(details)


def _print_table(images: list[_Image], form: str, stream: TextIO) -> None:
    wide = form == Format.WIDE
    table = Table(["NAME", "NAMESPACE", "AGE", "RESULT", *(["DIGEST"] if wide else []), "WHY"], stream=stream)
    table.print(
        [
            image["name"],
            image["namespace"],
            _age(image),
            image.get("reason", "Chosen"),
            *([image.get("digest") or image.get("platformDigest") or ""] if wide else []),
            image.get("message") or image["reference"],
        ]
        for image in images
    )


def _tell_of_more(found: Mapping[str, Any]) -> None:
    if more := found.get("remainingRejectedCount"):
        notice(f"{more} more lost; --limit N shows up to 500")


def _age(image: _Image) -> str:
    published = image.get("publishedAt")
    return age_since(str(published), datetime.now(UTC)) if published else ""
