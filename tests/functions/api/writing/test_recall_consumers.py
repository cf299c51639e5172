"""Who has what is recalled: the answer to a recall lists them, from the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from image_catalog.audit import AuditStore
from image_catalog.cluster import Caller
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.testing.world import NAMESPACE, World
from image_catalog_functions.api.recalling import reporting
from image_catalog_functions.api.recording import GivenImage, Recorder

URL = "quay.io/acme/autosd:cs9"


@pytest.fixture
async def store(tmp_path: Path, world: World) -> AsyncIterator[AuditStore]:
    store = AuditStore.open(f"sqlite:///{tmp_path}/audit.db", clock=world.clock.now)
    yield store
    await store.aclose()


@pytest.fixture
async def catalog(serve: Callable[..., Any], store: AuditStore, world: World) -> AsyncIterator[Any]:
    catalog = serve(audit=store, recorder=Recorder(audit=store, clock=world.clock.now))
    yield catalog
    await catalog.client.aclose()


def give(catalog: Any, who: str, digest: str, *, kind: str = "resolved", namespace: str = NAMESPACE) -> None:
    """Note that somebody was given an image, as the calls do."""
    caller = Caller(username=who)
    more = {"target": "qemu"} if kind == "resolved" else {"artifact": "disk.raw"}
    image = GivenImage(namespace=namespace, name="autosd", digest=digest, registry_url=URL)
    getattr(catalog.services.recorder, kind)(caller, image, **more)


async def recall(catalog: Any, digest: str, **options: Any) -> dict[str, Any]:
    body = {"digest": digest, "reason": "it overheats"}
    answer = await catalog.ask("POST", "/images/autosd/recall", body, **options)
    assert answer.status_code == 200
    report: dict[str, Any] = answer.json()["recall"]
    return report


async def test_who_was_given_it_is_listed_the_last_one_first(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    give(catalog, "fleet", sample.digest)
    catalog.world.clock.advance(timedelta(hours=1))
    give(catalog, "bench", sample.digest, kind="downloaded")
    give(catalog, "bench", sample.digest, kind="downloaded")
    give(catalog, "stranger", "sha256:" + "e" * 64)
    report = await recall(catalog, sample.digest)
    told = [(each["actor"], each["kind"], each["count"]) for each in report["consumers"]]
    assert told == [("bench", "image.downloaded", 2), ("fleet", "image.resolved", 1)]
    assert (report["consumersRemaining"], report["consumersMessage"]) == (False, "")


async def test_an_index_and_its_platforms_are_one(catalog: Any) -> None:
    index = SampleIndex([SampleImage(name="arm"), SampleImage(name="intel", architecture="amd64")])
    catalog.world.push(index)
    await catalog.world.add()
    first, second = (v.digest for v in catalog.world.image().status.registry_metadata.platform_variants)
    give(catalog, "by the index", index.digest)
    give(catalog, "by the platform", first)
    catalog.world.clock.advance(timedelta(seconds=1))
    give(catalog, "by another platform", second)
    told = {each["actor"] for each in (await recall(catalog, first))["consumers"]}
    assert told == {"by the index", "by the platform"}
    assert len((await recall(catalog, index.digest))["consumers"]) == 3


async def test_who_was_given_it_elsewhere_is_told_to_who_may_look_there(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    catalog.grant("person", ("create", "catalogimages"), namespace="team-b")
    await catalog.ask("POST", "/images/autosd/promote", {"namespace": "team-b"})
    give(catalog, "fleet", sample.digest, namespace="team-b")
    report = await recall(catalog, sample.digest)
    assert (report["marked"], report["markedElsewhere"], report["consumers"]) == ([], 1, [])
    assert "you may not look into" in report["consumersMessage"]
    catalog.grant("chief", ("update", "catalogimages"))
    catalog.grant("chief", ("get", "catalogimages"), namespace="team-b")
    report = await recall(catalog, sample.digest, headers=catalog.token("chief"))
    assert report["marked"] == [{"name": "autosd", "namespace": "team-b"}]
    assert [each["actor"] for each in report["consumers"]] == ["fleet"]


async def test_the_list_ends_somewhere_and_says_so(catalog: Any) -> None:
    sample = catalog.world.push()
    await catalog.world.add()
    for number in range(reporting.MAX_CONSUMERS + 1):
        give(catalog, f"board-{number}", sample.digest)
    report = await recall(catalog, sample.digest)
    assert (len(report["consumers"]), report["consumersRemaining"]) == (reporting.MAX_CONSUMERS, True)


async def test_without_a_database_it_says_why_nobody_is_listed(serve: Callable[..., Any]) -> None:
    catalog = serve()
    sample = catalog.world.push()
    await catalog.world.add()
    report = await recall(catalog, sample.digest)
    assert report["consumers"] is None
    assert "IMAGE_CATALOG_DATABASE_URL" in report["consumersMessage"]


async def test_a_database_that_is_away_stops_no_recall(serve: Callable[..., Any], tmp_path: Path, world: World) -> None:
    folder = tmp_path / "no-database"
    folder.mkdir()
    store = AuditStore.open(f"sqlite:///{folder}", clock=world.clock.now, patience=timedelta())
    catalog = serve(audit=store, recorder=Recorder(audit=store, clock=world.clock.now))
    sample = catalog.world.push()
    await catalog.world.add()
    give(catalog, "fleet", sample.digest)
    report = await recall(catalog, sample.digest)
    assert (report["recalled"], report["consumers"]) == (True, None)
    assert "the recall holds" in report["consumersMessage"]
    await store.aclose()
