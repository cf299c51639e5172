"""``image-catalog audit``: proves that the history is as it was, and keeps its database in order."""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from image_catalog.cli.errors import CommandError, ExitCode
from image_catalog.cli.output import Format, Table, notice, print_document
from image_catalog.cli.parameters import parse_duration
from image_catalog.cli.stores import DatabaseURL, with_store

if TYPE_CHECKING:
    from image_catalog.audit import Link, Prunable, Verification

__all__ = ["Structured", "app", "caller", "parse_age"]

app = typer.Typer(help="The history of who did what: verify it, and keep its database in order.", no_args_is_help=True)

_DAYS: Final = re.compile(r"(\d{1,6})d", re.ASCII)

Structured = Annotated[
    Format, typer.Option("--output", "-o", metavar="FORMAT", help="How to print it: table, json or yaml.")
]


def parse_age(text: str) -> timedelta:
    """Read an age in days, ``90d``, or as a duration.

    Raises
    ------
    ValueError
        Raised if it is none.
    """
    if (days := _DAYS.fullmatch(text)) and int(days[1]):
        return timedelta(days=int(days[1]))
    try:
        return parse_duration(text)
    except ValueError as e:
        raise ValueError(f"{text[:64]!r} is no age above zero: write 90d or 12h") from e


def caller() -> str:
    """Return who runs the command, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@app.command()
def verify(
    *,
    links: Annotated[
        Path | None,
        typer.Option(
            "--links",
            metavar="FILE",
            help="Links that were logged: a log of the functions or what `audit links` printed; - reads stdin.",
        ),
    ] = None,
    output: Structured = Format.TABLE,
    database: DatabaseURL = None,
) -> None:
    """Verify the chain of every entry; exit 1 when one does not hold."""
    found: Verification = with_store(database, lambda store: store.verify(_read(links) if links is not None else ()))
    if output in {Format.JSON, Format.YAML}:
        print_document(_document(found), output)
    elif found.breaks:
        Table(["CHAIN", "POSITION", "KIND", "MESSAGE"]).print(
            [one.chain, str(one.position), one.kind, one.message] for one in found.breaks
        )
    else:
        compared = f", and {found.links} logged links are found again" if links is not None else ""
        typer.echo(f"{found.chains} chains of {found.records} records hold{compared}")
    if found.breaks:
        notice(f"{len(found.breaks)} breaks: what the audit says of these chains is not what it once said")
        raise typer.Exit(code=ExitCode.ERROR)


@app.command("links")
def print_links(*, database: DatabaseURL = None) -> None:
    """Print the newest link of every chain, a line of JSON each, to be kept where the database's owner cannot write."""
    for link in with_store(database, lambda store: store.links()):
        sys.stdout.write(f"{json.dumps(link.to_dict(), ensure_ascii=False)}\n")


@app.command()
def prune(
    *,
    older_than: Annotated[
        timedelta, typer.Option("--older-than", metavar="AGE", parser=parse_age, help="How old: 90d for example.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Structured = Format.TABLE,
    database: DatabaseURL = None,
) -> None:
    """Remove records that are older, after asking; what is left can be verified as before."""
    if not yes:
        _ask(with_store(database, lambda store: store.prunable(older_than=older_than)))
    done = with_store(database, lambda store: store.prune(older_than=older_than, by=caller()))
    if output in {Format.JSON, Format.YAML}:
        before = done.before.isoformat()
        counts = {"records": done.records, "states": done.states, "deadLetters": done.letters, "chains": done.chains}
        print_document({"before": before, "removed": counts}, output)
        return
    typer.echo(
        f"removed {done.records} records of {done.chains} chains, {done.states} states and {done.letters} dead letters "
        f"from before {done.before:%Y-%m-%d %H:%M:%S} UTC"
    )


def _ask(old: Prunable) -> None:
    from image_catalog.cli.writing import confirm  # noqa: PLC0415 - only this command asks

    what = f"{old.records} records of {old.chains} chains, and {old.letters} dead letters that are done with"
    since = f"from before {old.before:%Y-%m-%d %H:%M:%S} UTC"
    confirm(
        f"Remove {what}, {since}? Only a backup brings them back.",
        refusal=f"{what}, {since}: they are not removed without being asked for",
        nothing="removed",
        flag="--yes",
    )


@app.command()
def migrate(*, database: DatabaseURL = None) -> None:
    """Make the database up to date, as the first use would: with the rights that an administrator may keep from it."""
    before, now = with_store(database, lambda store: store.migrate())
    typer.echo(f"version {now}, as before" if before == now else f"version {now}, was {before or 'empty'}")


def _read(path: Path) -> Iterable[Link]:
    from image_catalog.audit import read_links  # noqa: PLC0415 - only this command needs it

    if str(path) == "-":
        found = list(read_links(sys.stdin))
    else:
        with path.open("rb") as file:
            found = list(read_links(file))
    if not found:
        # To compare nothing would look as if all were well.
        raise CommandError(f"{path} has no links", hint="give a log with lines `audit appended`, or `audit links`")
    return found


def _document(found: Verification) -> dict[str, Any]:
    return {
        "chains": found.chains,
        "records": found.records,
        "links": found.links,
        "breaks": [
            {"chain": one.chain, "position": one.position, "kind": one.kind.value, "message": one.message}
            for one in found.breaks
        ],
    }
