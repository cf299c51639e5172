"""The composition root: built once, from values, and closed as a whole."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.config import Settings
from image_catalog.context import Context, Reviewer
from image_catalog.errors import ClusterUnavailableError, PermanentError
from image_catalog.events import EventSink
from image_catalog.testing.cluster import InProcessCluster


async def test_closing_the_context_closes_what_it_was_given() -> None:
    async with InProcessCluster() as cluster:
        client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(202)))
        sink = EventSink(client=client, url="http://broker.test/")
        context = Context.build(settings=Settings(), transport=cluster.transport("any"), sink=sink)
        assert context.checker is context.checker, "one client for a whole process"
        assert await context.images.get("team-a", "nothing") is None
        await context.ready()
        await context.aclose()
        assert client.is_closed


async def test_pages_are_as_long_as_the_settings_say() -> None:
    async with InProcessCluster() as cluster:
        for number in range(3):
            spec = {"registryUrl": f"quay.io/acme/os:{number}"}
            await cluster.api().create(CATALOG_IMAGE, {"metadata": {"name": f"e{number}"}, "spec": spec}, "team-a")
        context = Context.build(settings=Settings(reverify_page=2), transport=cluster.transport("any"))
        assert [len(page.images) async for page in context.images.pages()] == [2, 1]
        await context.aclose()


async def test_a_kubeconfig_that_is_not_there_is_named_when_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMAGE_CATALOG_KUBECONFIG", str(tmp_path / "nowhere"))
    monkeypatch.delenv("K_SINK", raising=False)
    context = await Context.from_environment()
    assert context.sink is None
    with pytest.raises((ClusterUnavailableError, PermanentError)) as failed:
        await context.ready()
    assert "nowhere" in failed.value.message
    await context.aclose()


async def test_the_sink_comes_from_its_binding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", "http://broker.test/")
    context = await Context.from_environment()
    assert context.sink is not None
    await context.aclose()


async def test_a_sink_that_is_no_url_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K_SINK", "broker")
    with pytest.raises(PermanentError, match="K_SINK"):
        await Context.from_environment()


async def test_a_setting_that_makes_no_sense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_CATALOG_REVERIFY_BATCH", "0")
    with pytest.raises(PermanentError, match=r"^IMAGE_CATALOG_REVERIFY_BATCH: Input should be greater"):
        await Context.from_environment()


@pytest.mark.parametrize(
    ("account", "audiences", "believed"),
    [("api", ["image-catalog"], True), ("api", [], False), ("stranger", ["image-catalog"], False)],
    ids=["the API", "a token for somebody else", "another pod"],
)
async def test_only_trusted_callers_speak_for_others(account: str, audiences: list[str], believed: bool) -> None:  # noqa: FBT001 - cases
    async with InProcessCluster() as cluster:
        context = Context.build(settings=Settings(), transport=cluster.transport("verify"))
        assert isinstance(context.reviewer, Reviewer)
        caller = await context.reviewer(cluster.token(account, audiences=audiences))
        assert caller == ("system:serviceaccount:image-catalog:api" if believed else None)
        await context.aclose()
