"""What a CatalogRegistry says about a registry holds when its images are verified."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from image_catalog.config import RegistryPolicy, Settings
from image_catalog.local.registry import SampleImage
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.registry_faults import Gate, HeaderChange, rate_limited
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


class TestEndpoint:
    async def test_a_mirror_is_asked_instead(self, world: World, tmp_path: Path) -> None:
        mirror = FakeRegistry(tmp_path / "mirror", host="mirror.test")
        mirror.scheme = "https"
        mirror.put(SampleImage(), "acme/autosd", "cs9")
        world.network.serve_app("https://mirror.test", mirror)
        world.add_registry(endpoint="https://mirror.test")
        assert (await world.add(url=URL)).status.phase == "Available"
        assert {request.url.host for request in world.network.requests} == {"mirror.test"}

    async def test_plain_http_is_spoken_where_it_is_said(self, world: World) -> None:
        world.push()
        world.network.serve_app("http://quay.io", world.registry)
        world.add_registry(tls={"plainHTTP": True})
        assert (await world.add(url=URL)).status.phase == "Available"
        assert {request.url.scheme for request in world.network.requests} == {"http"}


class TestListedOnly:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(registry_policy=RegistryPolicy.LISTED)

    @pytest.mark.parametrize(
        ("host", "phase"), [("quay.io", "Available"), ("*.io", "Available"), ("ghcr.io", "Failed")]
    )
    async def test_only_listed_hosts_are_contacted(self, world: World, host: str, phase: str) -> None:
        world.push()
        world.add_registry(host=host)
        assert (await world.add(url=URL)).status.phase == phase
        if phase == "Failed":
            assert world.says()["Available"] == ("False", "HostNotAllowed")
            assert not world.network.requests


class TestLimits:
    async def test_no_more_requests_are_under_way_than_the_registry_allows(self, world: World) -> None:
        world.add_registry(limits={"maxConcurrentRequests": 3})
        gate = Gate()
        world.registry.fail(gate)
        names = [f"image-{number}" for number in range(8)]
        for name in names:
            world.push(tag=name)
            world.pipeline.apply(world.entry_manifest(name, f"quay.io/acme/autosd:{name}"))
        checks = [asyncio.create_task(world.pipeline.deliver("verify", e)) for e in world.pipeline.discard()]
        async with asyncio.timeout(10):
            # Whoever finds no place is sent away before long, for the next tick: then nobody is left who could come.
            for sent_away in itertools.islice(asyncio.as_completed(checks), len(names) - 3):
                await sent_away
            assert gate.waiting == len(world.network.requests) == 3
            gate.opened.set()
            await asyncio.gather(*checks)
        await world.pass_time(minutes=1)
        assert {world.image(name).status.phase for name in names} == {"Available"}

    async def test_after_a_refusal_nothing_is_asked_before_the_time_that_was_named(self, world: World) -> None:
        world.push()
        world.push("other", tag="other")
        world.registry.fail(rate_limited(retry_after=timedelta(minutes=10)))
        await world.add("first", url=URL)
        world.registry.recover()
        world.network.requests.clear()
        other = await world.add("second", url="quay.io/acme/autosd:other")
        assert world.says("second")["Available"] == ("False", "RateLimited")
        assert not world.network.requests
        due = other.status.next_verification_time
        assert due is not None
        assert timedelta(minutes=10) <= due - world.clock.now() <= timedelta(minutes=11)
        await world.pass_time(minutes=11)
        assert {world.image(name).status.phase for name in ("first", "second")} == {"Available"}

    async def test_what_is_left_of_a_limit_is_not_used_up(self, world: World) -> None:
        world.push()
        world.push("other", tag="other")
        world.registry.fail(HeaderChange({"ratelimit-remaining": "1;w=3600"}), kind="manifest")
        assert (await world.add("first", url=URL)).status.phase == "Available"
        second = await world.add("second", url="quay.io/acme/autosd:other")
        assert (second.status.phase, world.says("second")["Available"][1]) == ("Unavailable", "RateLimited")
        await world.pass_time(hours=1)
        assert world.image("second").status.phase == "Available"
        assert world.image("first").status.phase == "Available", "looking costs nothing"


class TestTLS:
    """Over real connections: whose certificate is believed."""

    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA(key_type=trustme.KeyType.ECDSA)

    @pytest.fixture
    async def pipeline(self, functions: tuple[PipelineFunction, ...]) -> AsyncIterator[Pipeline]:
        async with Pipeline(functions) as pipeline:
            yield pipeline

    @pytest.fixture
    async def registry(self, tmp_path: Path, authority: trustme.CA) -> AsyncIterator[FakeRegistry]:
        registry = FakeRegistry(tmp_path)
        async with registry.serve(certificate=authority):
            yield registry

    @pytest.mark.parametrize(
        ("believes", "reason"),
        [
            pytest.param(lambda _: {}, "TLSVerificationFailed", id="nobody"),
            pytest.param(
                lambda _: {"caBundle": trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes().decode()},
                "TLSVerificationFailed",
                id="another authority",
            ),
            pytest.param(
                lambda authority: {"caBundle": authority.cert_pem.bytes().decode()},
                "RegistryAccessible",
                id="its authority",
            ),
            pytest.param(lambda _: {"insecureSkipVerify": True}, "RegistryAccessible", id="everybody"),
            pytest.param(lambda _: {"caBundle": "nonsense"}, "TLSVerificationFailed", id="what is no certificate"),
            pytest.param(lambda _: {"plainHTTP": True}, "RegistryError", id="none, where there is TLS"),
        ],
    )
    async def test_its_certificate_is_judged_as_the_administrator_says(
        self,
        pipeline: Pipeline,
        registry: FakeRegistry,
        authority: trustme.CA,
        believes: Callable[[trustme.CA], dict[str, Any]],
        reason: str,
    ) -> None:
        world = World(pipeline, registry, Network())
        world.push()
        world.add_registry(allowPrivateNetworks=True, tls=believes(authority))
        await world.add(url=f"{registry.host}/acme/autosd:cs9")
        assert world.says()["Available"][1] == reason

    async def test_a_private_address_is_nobodys_to_allow_but_the_administrators(
        self, pipeline: Pipeline, registry: FakeRegistry, authority: trustme.CA
    ) -> None:
        world = World(pipeline, registry, Network())
        world.add_registry(tls={"caBundle": authority.cert_pem.bytes().decode()})
        await world.add(url=f"{registry.host}/acme/autosd:cs9")
        assert world.says()["Available"][1] == "HostNotAllowed"
        await world.pass_time(minutes=1)
        reachable = world.listed().status.condition("Reachable")
        assert reachable is not None
        assert (world.listed().status.phase, reachable.reason) == ("Unreachable", "HostNotAllowed")
