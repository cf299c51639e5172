"""Which databases there are, told by a URL alone: nothing of SQLAlchemy is needed to refuse one."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from image_catalog.errors import PermanentError

__all__ = ["checked_url"]

_DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def checked_url(url: SecretStr | str) -> SecretStr:
    """Return a database's URL with the driver that is used for it.

    Raises
    ------
    PermanentError
        Raised if no such database can be used; the message shows nothing of
        the URL but its scheme.
    """
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    scheme, separator, rest = text.partition("://")
    driver = _DRIVERS.get(scheme.lower())
    if not separator or driver is None:
        known = "postgresql://user:password@host/name or sqlite:////path/to/file"
        raise PermanentError(f"the audit's database must be {known}; its URL begins otherwise")
    if driver == "sqlite" and rest.partition("?")[0].lstrip("/") in {"", ":memory:"}:
        raise PermanentError("the audit's database must be a file: sqlite:////path/to/file; memory forgets")
    try:
        urlsplit(f"{driver}://{rest}").port  # noqa: B018 - reading it is what raises
    except ValueError as e:
        raise PermanentError("the URL of the audit's database makes no sense: its host or port cannot be read") from e
    return SecretStr(f"{driver}://{rest}")
