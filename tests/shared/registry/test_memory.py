"""What digests say is remembered within a weight, whoever decides how much one says."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from image_catalog.errors import ManifestInvalidError
from image_catalog.models import Reference
from image_catalog.registry import ArtifactLayer, Facts, Platform, PlatformVariant, RegistryClient
from image_catalog.registry.limits import BLOBS
from image_catalog.registry.memory import FactMemory, weigh
from image_catalog.testing.registry import FakeRegistry


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def test_oldest_go_first_and_the_weight_is_kept() -> None:
    memory, facts = FactMemory(limit=10 * weigh(Facts())), Facts()
    for number in range(12):
        memory.keep(digest(number), facts)
        memory.get(digest(0))
    assert memory.get(digest(0)) is facts, "it was asked for all the time"
    assert memory.get(digest(1)) is memory.get(digest(2)) is None
    assert (len(memory), memory.weight) == (10, 10 * weigh(facts))


def test_same_digest_weighs_once() -> None:
    memory = FactMemory()
    for _ in range(3):
        memory.keep(digest(1), Facts(blobs=(digest(2),)))
    assert memory.weight == weigh(Facts(blobs=(digest(2),)))


def test_what_is_heavier_than_everything_is_not_kept() -> None:
    memory = FactMemory(limit=weigh(Facts()))
    memory.keep(digest(1), Facts(warnings=("long " * 100,)))
    assert memory.get(digest(1)) is None
    assert memory.weight == 0


@pytest.mark.parametrize("kind", ["blobs", "texts", "files", "platforms"])
def test_weight_is_no_less_than_what_is_taken(kind: str) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        facts = {
            "blobs": lambda: Facts(blobs=tuple(map(digest, range(10_000)))),
            "texts": lambda: Facts(labels={f"key-{n}": chr(0x1F600) * 4096 for n in range(64)}),
            "files": lambda: Facts(artifacts=tuple(_file(n) for n in range(256))),
            "platforms": lambda: Facts(platform_variants=tuple(_variant(n) for n in range(128))),
        }[kind]()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= 1.2 * weigh(facts)


def _file(number: int) -> ArtifactLayer:
    return ArtifactLayer(
        name=f"n{number}" * 50, media_type=f"t/{number}", format=None, digest=digest(number), size_bytes=1
    )


def _variant(number: int) -> PlatformVariant:
    return PlatformVariant(platform=Platform(f"a{number}", "o"), digest=digest(number), size_bytes=1, layer_count=1)


async def test_deep_check_asks_for_no_more_than_it_should(
    registry: FakeRegistry, client: RegistryClient, image: Reference
) -> None:
    media_type, children = "application/vnd.oci.image.manifest.v1+json", []
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(0), "size": 2}
    for number in range(5):
        layers = [{"mediaType": "a/b", "digest": digest(number * 1024 + at), "size": 1} for at in range(1024)]
        body = json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode()
        found = registry.store.put_manifest("team/os", f"child-{number}", body, media_type=media_type)
        children.append({"mediaType": media_type, "digest": found, "size": len(body)})
    index = json.dumps({"schemaVersion": 2, "manifests": children}).encode()
    registry.store.put_manifest("team/os", "1.0", index, media_type="application/vnd.oci.image.index.v1+json")
    with pytest.raises(ManifestInvalidError, match=f"at most {BLOBS}"):
        await client.inspect(image, deep=True)
    assert len(registry.requests) == 6
