"""Checks the history's database: named, reached, and of this version."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Final

from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.surroundings import AUDIT_SECRET, NAMESPACE, Surroundings
from image_catalog.cluster import SECRET
from image_catalog.errors import AuditUnavailableError, ForbiddenError, PermanentError

__all__ = ["check_history"]

_PATIENCE: Final = 15.0
"""Seconds that a database is waited for."""
_UNREACHED: Final = (
    "see whether a Pod in the namespace reaches it, with the check there; the network policies open port 5432"
)
_SUBJECT: Final = f"{NAMESPACE}/secret/{AUDIT_SECRET}"


async def check_history(around: Surroundings) -> list[Finding]:
    """Connect to the database, and change nothing in it."""
    url = around.database_url
    if url is None:
        try:
            secret = await around.api.get(SECRET, AUDIT_SECRET, NAMESPACE)
        except ForbiddenError:
            remedy = "name the database with --database"
            return [_finding(State.UNKNOWN, "may not be looked at by the user of this kubeconfig", remedy)]
        if secret is None:
            return [_finding(State.OK, "not there: no history is kept, which is a choice")]
        encoded = (secret.get("data") or {}).get("url")
        if not encoded:
            return [_finding(State.WRONG, "has no key url", "knative/README.md, The history, shows how it is made")]
        url = b64decode(encoded).decode(errors="replace").strip()
    return [await _look(around, url)]


async def _look(around: Surroundings, url: str) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE):
            version, newest = await around.database_version(url)
    except TimeoutError:
        return _finding(State.WRONG, "its database does not answer", _UNREACHED)
    except AuditUnavailableError as e:
        return _finding(State.WRONG, f"its database cannot be used: {e.message}", _UNREACHED)
    except PermanentError as e:
        return _finding(State.WRONG, f"names no database: {e.message}", "write postgresql://user:password@host/name")
    if version is None:
        remedy = (
            "audit migrates it with its first event; or image-catalog audit migrate, as a user who may create tables"
        )
        return _finding(State.UNKNOWN, "its database is reached and empty", remedy)
    if version != newest:
        remedy = (
            "update the functions"
            if version > newest
            else "image-catalog audit migrate, or wait for audit's next event"
        )
        return _finding(State.WRONG, f"its database has version {version}, this one knows {newest}", remedy)
    return _finding(State.OK, f"its database is reached and has version {version}, the newest")


def _finding(state: State, message: str, remedy: str = "") -> Finding:
    return Finding(check="database", subject=_SUBJECT, state=state, message=message, remedy=remedy)
