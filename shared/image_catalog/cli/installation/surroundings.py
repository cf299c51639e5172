"""What checks look at: the cluster, what should be in it, and what can be reached from here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from image_catalog.cluster import KubernetesAPI

__all__ = ["AUDIT_SECRET", "NAMESPACE", "Reach", "Surroundings", "probe"]

NAMESPACE: Final = "image-catalog"
"""Where the functions are; the manifests say it in full everywhere, and so does this."""

AUDIT_SECRET: Final = "image-catalog-database"
"""The Secret whose key ``url`` names the history's database."""

_PATIENCE: Final = 5.0
"""Seconds that an address is waited for: somebody looks on."""


class Reach(Enum):
    """What came of asking an address."""

    ANSWERED = "answered"
    NO_SUCH_NAME = "no such name"
    """The name is known where the functions are, perhaps, and not here."""
    SILENT = "silent"
    """Nobody answered, or not in a way that can be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What checks are given.

    Attributes
    ----------
    api
        The cluster, as the user of the kubeconfig.
    manifests
        What this version installs.
    probe
        Asks an address, and says what came of it.
    database_version
        Returns the version of the history's database at a URL, and the newest that is known.
    database_url
        The history's database, where somebody named it; else the Secret says it.
    clock
        Tells the time.
    """

    api: KubernetesAPI
    manifests: Sequence[dict[str, Any]]
    probe: Callable[[str], Awaitable[Reach]]
    database_version: Callable[[str], Awaitable[tuple[str | None, str]]]
    database_url: str | None
    clock: Callable[[], datetime]

    def of_kind(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what this version installs of some kinds."""
        return [manifest for manifest in self.manifests if manifest["kind"] in kinds]


async def probe(url: str) -> Reach:
    """Ask an address once; any answer in HTTP will do.

    Parameters
    ----------
    url
        ``http://`` or ``https://``.
    """
    import socket  # noqa: PLC0415 - only a check that asks addresses needs them
    from urllib.parse import urlsplit  # noqa: PLC0415 - the same

    import httpx  # noqa: PLC0415 - the same

    host = urlsplit(url).hostname or ""
    try:
        async with asyncio.timeout(_PATIENCE):
            await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return Reach.NO_SUCH_NAME
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE) as client:
            await client.get(url)
    except httpx.HTTPError:
        return Reach.SILENT
    return Reach.ANSWERED
