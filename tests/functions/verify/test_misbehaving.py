"""What a check makes of everything that registries do wrong, over real sockets and through the real handler."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from image_catalog.config import Settings
from image_catalog.registry.limits import Timeouts
from image_catalog.testing.misbehaviours import MISBEHAVIOURS, REPOSITORY, TAG, hostile_registry
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

PATIENCE = Timeouts(timedelta(seconds=0.5), timedelta(seconds=0.2), timedelta(seconds=0.4))
"""With those that never come to an end, so that a test does."""

ENDS_BY_TIME = frozenset({"no answer at all", "a slow trickle"})

AVAILABLE = ("Available", "RegistryAccessible")
UNREACHABLE = ("Unavailable", "RegistryUnreachable")
ERROR = ("Unavailable", "RegistryError")
LIMITED = ("Unavailable", "RateLimited")
INVALID = ("Failed", "ManifestInvalid")
MISMATCH = ("Failed", "DigestMismatch")
DENIED = ("Failed", "AuthenticationFailed")
NOT_ALLOWED = ("Failed", "HostNotAllowed")

OUTCOMES = {
    "no digest header": AVAILABLE,
    "HEAD is not allowed": AVAILABLE,
    "a digest header that is wrong": AVAILABLE,
    "a media type that says nothing": AVAILABLE,
    "a media type that is wrong": INVALID,
    "a page of HTML with 200": INVALID,
    "blobs on another host": AVAILABLE,
    "a token without an expiry": AVAILABLE,
    "a platform that is missing": AVAILABLE,
    "an index within an index": AVAILABLE,
    "schema 1": INVALID,
    "429 with a date": LIMITED,
    "429 with seconds": LIMITED,
    "429 without a word": LIMITED,
    "503 with Retry-After": LIMITED,
    "500": ERROR,
    "401 without a challenge": DENIED,
    "401 with an empty challenge": DENIED,
    "gzip that nobody asked for": ERROR,
    "a byte that is wrong": MISMATCH,
    "a connection that is cut before the answer": ERROR,
    "a connection that is cut within the answer": ERROR,
    "a length that is too large": ERROR,
    "a length that is too small": INVALID,
    "no answer at all": UNREACHABLE,
    "a realm on a foreign host": NOT_ALLOWED,
    "a realm at the metadata service": NOT_ALLOWED,
    "a realm in the private network": NOT_ALLOWED,
    "a realm that is loopback": UNREACHABLE,
    "a redirect to the metadata service": NOT_ALLOWED,
    "redirects without end": ERROR,
    "a slow trickle": UNREACHABLE,
    "a body without end": INVALID,
    "a body in crumbs": ERROR,
    "a body without end for a configuration": INVALID,
    "a manifest of 64 MiB": INVALID,
    "a manifest of 64 MiB that does not say so": INVALID,
    "an error of 64 MiB": ERROR,
    "a token of 64 MiB": ERROR,
    "a header of 200 KiB": ERROR,
    "a gzip bomb": ERROR,
    "a gzip bomb for a configuration": ERROR,
    "100,000 children": INVALID,
    "25,000 children": INVALID,
    "indexes nested five deep": INVALID,
    "an index that names itself": MISMATCH,
    "image and index at once": INVALID,
    "a key that is there twice": INVALID,
    "nothing but nesting": INVALID,
    "4 MiB of brackets": INVALID,
    "an error that begins a token everywhere": ERROR,
    "a digest that leads elsewhere": INVALID,
    "a layer that lies elsewhere": AVAILABLE,
}


def allow(world: World, *hosts: str) -> None:
    """List hosts on loopback, as an administrator does for registries inside a network."""
    for number, host in enumerate(hosts):
        world.pipeline.apply(
            {
                "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
                "kind": "CatalogRegistry",
                "metadata": {"name": f"hostile-{number}"},
                "spec": {"host": host, "allowPrivateNetworks": True, "tls": {"plainHTTP": True}},
            }
        )


async def check(functions: Iterable[PipelineFunction], registry: FakeRegistry, name: str) -> World:
    """Let the real functions look at the image of a registry that misbehaves."""
    MISBEHAVIOURS[name](registry)
    patience = PATIENCE if name in ENDS_BY_TIME else None
    async with Pipeline(functions, settings=Settings(), timeouts=patience) as pipeline:
        world = World(pipeline, registry, Network())
        allow(world, registry.host, registry.storage_host)
        await world.add(url=f"{registry.host}/{REPOSITORY}:{TAG}")
        assert not pipeline.dead_letters
        return world


@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_misbehaviour_has_its_phase_and_reason(
    functions: tuple[PipelineFunction, ...], tmp_path: Path, name: str
) -> None:
    async with hostile_registry(tmp_path) as registry:
        world = await check(functions, registry, name)
    status = world.image().status
    available = status.condition("Available")
    assert available is not None
    assert (status.phase, available.reason) == OUTCOMES[name], available.message
    assert len(available.message) <= 1024
    assert len(registry.requests) <= 40
    assert not any(
        "authorization" in request.headers for request in registry.requests if request.target.kind == "storage"
    )


def test_every_misbehaviour_has_an_outcome() -> None:
    assert list(OUTCOMES) == list(MISBEHAVIOURS)


def test_the_page_on_security_tells_what_comes_of_hostile_registries() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    limits = page.partition("### Rule 4: ")[2].partition("\n##")[0]
    shown = dict(re.findall(r"^\| `([^`]+)` \|.*\| `(\w+)` \|$", limits, re.MULTILINE))
    hostile = list(OUTCOMES)[list(OUTCOMES).index("a realm on a foreign host") :]
    assert shown == {name: OUTCOMES[name][1] for name in hostile}
