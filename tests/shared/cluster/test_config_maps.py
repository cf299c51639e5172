"""ConfigMaps that an entry owns."""

from __future__ import annotations

import pytest

from image_catalog.cluster import CONFIG_MAP, MAX_CONFIG_MAP_BYTES, CatalogImages, ConfigMaps, KubernetesAPI
from image_catalog.errors import AlreadyExistsError, InvalidObjectError, WriteConflictError
from image_catalog.models import CatalogImage
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"


@pytest.fixture
def config_maps(api: KubernetesAPI) -> ConfigMaps:
    return ConfigMaps(api=api)


@pytest.fixture
async def owner(images: CatalogImages, entry: CatalogImage) -> CatalogImage:
    return await images.create(entry)


async def test_recipe_is_kept_and_goes_with_its_entry(
    api: KubernetesAPI, config_maps: ConfigMaps, owner: CatalogImage
) -> None:
    written = await config_maps.put("cs9-manifest", {"manifest.aib.yml": "name: cs9\n"}, owner=owner)
    assert written.data == {"manifest.aib.yml": "name: cs9\n"}
    assert await config_maps.get(NS, "cs9-manifest") == written
    found = await api.get(CONFIG_MAP, "cs9-manifest", NS)
    assert found is not None
    (reference,) = found["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("CatalogImage", owner.metadata.uid)


async def test_absent_config_map_is_none(config_maps: ConfigMaps) -> None:
    assert await config_maps.get(NS, "absent") is None


async def test_putting_again_replaces_the_data(config_maps: ConfigMaps, owner: CatalogImage) -> None:
    await config_maps.put("m", {"old": "1", "kept": "1"}, owner=owner)
    written = await config_maps.put("m", {"new": "2", "kept": "1"}, owner=owner)
    assert written.data == {"new": "2", "kept": "1"}


async def test_putting_the_same_writes_nothing(
    cluster: InProcessCluster, config_maps: ConfigMaps, owner: CatalogImage
) -> None:
    await config_maps.put("m", {"a": "1"}, owner=owner)
    await config_maps.put("m", {"a": "1"}, owner=owner)
    assert "patch" not in {call.verb for call in cluster.calls}


async def test_somebody_else_s_config_map_is_left_alone(
    api: KubernetesAPI, config_maps: ConfigMaps, owner: CatalogImage
) -> None:
    await api.create(CONFIG_MAP, {"metadata": {"name": "m"}, "data": {"theirs": "1"}}, NS)
    with pytest.raises(AlreadyExistsError, match="not owned by team-a/cs9"):
        await config_maps.put("m", {"a": "1"}, owner=owner)
    found = await config_maps.get(NS, "m")
    assert found is not None
    assert found.data == {"theirs": "1"}


async def test_recipe_over_the_limit_is_refused_before_it_is_sent(
    cluster: InProcessCluster, config_maps: ConfigMaps, owner: CatalogImage
) -> None:
    sent = len(cluster.calls)
    with pytest.raises(InvalidObjectError, match="at most 524288 are kept"):
        await config_maps.put("m", {"k": "x" * MAX_CONFIG_MAP_BYTES}, owner=owner)
    assert len(cluster.calls) == sent


async def test_config_map_deleted_while_it_is_written_is_a_conflict(
    cluster: InProcessCluster, api: KubernetesAPI, config_maps: ConfigMaps, owner: CatalogImage
) -> None:
    await config_maps.put("m", {"a": "1"}, owner=owner)

    async def vanish() -> None:
        await api.delete(CONFIG_MAP, "m", NS)

    cluster.before(vanish, verb="patch")
    with pytest.raises(WriteConflictError):
        await config_maps.put("m", {"a": "2"}, owner=owner)


async def test_update_is_written_over_a_conflict(
    cluster: InProcessCluster, config_maps: ConfigMaps, owner: CatalogImage
) -> None:
    await config_maps.put("m", {"a": "1"}, owner=owner)
    cluster.fail(Effect.CONFLICT, verb="patch")
    assert (await config_maps.put("m", {"a": "2"}, owner=owner)).data == {"a": "2"}
