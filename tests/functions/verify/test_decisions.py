"""The decision table: what a registry says, and what becomes of the entry."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from image_catalog.config import RegistryPolicy, Settings
from image_catalog.local.registry import SampleImage
from image_catalog.testing.registry_faults import Fault, corrupt_body, rate_limited, server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"
MISSING = f"sha256:{'0' * 64}"

Spoil = Callable[[World], None]


def _remove_tag(world: World) -> None:
    world.registry.store.delete_tag("acme/autosd", "cs9")


def _time_out(world: World) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("no answer", request=request)

    world.network.serve("https://quay.io", handler)


def _refuse(world: World) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    world.network.serve("https://quay.io", handler)


def _distrust(world: World) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        cause = ssl.SSLCertVerificationError("self-signed certificate")
        cause.verify_message = "self-signed certificate"
        raise httpx.ConnectError("TLS", request=request) from cause

    world.network.serve("https://quay.io", handler)


def _put_nonsense(world: World) -> None:
    world.registry.store.put_manifest("acme/autosd", "cs9", b'{"schemaVersion": 2}', media_type="text/x-nonsense")


@dataclass(frozen=True)
class Row:
    """One row of the table: what happens, and what the entry says then."""

    spoil: Spoil
    phase: str
    reason: str
    verified: str
    matched: str


def _fail(fault: Fault) -> Spoil:
    def spoil(world: World) -> None:
        world.registry.fail(fault)

    return spoil


ROWS = {
    "there": Row(lambda _: None, "Available", "RegistryAccessible", "True", "True"),
    "tag gone": Row(_remove_tag, "Unavailable", "ImageNotFound", "False", "Unknown"),
    "connection times out": Row(_time_out, "Unavailable", "RegistryUnreachable", "Unknown", "Unknown"),
    "connection refused": Row(_refuse, "Unavailable", "RegistryUnreachable", "Unknown", "Unknown"),
    "500": Row(_fail(server_error()), "Unavailable", "RegistryError", "Unknown", "Unknown"),
    "429": Row(_fail(rate_limited()), "Unavailable", "RateLimited", "Unknown", "Unknown"),
    "certificate not trusted": Row(_distrust, "Failed", "TLSVerificationFailed", "False", "Unknown"),
    "manifest of an unknown type": Row(_put_nonsense, "Failed", "ManifestInvalid", "False", "Unknown"),
}

each_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


@each_row
async def test_the_first_check_of_an_entry_made_by_hand(world: World, row: Row) -> None:
    world.push()
    row.spoil(world)
    image = await world.add(url=URL)
    says = world.says()
    assert image.status.phase == row.phase
    assert image.status.observed_generation == image.metadata.generation == 1
    assert says["Available"] == says["Ready"] == ("True" if row.phase == "Available" else "False", row.reason)
    assert (says["Verified"][0], says["DigestMatched"][0]) == (row.verified, row.matched)
    assert image.status.verification_failures == (0 if row.phase == "Available" else 1)
    assert world.pipeline.emitted_types() == [f"image.{row.phase.lower()}"]


@each_row
async def test_a_check_of_an_available_entry_keeps_what_is_known(world: World, row: Row) -> None:
    sample = world.push()
    before = await world.add(url=URL)
    row.spoil(world)
    await world.pass_time(hours=1)
    image, says = world.image(), world.says()
    assert image.status.phase == row.phase
    assert says["Available"][1] == row.reason
    assert (says["Verified"][0], says["DigestMatched"][0]) == (row.verified, row.matched)
    assert image.status.registry_metadata is not None
    assert before.status.registry_metadata is not None
    assert image.status.registry_metadata.model_copy(update={"last_verified": None}) == (
        before.status.registry_metadata.model_copy(update={"last_verified": None})
    ), "nothing good is overwritten by nothing"
    assert image.status.registry_metadata.resolved_digest == sample.digest
    assert image.status.history == []


@each_row
async def test_an_entry_recovers_by_itself(world: World, row: Row) -> None:
    world.push()
    await world.add(url=URL)
    row.spoil(world)
    await world.pass_time(hours=1)
    world.registry.recover()
    world.network.serve_app("https://quay.io", world.registry)
    world.push()
    await world.pass_time(hours=1)
    assert world.image().status.phase == "Available"
    assert world.image().status.verification_failures == 0


async def test_a_pinned_digest_that_is_there_matches(world: World) -> None:
    sample = world.push()
    await world.add(url=URL, digest=sample.digest)
    assert world.says()["DigestMatched"] == ("True", "Matched")


async def test_nothing_pinned_matches_anything(world: World) -> None:
    world.push()
    await world.add(url=URL)
    assert world.says()["DigestMatched"] == ("True", "NotPinned")


async def test_a_tag_that_moved_leaves_the_entry_available_and_is_told_once(world: World) -> None:
    old = world.push()
    await world.add(url=URL, digest=old.digest)
    new = world.push("another")
    await world.pass_time(hours=1)
    await world.pass_time(hours=1)
    image = world.image()
    assert (image.status.phase, world.says()["Available"][1]) == ("Available", "RegistryAccessible")
    assert world.says()["DigestMatched"] == ("False", "TagMoved")
    assert image.status.registry_metadata is not None
    assert image.status.registry_metadata.resolved_digest == old.digest
    assert world.pipeline.emitted_types().count("image.drifted") == 1
    drift = next(event for event in world.pipeline.emitted if event.type.endswith("image.drifted"))
    assert f'"pinnedDigest":"{old.digest}"'.encode() in drift.data
    assert f'"registryDigest":"{new.digest}"'.encode() in drift.data
    assert b'"pinnedStillThere":true' in drift.data


async def test_a_pinned_digest_that_vanished_makes_the_entry_unavailable(world: World) -> None:
    old = world.push()
    await world.add(url=URL, digest=old.digest)
    world.push("another")
    world.registry.store.delete_manifest("acme/autosd", old.digest)
    await world.pass_time(hours=1)
    assert world.image().status.phase == "Unavailable"
    assert world.says()["Available"] == ("False", "PinnedDigestMissing")
    assert world.says()["DigestMatched"] == ("False", "PinnedDigestMissing")
    assert world.image().status.history == []


async def test_a_tag_that_comes_back_moved_is_told_as_drift(world: World) -> None:
    old = world.push()
    await world.add(url=URL, digest=old.digest)
    _remove_tag(world)
    await world.pass_time(hours=1)
    world.push("another")
    await world.pass_time(hours=1)
    assert "image.drifted" in world.pipeline.emitted_types()


async def test_an_unknown_repository_is_not_found(world: World) -> None:
    image = await world.add(url="quay.io/acme/nothing:1")
    assert (image.status.phase, world.says()["Available"][1]) == ("Unavailable", "ImageNotFound")


async def test_an_unknown_host_is_unreachable(world: World) -> None:
    image = await world.add(url="nowhere.example.com/acme/os:1")
    assert (image.status.phase, world.says()["Available"][1]) == ("Unavailable", "RegistryUnreachable")


@pytest.mark.parametrize("url", ["quay.io:99999/acme/os:1", "192.0.2.01/acme/os:1"], ids=["port", "octal address"])
async def test_a_reference_that_only_looks_like_one_fails(world: World, url: str) -> None:
    image = await world.add(url=url)
    assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "InvalidReference")
    assert not world.network.requests
    assert not world.all("leases")


async def test_a_pinned_reference_whose_bytes_are_others_fails(world: World) -> None:
    sample = world.push()
    world.registry.fail(corrupt_body(), kind="manifest")
    image = await world.add(url=f"quay.io/acme/autosd@{sample.digest}")
    assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "DigestMismatch")


async def test_a_configuration_whose_bytes_are_others_fails(world: World) -> None:
    world.push()
    world.registry.fail(corrupt_body(), kind="blob")
    image = await world.add(url=URL)
    assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "DigestMismatch")


async def test_an_image_without_its_configuration_says_what_is_missing(world: World) -> None:
    sample = world.push()
    config = sample.blobs[0].digest
    world.registry.store.delete_blob("acme/autosd", config)
    image = await world.add(url=URL)
    assert image.status.phase == "Available"
    verified = image.status.condition("Verified")
    assert verified is not None
    assert (verified.status, verified.reason) == ("False", "MetadataIncomplete")
    assert config in verified.message


async def test_what_was_missing_is_read_once_it_is_there(world: World) -> None:
    sample = world.push()
    world.registry.store.delete_blob("acme/autosd", sample.blobs[0].digest)
    await world.add(url=URL)
    world.push()
    await world.pass_time(hours=1)
    registry = world.image().status.registry_metadata
    assert registry is not None
    assert registry.platform is not None
    assert registry.platform.architecture == "arm64"
    assert world.says()["Verified"] == ("True", "Verified")


async def test_a_configuration_that_cannot_be_believed_is_said_until_it_is_mended(world: World) -> None:
    document = {"architecture": 5, "os": [], "created": "never", "config": {"Labels": [1]}}
    config = world.registry.store.put_blob("acme/autosd", json.dumps(document).encode())
    kind = "application/vnd.oci.image."
    manifest = {
        "schemaVersion": 2,
        "config": {"mediaType": f"{kind}config.v1+json", "digest": config, "size": 1},
        "layers": [],
    }
    world.registry.store.put_manifest(
        "acme/autosd", "cs9", json.dumps(manifest).encode(), media_type=f"{kind}manifest.v1+json"
    )
    image = await world.add(url=URL)
    for _ in range(2):
        verified = image.status.condition("Verified")
        assert image.status.phase == "Available"
        assert verified is not None
        assert (verified.status, verified.reason) == ("False", "MetadataInvalid")
        assert "architecture, os, created, config.Labels" in verified.message
        world.pipeline.restart("verify")
        await world.pass_time(hours=1)
        image = world.image()
    world.push()
    await world.pass_time(hours=1)
    assert world.says()["Verified"] == ("True", "Verified")


async def test_an_index_that_names_no_image_is_said_also_after_an_outage(world: World) -> None:
    kind = "application/vnd.oci.image.index.v1+json"
    world.registry.store.put_manifest("acme/autosd", "cs9", b'{"schemaVersion": 2, "manifests": []}', media_type=kind)
    image = await world.add(url=URL)
    verified = image.status.condition("Verified")
    assert verified is not None
    assert (verified.reason, verified.message) == ("MetadataInvalid", "the index names no image")
    world.registry.fail(server_error())
    await world.pass_time(hours=1)
    assert world.says()["Verified"][1] == "RegistryError"
    world.registry.recover()
    world.pipeline.restart("verify")
    await world.pass_time(hours=1)
    assert world.image().status.phase == "Available"
    assert world.says()["Verified"] == ("False", "MetadataInvalid")


async def test_blobs_are_asked_for_where_the_spec_says_so(world: World) -> None:
    sample = world.push()
    layer = sample.blobs[1].digest
    world.registry.store.delete_blob("acme/autosd", layer)
    image = await world.add(url=URL, verifyBlobs=True)
    available = image.status.condition("Available")
    assert available is not None
    assert (image.status.phase, available.reason) == ("Unavailable", "BlobMissing")
    assert layer in available.message
    world.push()
    await world.pass_time(minutes=1)
    assert world.image().status.phase == "Available"


async def test_missing_blobs_of_the_pinned_content_count_after_its_tag_moved(world: World) -> None:
    old = world.push()
    await world.add(url=URL, digest=old.digest, verifyBlobs=True)
    world.push(SampleImage(name="another"))
    world.registry.store.delete_blob("acme/autosd", old.blobs[1].digest)
    await world.pass_time(hours=1)
    assert world.image().status.phase == "Unavailable"
    assert world.says()["Available"][1] == "BlobMissing"
    assert world.says()["DigestMatched"] == ("False", "TagMoved")


async def test_a_second_entry_for_one_image_fails_and_names_the_first(world: World) -> None:
    world.push()
    await world.add("first", url=URL)
    second = await world.add("second", url=URL)
    available = second.status.condition("Available")
    assert available is not None
    assert (second.status.phase, available.reason) == ("Failed", "DuplicateReference")
    assert "first" in available.message
    assert world.image("first").status.phase == "Available"


async def test_a_duplicate_takes_over_once_the_first_entry_is_gone(world: World) -> None:
    world.push()
    await world.add("first", url=URL)
    await world.add("second", url=URL)
    await world.remove("first")
    assert world.entry("first") is None
    await world.pass_time(hours=1)
    assert world.image("second").status.phase == "Available"


class TestListedRegistriesOnly:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(registry_policy=RegistryPolicy.LISTED)

    async def test_a_host_that_is_not_listed_is_not_contacted(self, world: World) -> None:
        world.push()
        image = await world.add(url=URL)
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "HostNotAllowed")
        assert not world.network.requests

    async def test_a_host_is_contacted_within_five_minutes_of_being_listed(self, world: World) -> None:
        world.push()
        await world.add(url=URL)
        _list(world, "quay.io")
        await world.pass_time(minutes=5)
        assert world.image().status.phase == "Available"

    async def test_a_host_that_is_listed_together_with_its_entry_is_contacted_at_once(self, world: World) -> None:
        world.push()
        await world.add("before", url="nowhere.example.com/acme/os:1")
        _list(world, "quay.io")
        image = await world.add(url=URL)
        assert image.status.phase == "Available"

    async def test_a_host_that_is_listed_together_with_its_build_is_contacted_at_once(self, world: World) -> None:
        world.push()
        await world.complete("before", url="nowhere.example.com/acme/os:1")
        _list(world, "quay.io")
        image = await world.complete()
        assert image is not None
        (published,) = world.data("image.published")
        assert "HostNotAllowed" in next(s["message"] for s in published["steps"] if s["name"] == "Registry policy")

    async def test_a_change_of_policy_that_does_not_help_is_asked_about_once(self, world: World) -> None:
        world.push()
        await world.add("before", url="nowhere.example.com/acme/os:1")
        _list(world, "elsewhere.example.com")
        image = await world.add(url=URL)
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "HostNotAllowed")


def _list(world: World, host: str) -> None:
    """Allow a host, as an administrator does."""
    world.pipeline.apply(
        {
            "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
            "kind": "CatalogRegistry",
            "metadata": {"name": "listed"},
            "spec": {"host": host},
        }
    )
