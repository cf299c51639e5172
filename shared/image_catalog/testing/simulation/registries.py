"""The registries of a simulated world, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from image_catalog.models import Reference
from image_catalog.testing import registry_faults
from image_catalog.testing.network import ask_app
from image_catalog.testing.registry import BearerAuth, FakeRegistry
from image_catalog.testing.simulation.invariants import RequestSeen, Truth
from image_catalog.testing.simulation.scenery import HOSTS, IMAGES, PRIVATE_HOST, Image, sample
from image_catalog.testing.simulation.surroundings import ATTEMPT, Surroundings
from image_catalog.testing.simulation.troubles import CredentialRotated, RegistryTrouble

__all__ = ["Registries"]

_ACCOUNT = "catalog"

_FOR_EVER = 1e7
"""Seconds; whoever waits has a limit of its own."""

_NOBODYS_DIGEST = "sha256:" + "0" * 63 + "1"

_FAULTS: dict[str, registry_faults.Fault] = {
    "cuts": registry_faults.Cut(),
    "unavailable": registry_faults.server_error(503),
    "broken": registry_faults.server_error(500),
    "throttles": registry_faults.rate_limited(retry_after=timedelta(seconds=30)),
    "denies": registry_faults.no_challenge(401),
    "lies": registry_faults.another_digest_header(_NOBODYS_DIGEST),
}
"""Troubles that are answers of the registry's own."""


class Registries:
    """Two registries that behave, one open and one private, until told otherwise.

    Parameters
    ----------
    root
        Folder for their content.
    surroundings
        Where they are.

    Attributes
    ----------
    rotated
        Why the Secret does not fit the private registry; `None` while it does.
    pull_secret
        What the Secret has to hold.
    """

    def __init__(self, root: Path, *, surroundings: Surroundings) -> None:
        self._around = surroundings
        self.rotated: CredentialRotated | None = None
        self._troubles: list[RegistryTrouble] = []
        self._registries: dict[str, FakeRegistry] = {}
        for host in HOSTS:
            auth = BearerAuth() if host == PRIVATE_HOST else None
            registry = FakeRegistry(root / host, host=host, auth=auth, anonymous=auth is None)
            registry.scheme = "https"
            self._registries[host] = registry
        self.pull_secret: dict[str, Any] = {}
        self.change_password()

    # What is in them

    def push(self, image: Image, content: int) -> str:
        """Put content under an image's tag, and return its digest."""
        found = sample(content)
        self._registries[image.host].put(found, image.repository, image.tag)
        return found.digest

    def remove_tag(self, image: Image) -> bool:
        """Remove an image's tag."""
        return self._registries[image.host].store.delete_tag(image.repository, image.tag)

    def remove_manifest(self, image: Image, content: int) -> bool:
        """Remove some content from an image's repository, with every tag that names it."""
        return self._registries[image.host].store.delete_manifest(image.repository, sample(content).digest)

    def change_password(self) -> None:
        """Change the private registry's password, and with it `pull_secret`."""
        registry = self._registries[PRIVATE_HOST]
        account = registry.account(_ACCOUNT)
        for host_image in IMAGES:
            if host_image.host == PRIVATE_HOST:
                registry.restrict(host_image.repository, account)
        if isinstance(registry.auth, BearerAuth):
            registry.auth.revoke_tokens()
        auth = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
        config = json.dumps({"auths": {PRIVATE_HOST: {"auth": auth}}})
        self.pull_secret = {".dockerconfigjson": base64.b64encode(config.encode()).decode()}

    def truth(self, registry_url: str, pin: str | None) -> Truth:
        """Say what a registry would say at this moment, were nothing wrong with it."""
        reference = Reference.try_parse(registry_url)
        if reference is None or reference.host not in self._registries:
            raise LookupError(f"no registry here has {registry_url}")
        store = self._registries[reference.host].store
        tagged = store.manifest(reference.repository, reference.tag) if reference.tag else None
        pinned = pin or reference.digest
        there = pinned is None or store.manifest(reference.repository, pinned) is not None
        return Truth(tag_digest=tagged.digest if tagged else None, pinned_there=there)

    # What goes wrong

    def begin(self, trouble: RegistryTrouble) -> None:
        """Let a registry misbehave from now on."""
        self._troubles.append(trouble)

    def end(self, trouble: RegistryTrouble) -> None:
        """Let it behave again."""
        if trouble in self._troubles:
            self._troubles.remove(trouble)

    def behave(self) -> None:
        """Let all of them behave again."""
        self._troubles.clear()

    async def answer(self, request: httpx.Request, *, function: str) -> httpx.Response:
        """Answer a request, or misbehave."""
        status: int | None = None
        digest: str | None = None
        attempt = ATTEMPT.get()
        try:
            response = await self._answer(request, function)
            status, digest = response.status_code, response.headers.get("docker-content-digest")
            if self.rotated is not None and request.url.host == PRIVATE_HOST and request.url.path == "/token":
                self._around.journal.struck(self.rotated, f"{function} shows {PRIVATE_HOST} an old password: {status}")
        finally:
            seen = RequestSeen(
                at=self._around.loop.now(),
                function=function,
                delivery=attempt.number if attempt else None,
                method=request.method,
                host=request.url.host,
                path=request.url.path,
                status=status,
                digest=digest,
            )
            self._around.journal.requested(seen)
        return response

    async def _answer(self, request: httpx.Request, function: str) -> httpx.Response:
        host = request.url.host
        registry = self._registries.get(host)
        if registry is None:
            raise httpx.ConnectError(f"nobody serves {host}", request=request)
        trouble = next((one for one in self._troubles if one.host == host), None)
        if trouble is None or (trouble.kind == "lies" and "/manifests/" not in request.url.path):
            return await ask_app(registry, request)
        self._around.journal.struck(
            trouble, f"{function} asks {request.method} {host}{request.url.path}: {trouble.kind}"
        )
        match trouble.kind:
            case "down":
                raise httpx.ConnectError("refused", request=request)
            case "hangs":
                await asyncio.sleep(_FOR_EVER)
            case "slow":
                drawn = self._around.chance.draw("slow", self._around.count("slow answers"))
                await asyncio.sleep(1 + 25 * drawn)
                return await ask_app(registry, request)
            case _:
                pass
        failing = registry.fail(_FAULTS[trouble.kind], times=1)
        try:
            return await ask_app(registry, request)
        finally:
            registry.recover(failing)
