"""Entries: what is read, and what two kinds of writes touch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from image_catalog.cluster import CATALOG_IMAGE, CatalogImages
from image_catalog.errors import (
    AlreadyExistsError,
    ClusterUnavailableError,
    InvalidObjectError,
    WriteConflictError,
)
from image_catalog.models import (
    CatalogImage,
    CatalogImageSpec,
    CatalogImageStatus,
    DueAt,
    LaterNames,
    ObjectMeta,
    Phase,
    SourceImageBuild,
    format_time,
)
from image_catalog.models.crds import crd_manifests
from image_catalog.testing.cluster import Effect, InProcessCluster

NS = "team-a"
NOW = datetime(2026, 11, 22, 1, 15, 30, tzinfo=UTC)


def labelled(image: CatalogImage, **labels: str) -> CatalogImage:
    metadata = image.metadata.model_copy(update={"labels": {**image.metadata.labels, **labels}})
    return image.model_copy(update={"metadata": metadata})


def failing_once_more(image: CatalogImage) -> CatalogImageStatus:
    count = (image.status.verification_failures or 0) + 1
    return image.status.model_copy(update={"verification_failures": count})


async def test_created_entry_can_be_read(images: CatalogImages, entry: CatalogImage) -> None:
    created = await images.create(labelled(entry, a="b"))
    assert created.metadata.uid
    assert created.metadata.labels == {"a": "b"}
    assert await images.get(NS, "cs9") == created
    with pytest.raises(AlreadyExistsError):
        await images.create(entry)


async def test_absent_entry_is_none_for_every_write(images: CatalogImages) -> None:
    assert await images.get(NS, "absent") is None
    assert await images.apply_metadata(NS, "absent", lambda image: labelled(image, a="b")) is None
    assert await images.apply_status(NS, "absent", failing_once_more) is None


async def test_metadata_write_leaves_the_status_alone(images: CatalogImages, entry: CatalogImage) -> None:
    await images.create(entry)
    await images.apply_status(NS, "cs9", failing_once_more)
    written = await images.apply_metadata(
        NS,
        "cs9",
        lambda image: labelled(image, a="b").model_copy(
            update={
                "spec": image.spec.model_copy(update={"verification_interval": "2h"}),
                "status": CatalogImageStatus(),
            }
        ),
    )
    assert written is not None
    assert written.spec.verification_interval == "2h"
    assert written.metadata.labels == {"a": "b"}
    assert written.status.verification_failures == 1
    assert written.metadata.generation == 2


async def test_label_that_is_left_out_is_removed(images: CatalogImages, entry: CatalogImage) -> None:
    await images.create(labelled(entry, a="1", b="2"))

    def without_a(image: CatalogImage) -> CatalogImage:
        metadata = image.metadata.model_copy(update={"labels": {"b": "2"}})
        return image.model_copy(update={"metadata": metadata})

    written = await images.apply_metadata(NS, "cs9", without_a)
    assert written is not None
    assert written.metadata.labels == {"b": "2"}


async def test_status_field_set_to_none_is_removed(images: CatalogImages, entry: CatalogImage) -> None:
    await images.create(entry)
    await images.apply_status(NS, "cs9", failing_once_more)
    written = await images.apply_status(
        NS, "cs9", lambda image: image.status.model_copy(update={"verification_failures": None})
    )
    assert written is not None
    assert written.status.verification_failures is None


@pytest.mark.parametrize("write", ["metadata", "status"])
async def test_change_that_changes_nothing_is_not_written(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage, write: str
) -> None:
    created = await images.create(entry)
    if write == "metadata":
        written = await images.apply_metadata(NS, "cs9", lambda image: image)
    else:
        written = await images.apply_status(NS, "cs9", lambda image: image.status)
    assert written == created
    assert "patch" not in {call.verb for call in cluster.calls}


async def test_status_write_is_decided_again_when_another_writer_comes_between(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    await images.create(entry)
    rival = CatalogImages(api=cluster.api("rival"))

    async def interfere() -> None:
        await rival.apply_status(NS, "cs9", failing_once_more)

    cluster.before(interfere, verb="patch", actor="tester", times=3)
    written = await images.apply_status(NS, "cs9", failing_once_more)
    assert written is not None
    assert written.status.verification_failures == 4


async def test_metadata_write_is_decided_again_when_another_writer_comes_between(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    created = await images.create(entry)
    rival = CatalogImages(api=cluster.api("rival"))

    async def interfere() -> None:
        await rival.apply_metadata(NS, "cs9", lambda image: labelled(image, rival="1"))

    cluster.before(interfere, verb="patch", actor="tester")
    written = await images.apply_metadata(NS, "cs9", lambda image: labelled(image, ours="1"), start=created)
    assert written is not None
    assert written.metadata.labels == {"rival": "1", "ours": "1"}


async def test_entry_of_the_same_name_made_later_is_not_written_to(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    created = await images.create(entry)

    async def replace() -> None:
        await images.delete(created)
        await images.create(entry)

    cluster.before(replace, verb="patch")
    seen: list[str] = []

    def change(image: CatalogImage) -> CatalogImage | None:
        seen.append(image.metadata.uid)
        return labelled(image, a="b") if image.metadata.uid == created.metadata.uid else None

    written = await images.apply_metadata(NS, "cs9", change)
    assert written is not None
    assert written.metadata.labels == {}
    assert len(set(seen)) == 2


async def test_endless_conflict_ends_in_an_error(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    await images.create(entry)
    cluster.fail(Effect.CONFLICT, verb="patch", times=100)
    with pytest.raises(WriteConflictError):
        await images.apply_status(NS, "cs9", failing_once_more)


async def test_write_that_was_not_answered_is_found_done_at_the_next_try(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    await images.create(entry)
    cluster.fail(Effect.TIMEOUT_AFTER, verb="patch")

    def once(image: CatalogImage) -> CatalogImageStatus | None:
        return failing_once_more(image) if image.status.verification_failures is None else None

    with pytest.raises(ClusterUnavailableError):
        await images.apply_status(NS, "cs9", once)
    again = await images.apply_status(NS, "cs9", once)
    assert again is not None
    assert again.status.verification_failures == 1


async def test_fields_of_a_newer_version_survive_our_write(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    await images.create(entry)
    api = cluster.api()
    await api.patch_status(CATALOG_IMAGE, "cs9", NS, {"accessCount": 7}, resource_version=None)
    await images.apply_status(NS, "cs9", failing_once_more)
    found = await api.get(CATALOG_IMAGE, "cs9", NS)
    assert found is not None
    assert found["status"]["accessCount"] == 7


async def test_delete_hits_this_very_entry_only(images: CatalogImages, entry: CatalogImage) -> None:
    first = await images.create(entry)
    assert await images.delete(first) is True
    assert await images.delete(first) is False
    await images.create(entry)
    with pytest.raises(WriteConflictError):
        await images.delete(first)


async def test_pages_hold_typed_entries(cluster: InProcessCluster, entry: CatalogImage) -> None:
    images = CatalogImages(api=cluster.api(page_size=1))
    await images.create(entry)
    other = labelled(entry, x="y")
    await images.create(other.model_copy(update={"metadata": other.metadata.model_copy(update={"name": "other"})}))
    pages = [page async for page in images.pages()]
    assert [[image.subject for image in page.images] for page in pages] == [["team-a/cs9"], ["team-a/other"]]
    selected = [page async for page in images.pages(NS, label_selector="x=y")]
    assert [image.metadata.name for page in selected for image in page.images] == ["other"]


async def test_rows_tell_what_is_due(images: CatalogImages, entry: CatalogImage) -> None:
    created = await images.create(entry)
    (row,) = [row async for row in images.rows()]
    assert (row.namespace, row.name, row.registry_url) == (NS, "cs9", entry.spec.registry_url)
    assert (row.phase, row.next_verification) == (None, None)
    due = created.metadata.creation_timestamp
    assert due is not None
    due += timedelta(hours=1)
    status = CatalogImageStatus(phase=Phase.AVAILABLE, next_verification_time=due)
    await images.apply_status(NS, "cs9", lambda _: status)
    (row,) = [row async for row in images.rows(NS)]
    assert (row.phase, row.next_verification) == (Phase.AVAILABLE, due), format_time(due)


async def test_an_outline_tells_whether_an_entry_was_looked_at(images: CatalogImages, entry: CatalogImage) -> None:
    await images.create(labelled(entry, a="b"))
    status = CatalogImageStatus(
        observed_generation=1,
        phase=Phase.AVAILABLE,
        verified_inputs="inputs",
        next_verification_time=NOW,
        source_image_build=SourceImageBuild(name="build", namespace=NS, completion_time=NOW),
    )
    whole = await images.apply_status(NS, "cs9", lambda _: status)
    assert whole is not None
    ((outline,),) = [page.images async for page in images.pages(outlined=True)]
    assert outline.metadata == whole.metadata
    assert outline.spec.registry_url == whole.spec.registry_url
    assert outline.status == status.model_copy(update={"phase": None, "due": DueAt.of(NOW)})


async def test_a_row_tells_of_a_deletion_that_waits(images: CatalogImages, entry: CatalogImage) -> None:
    finalized = entry.metadata.model_copy(update={"finalizers": ["example.com/wait"]})
    created = await images.create(entry.model_copy(update={"metadata": finalized}))
    assert [row.is_deleted async for row in images.rows()] == [False]
    await images.delete(created)
    assert [row.is_deleted async for row in images.rows()] == [True]


async def test_a_row_of_an_older_kind_tells_of_no_deletion(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    await images.create(entry)
    crd = crd_manifests()["catalogimages.yaml"]
    (version,) = crd["spec"]["versions"]
    columns = [column for column in version["additionalPrinterColumns"] if column["name"] != "Deleted"]
    older = {**version, "additionalPrinterColumns": columns}
    cluster.server.apply({**crd, "spec": {**crd["spec"], "versions": [older]}})
    assert [row.is_deleted async for row in images.rows()] == [None]


async def add_due(images: CatalogImages, name: str, due: datetime | None) -> None:
    spec = CatalogImageSpec(registry_url=f"registry.example.com/os/{name}:1")
    await images.create(CatalogImage(metadata=ObjectMeta(name=name, namespace=NS), spec=spec))
    await images.apply_status(NS, name, lambda _: CatalogImageStatus(phase=Phase.AVAILABLE, next_verification_time=due))


class TestRowsOfWhatMayBeDue:
    """The API server leaves out what has the name of a later time; whatever else there is comes."""

    async def names(self, images: CatalogImages) -> list[str]:
        return [row.name async for row in images.rows(without=LaterNames.after(NOW))]

    async def test_what_is_due_later_is_left_out(self, cluster: InProcessCluster, images: CatalogImages) -> None:
        wanted = {"past": -timedelta(days=1), "now": timedelta(), "this-minute": timedelta(seconds=29)}
        later = {"minutes": timedelta(minutes=5), "hours": timedelta(hours=5), "days": timedelta(days=5)}
        for name, ahead in (wanted | later).items():
            await add_due(images, name, NOW + ahead)
        await add_due(images, "never", None)
        cluster.calls.clear()
        assert await self.names(images) == sorted([*wanted, "never"])
        assert len(cluster.calls) == 1

    async def test_what_another_version_wrote_comes(self, cluster: InProcessCluster, images: CatalogImages) -> None:
        await add_due(images, "unnamed", NOW + timedelta(hours=1))
        await add_due(images, "odd", NOW + timedelta(hours=1))
        cluster.store_unchecked(CATALOG_IMAGE, "unnamed", NS, {"status": {"due": None}})
        cluster.store_unchecked(CATALOG_IMAGE, "odd", NS, {"status": {"due": {"minute": "soon"}}})
        assert await self.names(images) == ["odd", "unnamed"]

    async def test_a_time_that_is_taken_back_takes_its_names_with_it(self, images: CatalogImages) -> None:
        await add_due(images, "a", NOW + timedelta(hours=1))
        await images.apply_status(
            NS, "a", lambda image: image.status.model_copy(update={"next_verification_time": None})
        )
        assert await self.names(images) == ["a"]

    async def test_a_kind_of_an_older_version_is_listed_whole(
        self, cluster: InProcessCluster, images: CatalogImages
    ) -> None:
        await add_due(images, "a", NOW + timedelta(hours=1))
        crd = crd_manifests()["catalogimages.yaml"]
        (version,) = crd["spec"]["versions"]
        older = {**version, "selectableFields": version["selectableFields"][:3]}
        cluster.server.apply({**crd, "spec": {**crd["spec"], "versions": [older]}})
        assert await self.names(images) == ["a"]

    async def test_a_list_too_long_to_be_taken_whole_comes_in_pages(self, cluster: InProcessCluster) -> None:
        images = CatalogImages(api=cluster.api(page_size=15))
        for name in (f"e{number:02}" for number in range(40)):
            await add_due(images, name, None)
            # Longer than any that is let in, so that few of them are too many.
            cluster.store_unchecked(CATALOG_IMAGE, name, NS, {"spec": {"registryUrl": "x" * 120_000}})
        cluster.calls.clear()
        assert await self.names(images) == [f"e{number:02}" for number in range(40)]
        assert len(cluster.calls) == 1 + 3


async def test_entry_that_cannot_be_read_says_where(
    cluster: InProcessCluster, images: CatalogImages, entry: CatalogImage
) -> None:
    await images.create(entry)
    await images.create(entry.model_copy(update={"metadata": entry.metadata.model_copy(update={"name": "odd"})}))
    cluster.store_unchecked(CATALOG_IMAGE, "odd", NS, {"spec": {"verifyBlobs": "sometimes"}})
    with pytest.raises(InvalidObjectError, match="team-a/odd cannot be read") as caught:
        await images.get(NS, "odd")
    assert [violation.path for violation in caught.value.violations] == ["spec.verifyBlobs"]
    names = [image.metadata.name async for page in images.pages() for image in page.images]
    assert names == ["cs9"]
