"""``image-catalog dead-letters``: what no function could take, and what becomes of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from image_catalog.cli.audit import Structured, caller
from image_catalog.cli.errors import CommandError, NotFoundError
from image_catalog.cli.output import Format, print_document
from image_catalog.cli.stores import DatabaseURL, local_services, with_store
from image_catalog.cli.tables import print_items

if TYPE_CHECKING:
    import httpx

    from image_catalog.audit import AuditStore, DeadLetter

__all__ = ["app"]

app = typer.Typer(
    help="Events that no function could take: see why, send them again, or drop them.", no_args_is_help=True
)

_ADDED_BY_BROKERS: Final = "knative"
"""How the names of attributes begin that a broker adds: when the event came, and why it could not be delivered."""

_TIMEOUT: Final = 30
"""Seconds. A function that verifies an image answers when the registry has; a broker waits as long."""

Letters = Annotated[list[int], typer.Argument(metavar="ID…", help="Numbers of the letters, as list shows them.")]


class Shown(StrEnum):
    """Which letters are listed."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"
    ALL = "all"


@app.command("list")
def list_letters(
    *,
    state: Annotated[Shown, typer.Option(help="What became of them.")] = Shown.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most letters, the newest first.")] = 100,
    output: Structured = Format.TABLE,
    database: DatabaseURL = None,
) -> None:
    """List dead letters."""
    from image_catalog.audit import LetterState  # noqa: PLC0415 - only these commands need it

    states = tuple(LetterState) if state is Shown.ALL else (LetterState(state.value),)
    found = with_store(database, lambda store: store.dead_letters(states=states, limit=limit))
    cells = {
        "ID": lambda item: item["id"],
        "LAST": lambda item: item["last"],
        "COUNT": lambda item: item["count"],
        "STATE": lambda item: item["state"],
        "TYPE": lambda item: ".".join(item["type"].rsplit(".", 2)[-2:]),
        "SUBJECT": lambda item: item["subject"],
        "DESTINATION": lambda item: item["destination"],
        "WHY": lambda item: item["why"],
    }
    print_items(
        [_summary(letter) for letter in found],
        cells,
        output,
        name=lambda item: str(item["id"]),
        nothing="no dead letters" if state is Shown.ALL else f"no dead letters are {state.value}",
    )


@app.command()
def show(
    letter: Annotated[int, typer.Argument(metavar="ID", help="Number of the letter.")],
    *,
    output: Structured = Format.YAML,
    database: DatabaseURL = None,
) -> None:
    """Show a dead letter whole: why, every attribute, and the data."""

    async def find(store: AuditStore) -> DeadLetter:
        return await _find(store, letter)

    form = Format.YAML if output is Format.TABLE else output
    print_document(_document(with_store(database, find)), form)


@app.command()
def replay(
    letters: Letters,
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Where to send it, in place of its destination.")
    ] = None,
    database: DatabaseURL = None,
) -> None:
    """Send events again, as they were sent first; only what is taken counts as replayed."""
    local = database is None or database.startswith("sqlite")
    services = local_services(database) if local else {}

    async def send_all(store: AuditStore) -> None:
        import httpx  # noqa: PLC0415 - only this command needs it

        from image_catalog.audit import LetterState  # noqa: PLC0415 - the same

        # Nobody's proxy stands between an operator and a function of the same cluster, or of the same machine.
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
            for number in letters:
                found = await _find(store, number)
                url = _address(found, local=local, services=services) if to is None else to
                await _send(client, url, found)
                await store.settle_dead_letter(number, LetterState.REPLAYED, by=caller())
                typer.echo(f"dead letter {number} was taken by {url}")

    with_store(database, send_all)


@app.command()
def drop(letters: Letters, *, database: DatabaseURL = None) -> None:
    """Say that nobody will look at these again; they are kept until they are old."""

    async def drop_all(store: AuditStore) -> None:
        from image_catalog.audit import LetterState  # noqa: PLC0415 - only these commands need it

        for number in letters:
            await _find(store, number)
            await store.settle_dead_letter(number, LetterState.DROPPED, by=caller())
            typer.echo(f"dead letter {number} dropped")

    with_store(database, drop_all)


async def _find(store: AuditStore, number: int) -> DeadLetter:
    if (found := await store.dead_letter(number)) is None:
        raise NotFoundError(
            f"there is no dead letter {number}", hint="image-catalog dead-letters list --state all shows them"
        )
    return found


def _address(letter: DeadLetter, *, local: bool, services: Mapping[str, str]) -> str:
    """Return where a letter was to go, if it may be sent there without being looked at.

    A pod that posts an event with a broker's own attributes to the broker has
    made a letter whose destination and body are whatever it likes; it must not
    reach by an operator's hand what it cannot reach itself.
    """
    url, host = letter.destination, ""
    with suppress(ValueError):
        parts = urlsplit(url)
        host = parts.hostname or "" if parts.scheme in {"http", "https"} else ""
    if not host:
        raise CommandError(
            f"dead letter {letter.id} has no destination that can be called", hint="name one with --to URL"
        )
    if not (local and _is_loopback(host)) and not host.endswith((".svc", ".svc.cluster.local")):
        raise CommandError(
            f"dead letter {letter.id} says that it was to go to {url}, which is no function's address",
            hint="whoever reaches the broker can make it say so; to send it there all the same, name it with --to URL",
        )
    # The local stack's broker names functions as a cluster would, where nobody resolves these names.
    served = services.get(host.partition(".")[0])
    return url if served is None else f"{served}/{urlsplit(url).path.lstrip('/')}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _send(client: httpx.AsyncClient, url: str, letter: DeadLetter) -> None:
    import httpx  # noqa: PLC0415 - only this command needs it

    from image_catalog.events import binary_headers  # noqa: PLC0415 - the same

    attributes = {
        "specversion": "1.0",
        **{name: value for name, value in letter.attributes.items() if not name.startswith(_ADDED_BY_BROKERS)},
    }
    try:
        answer = await client.post(url, headers=binary_headers(attributes), content=letter.body)
    except (httpx.HTTPError, httpx.InvalidURL) as e:
        raise CommandError(
            f"dead letter {letter.id} was not taken: {url} did not answer ({type(e).__name__})",
            hint="inside a cluster, forward a port to the function and name it with --to",
        ) from e
    if not answer.is_success:
        said = " ".join(answer.text.split())[:200]
        raise CommandError(
            f"dead letter {letter.id} was not taken: {url} answered {answer.status_code}{f', {said}' if said else ''}"
        )


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "eventId": letter.event_id,
        "type": letter.type,
        "subject": letter.subject,
        "destination": letter.destination,
        "why": letter.why,
        "first": _time(letter.first),
        "last": _time(letter.time),
        "count": letter.count,
        "state": letter.state.value,
        "settledBy": letter.settled_by,
        "settledAt": _time(letter.settled_at),
    }


def _document(letter: DeadLetter) -> Mapping[str, Any]:
    try:
        data: dict[str, Any] = {"data": letter.body.decode()}
    except UnicodeDecodeError:
        data = {"dataBase64": b64encode(letter.body).decode()}
    return {**_summary(letter), "attributes": dict(letter.attributes), **data}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
