"""The guard of ``--auth none``: lets everybody in, and claims to know nobody."""

from __future__ import annotations

from typing import Final

from image_catalog.cluster import Caller
from image_catalog.models.events import UNAUTHENTICATED

__all__ = ["OpenGuard"]

_NOBODY: Final = Caller(UNAUTHENTICATED)
"""The functions refuse Secrets to this actor: an open door must not lend out anybody's credentials."""


class OpenGuard:
    """Lets everybody do everything; for a process that only its own machine can reach."""

    def known(
        self,
        authorization: str | None,  # noqa: ARG002 - the parameters are those of `Guard`
        verb: str,  # noqa: ARG002 - the same
        namespace: str | None,  # noqa: ARG002 - the same
        resource: str = "catalogimages",  # noqa: ARG002 - the same
    ) -> Caller | None:
        """Return a caller whom nobody knows."""
        return _NOBODY

    async def identify(self, authorization: str | None) -> Caller:  # noqa: ARG002 - the parameter is that of `Guard`
        """Return a caller whom nobody knows."""
        return _NOBODY

    async def require(
        self,
        authorization: str | None,  # noqa: ARG002 - the parameters are those of `Guard`
        verb: str,  # noqa: ARG002 - the same
        namespace: str | None,  # noqa: ARG002 - the same
        resource: str = "catalogimages",  # noqa: ARG002 - the same
    ) -> Caller:
        """Return a caller whom nobody knows."""
        return _NOBODY
