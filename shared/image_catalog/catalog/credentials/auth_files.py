"""Credentials that an administrator mounted into the function, in the standard files."""

from __future__ import annotations

import structlog

from image_catalog.catalog.credentials.asking import Found, PassedOver, Wanted
from image_catalog.registry import AuthFiles, Credential

__all__ = ["MountedFiles"]

logger = structlog.get_logger(__name__)


class MountedFiles:
    """The standard auth files of the process.

    Parameters
    ----------
    files
        Reads them; `None` where they are not to be used.
    """

    name = "auth files"

    def __init__(self, *, files: AuthFiles | None) -> None:
        self._files = files
        self._warned: frozenset[str] = frozenset()

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        """Return what the first file has that has something for the image."""
        if self._files is None:
            return PassedOver("the function does not use them", is_notable=False)
        match = self._files.find(wanted.reference)
        warnings = frozenset(match.warnings)
        for warning in sorted(warnings - self._warned):
            logger.warning("auth file with trouble", problem=warning)
        self._warned |= warnings
        if match.credential is not None:
            return Found.of(match.credential)
        if match.warnings:
            return PassedOver("; ".join(match.warnings))
        if not self._files.present:
            return PassedOver("there are none", is_notable=False)
        return PassedOver(f"none has an entry for {wanted.reference.name}", is_notable=False)

    async def drop(self, _credential: Credential) -> bool:
        """Keep nothing: a file that changed is read again."""
        return False
