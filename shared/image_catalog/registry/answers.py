"""What an answer means when it is not the one that was hoped for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
import orjson

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    ImageNotFoundError,
    InvalidReferenceError,
    RateLimitedError,
    RegistryFaultError,
)
from image_catalog.redaction import redact_text
from image_catalog.registry.hosts import Origin
from image_catalog.registry.limits import RETRY_AFTER

__all__ = ["Answer", "describe", "error_codes", "failure", "retry_after"]

_TEXT_SHOWN = 200
"""Most characters of a registry's own words that a message repeats."""

_SHORTEST_SECRET = 4
"""Shorter secrets are not blanked out: that would blank out half of every message."""

_DENIALS: dict[int, tuple[type[CatalogError], str]] = {
    401: (AuthenticationError, "the registry wants another credential"),
    403: (AccessDeniedError, "the registry denies access"),
}

_INVALID_NAMES = frozenset({"NAME_INVALID", "TAG_INVALID"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer, read to its end or to its limit.

    Attributes
    ----------
    status
        The HTTP status.
    headers
        The headers.
    body
        The bytes; of an error no more than the first `ERROR_BYTES`.
    origin
        Who answered, after redirects.
    shown
        The ``Authorization`` that was shown for it, which no message repeats.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    origin: Origin
    shown: bytes | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What was shown: as it was sent, and what it stands for."""
        text = (self.shown or b"").decode().partition(" ")[2]
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            decoded = ""
        return tuple(filter(None, (text, decoded, decoded.partition(":")[2])))


def retry_after(headers: httpx.Headers, *, now: datetime | None = None) -> timedelta | None:
    """Return how long a server asks us to wait.

    Parameters
    ----------
    headers
        Headers with or without ``Retry-After``, in `seconds or as a date
        <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>`__.
    now
        The present, for the date form.

    Returns
    -------
    timedelta or None
        At least zero, at most `RETRY_AFTER`; `None` if it does not say.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        # More digits than these are longer than any bound, and slow to convert.
        return min(timedelta(seconds=int(text[:9])), RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - (now or datetime.now(UTC)), timedelta()), RETRY_AFTER)


def error_codes(body: bytes) -> list[tuple[str, str]]:
    """Return codes and messages of an error answer.

    Parameters
    ----------
    body
        The `specified form
        <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>`__,
        or whatever a proxy in between has made of it.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    found = []
    for error in errors[:8] if isinstance(errors, list) else ():
        if isinstance(error, dict) and isinstance(error.get("code"), str):
            message = error.get("message")
            found.append((error["code"], message if isinstance(message, str) else ""))
    return found


def describe(answer: Answer, *, secrets: Iterable[str] = ()) -> str:
    """Return status and the server's own words as one short line.

    Parameters
    ----------
    answer
        What it said.
    secrets
        Texts that must not be repeated, in case the server echoes them.
    """
    codes = error_codes(answer.body)
    if codes:
        words = "; ".join(f"{code}: {message}" if message else code for code, message in codes)
    elif answer.headers.get("content-type", "").startswith("text/plain"):
        # All of it, because a secret that is cut in two is not recognised.
        words = answer.body.decode(errors="replace")
    else:
        words = _phrase(answer.status)
    for secret in (*answer.secrets, *secrets):
        if len(secret) >= _SHORTEST_SECRET:
            words = words.replace(secret, "…")
    words = redact_text(words)
    words = "".join(character if character.isprintable() else " " for character in words).strip()
    return f"{answer.status} {words[:_TEXT_SHOWN]}".strip()


def failure(
    answer: Answer, subject: str, *, remedy: str = "", secrets: Iterable[str] = (), now: datetime | None = None
) -> CatalogError:
    """Return the error that an answer stands for.

    Parameters
    ----------
    answer
        Any answer but the one that was asked for.
    subject
        What was asked: ``registry: repository:tag``, as people know it.
    remedy
        What to do about a denied request.
    secrets
        Texts that must not be repeated.
    now
        The present, for a ``Retry-After`` that is a date.
    """
    words = describe(answer, secrets=secrets)
    wait = retry_after(answer.headers, now=now)
    if answer.status in _DENIALS:
        error, meaning = _DENIALS[answer.status]
        return error(f"{subject}: {meaning} ({words}){remedy}")
    if answer.status == HTTPStatus.NOT_FOUND:
        return ImageNotFoundError(f"{subject}: the registry does not have it ({words})")
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or (
        answer.status == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None
    ):
        return RateLimitedError(f"{subject}: the registry asks us to slow down ({words})", retry_after=wait)
    codes = {code for code, _ in error_codes(answer.body)}
    if answer.status == HTTPStatus.BAD_REQUEST and codes & _INVALID_NAMES:
        return InvalidReferenceError(f"{subject}: the registry calls this name invalid ({words})")
    return RegistryFaultError(f"{subject}: the registry answered {words}", retry_after=wait)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
