"""``caib catalog watch``: events as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from image_catalog.cli.errors import ApiError, UsageError
from image_catalog.cli.flags import AllNamespaces
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.parameters import parse_duration

if TYPE_CHECKING:
    from image_catalog.cli.watching import Show

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_FOR_EVER = timedelta(days=36_500)


class _Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    NAME = "name"


def _since(text: str) -> datetime:
    try:
        return datetime.now(UTC) - parse_duration(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError as e:
        raise ValueError(f"{text[:64]!r} is neither a duration nor a time: write 1h or 2026-06-01T12:00:00Z") from e
    # Without a zone it is what the person's own clock showed.
    return found.astimezone(UTC)


_Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="EXPR",
        help="CESQL, the filter of a Trigger; or short, type=image.available,target=raspberry-pi.",
    ),
]
_Since = Annotated[
    datetime | None,
    typer.Option(
        "--since", parser=_since, metavar="TIME", help="First what came since then: 1h, or a time (RFC 3339)."
    ),
]
_Count = Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="End after so many events.")]
_Timeout = Annotated[
    timedelta | None,
    typer.Option("--timeout", parser=parse_duration, metavar="DURATION", help="End then with exit code 6."),
]
_Shown = Annotated[
    _Format,
    typer.Option("--output", "-o", metavar="FORMAT", help="How to print events: table, json (one a line) or name."),
]


@app.command("watch", cls=CatalogCommand)
def watch(
    ctx: typer.Context,
    *,
    filter_: _Filter = None,
    all_namespaces: AllNamespaces = False,
    since: _Since = None,
    count: _Count = None,
    timeout: _Timeout = None,
    output: _Shown = _Format.TABLE,
) -> None:
    """Print what happens in the catalog as it happens, until Ctrl-C."""
    from image_catalog.cli.filters import as_cesql  # noqa: PLC0415 - `--help` needs none of these
    from image_catalog.cli.waiting import Deadline  # noqa: PLC0415 - the same
    from image_catalog.cli.watching import EventWatch  # noqa: PLC0415 - the same

    if filter_ is not None and not filter_.strip():
        # As a variable of a script that is not set would have it: not everything is meant.
        raise UsageError("--filter is empty", hint="leave it out to watch everything")
    options: GlobalOptions = ctx.obj
    with options.connect() as catalog:
        parameters = {"allNamespaces": "true"} if all_namespaces else {"namespace": catalog.namespace}
        if filter_ is not None:
            parameters["filter"] = as_cesql(filter_)
        if since is not None:
            parameters["since"] = since.isoformat()
        watched = EventWatch(
            catalog=catalog,
            parameters=parameters,
            show=_printer(output, all_namespaces=all_namespaces),
            deadline=Deadline(timeout or _FOR_EVER),
            count=count,
        )
        try:
            watched.run()
        except ApiError as e:
            position = e.details.get("position")
            if isinstance(position, int) and "filter" in parameters:
                e.hint = f"it was understood as far as: {parameters['filter'][: position - 1]}"
            raise


def _printer(form: _Format, *, all_namespaces: bool) -> Show:
    from image_catalog.cli.happenings import HEADINGS, row  # noqa: PLC0415 - `--help` needs no table
    from image_catalog.cli.output import Table  # noqa: PLC0415 - the same

    table = Table(HEADINGS)

    def show(event: Mapping[str, Any], confirmed: bool) -> bool:  # noqa: FBT001 - a callback of two values
        if form is _Format.TABLE:
            table.print([row(event, confirmed=confirmed, all_namespaces=all_namespaces)])
            return True
        if form is _Format.NAME:
            name = event.get("catalogname")
            if name:
                _write(f"catalogimage/{name}")
            return bool(name)
        _write(json.dumps(event, ensure_ascii=False))
        return True

    return show


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
