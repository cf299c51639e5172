"""What an answer of the catalog's API says, and what its refusals mean for whoever types commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from image_catalog.cli.connection import RawAnswer
from image_catalog.cli.credentials import TOKEN_SOURCES
from image_catalog.cli.errors import ApiError, ServerUnreachableError

__all__ = ["read_document", "refusal"]

_NOT_THE_CATALOG = "is it the catalog's address (--server, CAIB_SERVER)?"


def read_document(answer: RawAnswer, *, server: str) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Parameters
    ----------
    answer
        What came.
    server
        Who was asked.

    Raises
    ------
    ServerUnreachableError
        Raised if it is none: whoever answers is not the catalog.
    """
    kind = (answer.headers.get("content-type") or "").partition(";")[0].strip()
    if kind in {"application/json", "application/problem+json"}:
        try:
            document = json.loads(answer.body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return document
    where = f", a redirect to {location}" if (location := answer.headers.get("location")) else ""
    said = f"{answer.status} with {kind or 'no content type'}{where}"
    raise ServerUnreachableError(f"{server} answers {said}, not as the catalog does", hint=_NOT_THE_CATALOG)


def refusal(answer: RawAnswer, document: Mapping[str, Any], *, server: str, known: bool, everywhere: bool) -> ApiError:
    """Return the error that a refusal is for a command.

    Parameters
    ----------
    answer, document
        What came.
    server
        Who was asked.
    known
        Whether a token was sent.
    everywhere
        Whether all namespaces were asked about.
    """
    message = document.get("detail") or document.get("message") or document.get("title") or f"HTTP {answer.status}"
    details = document.get("details")
    reason = str(document.get("reason") or document.get("error") or "")
    after = answer.headers.get("retry-after", "")
    hint = ""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        if known:
            message = f"{server} does not accept the token: {message}"
            hint = f"it may have expired; give another one with {TOKEN_SOURCES}"
        else:
            message = f"{server} asks for a token, and there is none"
            hint = f"give one with {TOKEN_SOURCES}"
    elif answer.status == HTTPStatus.FORBIDDEN:
        where = "all namespaces" if everywhere else "that namespace"
        hint = f"somebody who may grant rights in {where} can bind a role with this verb to you"
    elif reason == "IndexNotFilled":
        hint = "it has just started, or cannot reach the cluster; ask again in a moment, or see its /readyz"
    return ApiError(
        str(message),
        status=answer.status,
        reason=reason,
        hint=hint,
        details=details if isinstance(details, Mapping) else None,
        retry_after=timedelta(seconds=int(after)) if after.isdigit() else None,
    )
