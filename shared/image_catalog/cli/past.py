"""Lists of what was: options, and how records and versions are printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from image_catalog.cli.output import Format
from image_catalog.cli.parameters import split_list

__all__ = ["Actor", "Kinds", "Limit", "Outcomes", "Since", "Until", "filters_of", "print_records", "print_versions"]

_Item = Mapping[str, Any]

_SHORT = 100
"""Characters of a sentence in a table; `wide` shows it whole."""


class _Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"


Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="A,B", help="What happened, image.published for example; may be repeated."),
]
Actor = Annotated[str | None, typer.Option(help="Who did it.")]
Outcomes = Annotated[
    _Outcome | None, typer.Option("--outcome", metavar="NAME", help="How it ended: succeeded, refused or failed.")
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="From when on: 7d, 12h, or a time (RFC 3339).")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before when: the same.")]
Limit = Annotated[int, typer.Option(min=1, max=500, metavar="N", help="How many at most.")]


def filters_of(kinds: Sequence[str] | None, **filters: object) -> dict[str, str]:
    """Return the API's query parameters for options.

    Parameters
    ----------
    kinds
        As they were given.
    filters
        Others by their name in the API; `None` for what was not given.
    """
    given = {"kind": ",".join(split_list(kinds or ())) or None, **filters}
    return {name: str(value) for name, value in given.items() if value is not None}


def print_versions(items: Iterable[_Item], form: Format, *, nothing: str) -> None:
    """Print the versions of an entry.

    Parameters
    ----------
    items
        As the API answered them.
    form
        How they are printed.
    nothing
        What is said if there are none.
    """
    from image_catalog.cli.tables import print_items  # noqa: PLC0415 - `--help` needs no tables

    print_items(
        items,
        {
            "DIGEST": lambda version: version.get("digest"),
            "PUBLISHED": lambda version: version.get("publishedAt"),
            "BY": lambda version: version.get("publishedBy"),
            "SUPERSEDED": lambda version: version.get("supersededAt"),
            "BUILD": lambda version: (version.get("sourceImageBuild") or {}).get("name"),
            "RECALLED": lambda version: (version.get("recall") or {}).get("reason"),
        },
        form,
        name=lambda version: version.get("digest"),
        nothing=nothing,
    )


def print_records(items: Iterable[_Item], form: Format, *, nothing: str, with_name: bool, with_namespace: bool) -> None:
    """Print records: who did what, when, and how it ended.

    Parameters
    ----------
    items
        As the API answered them.
    form
        How they are printed; ``name`` prints the ids of events.
    nothing
        What is said if there are none.
    with_name, with_namespace
        Whether the entry's name and namespace have columns.
    """
    from image_catalog.cli.tables import print_items  # noqa: PLC0415 - `--help` needs no tables

    is_wide = form is Format.WIDE
    cells: dict[str, Any] = {
        "TIME": lambda record: _to_the_second(record.get("time")),
        **({"NAMESPACE": lambda record: record.get("namespace")} if with_namespace else {}),
        **({"NAME": lambda record: record.get("name")} if with_name else {}),
        "KIND": lambda record: record.get("kind"),
        "ACTOR": lambda record: record.get("actor"),
        "OUTCOME": _outcome,
        **({"DIGEST": lambda record: record.get("digest")} if is_wide else {}),
        "MESSAGE": lambda record: _message(record, whole=is_wide),
    }
    print_items(items, cells, form, name=lambda record: record.get("eventId"), nothing=nothing)


def _outcome(record: _Item) -> str:
    outcome = str(record.get("outcome") or "")
    return outcome if record.get("confirmed", True) else f"{outcome} (unconfirmed)"


def _message(record: _Item, *, whole: bool) -> str:
    message = " ".join(str(record.get("message") or "").split())
    return message if whole or len(message) <= _SHORT else f"{message[: _SHORT - 1]}…"


def _to_the_second(time: object) -> str:
    head, dot, _ = str(time or "").partition(".")
    return f"{head}Z" if dot else head
