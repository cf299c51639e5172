"""Which audit store a command of ``image-catalog`` works on."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, cast

import typer

from image_catalog.cli.errors import SettingsError

if TYPE_CHECKING:
    from image_catalog.audit import AuditStore

__all__ = ["LOCAL_DATABASE", "DatabaseURL", "local_services", "with_store"]

_T = TypeVar("_T")

LOCAL_DATABASE: Final = Path("build/local/audit.db")
"""Where the local stack keeps its history, from the folder that it is started in."""

DatabaseURL = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="IMAGE_CATALOG_DATABASE_URL",
        help="The audit's database: postgresql://user:password@host/name or sqlite:////path; "
        "without one that of the local stack here.",
    ),
]


def with_store(url: str | None, use: Callable[[AuditStore], Awaitable[_T]]) -> _T:
    """Open a store, use it, and close it.

    Parameters
    ----------
    url
        The database; `None` takes the local stack's.
    use
        What to do.

    Raises
    ------
    SettingsError
        Raised if no database is named and there is no local stack.
    """
    from image_catalog.audit import AuditStore  # noqa: PLC0415 - only these commands need it
    from image_catalog.config import LogFormat  # noqa: PLC0415 - the same
    from image_catalog.events import configure_logging  # noqa: PLC0415 - the same

    # What a command prints is for scripts, too.
    configure_logging(style=LogFormat.CONSOLE, level="warning", stream=sys.stderr)
    store = AuditStore.open(url or _local_url())

    async def run() -> _T:
        try:
            return await use(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


def local_services(url: str | None) -> Mapping[str, str]:
    """Return where the functions of a running local stack listen, by name; empty where no stack runs.

    Parameters
    ----------
    url
        The stack's database, as in `with_store`.
    """
    database = LOCAL_DATABASE if url is None else Path(url.removeprefix("sqlite:///"))
    try:
        return cast("Mapping[str, str]", json.loads((database.parent / "tmp" / "services.json").read_bytes()))
    except FileNotFoundError:
        return {}


def _local_url() -> str:
    if not LOCAL_DATABASE.exists():
        raise SettingsError(
            f"no database is named, and no local stack has left one in {LOCAL_DATABASE.parent}",
            hint="name it with --database URL or IMAGE_CATALOG_DATABASE_URL",
        )
    return f"sqlite:///{LOCAL_DATABASE.absolute()}"
