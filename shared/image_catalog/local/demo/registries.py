"""What the story does to the registry: push, delete, and turn it off and on."""

from __future__ import annotations

from typing import Protocol

import httpx

from image_catalog.local.clients import trust_for
from image_catalog.local.registry import EmbeddedRegistry, Sample

__all__ = ["EmbeddedControl", "PushOnlyControl", "RegistryControl"]


class RegistryControl(Protocol):
    """A registry as the story needs it."""

    @property
    def can_stop(self) -> bool:
        """Whether it may be turned off, and content deleted."""

    @property
    def asks_for_passwords(self) -> bool:
        """Whether repositories under ``private`` need a credential."""

    async def push(self, sample: Sample, repository: str, tag: str) -> None:
        """Push an image."""

    async def delete(self, repository: str, digest: str) -> None:
        """Delete content by its digest."""

    async def stop(self) -> None:
        """Turn the registry off."""

    async def start(self) -> None:
        """Turn it on again, at the same address and with the same content."""


class EmbeddedControl:
    """The embedded registry, which the stack owns.

    Parameters
    ----------
    registry
        The stack's registry.
    account
        User and password that may push everywhere.
    """

    can_stop = True
    asks_for_passwords = True

    def __init__(self, registry: EmbeddedRegistry, *, account: tuple[str, str]) -> None:
        self._registry = registry
        self._account = account

    async def push(self, sample: Sample, repository: str, tag: str) -> None:
        """Push an image."""
        await sample.push(self._registry.url, repository, tag, auth=self._account)

    async def delete(self, repository: str, digest: str) -> None:
        """Delete content by its digest."""
        await _delete(self._registry.url, repository, digest, auth=self._account)

    async def stop(self) -> None:
        """Turn the registry off."""
        await self._registry.stop()

    async def start(self) -> None:
        """Turn it on again."""
        await self._registry.start()


class PushOnlyControl:
    """Somebody else's registry: the story may push to it, and leaves it running.

    Parameters
    ----------
    url
        Where it listens.
    """

    can_stop = False
    asks_for_passwords = False

    def __init__(self, url: str) -> None:
        self._url = url

    async def push(self, sample: Sample, repository: str, tag: str) -> None:
        """Push an image."""
        await sample.push(self._url, repository, tag)

    async def delete(self, repository: str, digest: str) -> None:
        """Delete content by its digest."""
        await _delete(self._url, repository, digest)

    async def stop(self) -> None:
        """Leave it running: it is not ours."""

    async def start(self) -> None:
        """Leave it running."""


async def _delete(url: str, repository: str, digest: str, *, auth: tuple[str, str] | None = None) -> None:
    credentials = httpx.BasicAuth(*auth) if auth else None
    async with httpx.AsyncClient(trust_env=False, verify=trust_for(url), timeout=10, auth=credentials) as client:
        response = await client.delete(f"{url}/v2/{repository}/manifests/{digest}")
        response.raise_for_status()
