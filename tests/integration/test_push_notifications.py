"""The real distribution server tells the catalog's API of pushes, as docs/notifications.md has it configured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from image_catalog.config import ApiAuth, Settings
from image_catalog.context import Context
from image_catalog.events import EventSink
from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.knative import read_event
from image_catalog.local.registry import Sample, SampleImage, SampleIndex
from image_catalog.local.serving import LoopbackServer
from image_catalog.testing.distribution import DistributionServer, find_docker_registry
from image_catalog.testing.lifespan import alive
from image_catalog.testing.looking import NotYetError, look
from image_catalog.testing.network import Network
from image_catalog.testing.notifications import listen
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import FakeRegistry
from image_catalog.testing.world import World
from image_catalog_functions.api.app import create_app
from image_catalog_functions.api.assembly import assemble
from image_catalog_functions.verify import main as verify

pytestmark = [pytest.mark.story, pytest.mark.timeout(120)]

PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"


@dataclass(frozen=True, slots=True)
class Told:
    """A catalog, and a real registry that tells it of pushes."""

    world: World
    server: DistributionServer
    asked: list[str]

    async def push(self, sample: Sample) -> None:
        async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
            await sample.push(self.server.url, "acme/autosd", "cs9", client=client)

    async def settle(self, phase: str, sample: Sample) -> None:
        """Wait for what the entry shall say, with no time going by in which anything became due."""
        async for attempt in look(every=timedelta(milliseconds=20), limit=timedelta(seconds=30)):
            with attempt:
                await self.world.pipeline.drain()
                status = self.world.image().status
                found = status.registry_metadata
                if (str(status.phase), found and found.resolved_digest) != (phase, sample.digest):
                    raise NotYetError


def configured(url: str, token: str) -> dict[str, object]:
    """Return the endpoint that the page shows, for this API and this token."""
    (shown,) = [part for part in PAGE.read_text().split("```yaml\n") if part.startswith("notifications:")]
    (endpoint,) = yaml.safe_load(shown.partition("```")[0])["notifications"]["endpoints"]
    shown_url, shown_token = endpoint["url"], endpoint["headers"]["Authorization"]
    assert shown_url.endswith("/api/v1alpha1/catalog/notifications/internal")
    assert shown_token == ["Bearer <token>"]
    changed = {"url": f"{url}/api/v1alpha1/catalog/notifications/internal"}
    headers = {"Authorization": [shown_token[0].replace("<token>", token)]}
    found: dict[str, object] = {**endpoint, **changed, "headers": headers, "backoff": "100ms"}
    return found


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """Run the catalog, its API on a socket, and a registry whose only endpoint is that."""
    binary = find_docker_registry()
    if binary is None:
        pytest.skip("docker-registry is not installed")
    settings = Settings(allow_private_networks=True, notification_interval=timedelta(microseconds=1))
    async with AsyncExitStack() as stack:
        pipeline = await stack.enter_async_context(Pipeline([PipelineFunction.of(verify)], settings=settings))
        world, asked = World(pipeline, FakeRegistry(tmp_path / "unused", host="quay.io"), Network()), list[str]()

        def broker(request: httpx.Request) -> httpx.Response:
            event = read_event(dict(request.headers), request.content)
            asked.append(str(event.subject))
            pipeline.take(event)
            return httpx.Response(202)

        client = await stack.enter_async_context(httpx.AsyncClient(transport=httpx.MockTransport(broker)))
        context = Context.build(
            settings=settings,
            transport=pipeline.cluster.transport("api", restricted=True),
            sink=EventSink(client=client, url="http://broker.test/"),
            clock=pipeline.clock.now,
        )
        app = create_app(assemble(context, auth=ApiAuth.KUBERNETES))
        await stack.enter_async_context(alive(app))
        api = await stack.enter_async_context(LoopbackServer(app))
        token = listen(world, "distribution", registry="nowhere-yet", host="registry.example.com")
        endpoint = configured(api.url, token)
        server = DistributionServer(binary=binary, folder=tmp_path / "distribution", endpoint=endpoint)
        await stack.enter_async_context(server)
        told = {"type": "distribution", "secretRef": {"name": "nowhere-yet-pushes", "namespace": "image-catalog"}}
        world.add_registry("internal", host=server.host, tls={"plainHTTP": True}, notifications=told)
        yield Told(world, server, asked)


async def test_what_a_real_registry_is_given_is_a_version_at_once_and_what_it_loses_is_missed_at_once(
    told: Told,
) -> None:
    world = told.world
    old, new, index = SampleImage(name="old"), SampleImage(name="new"), SampleIndex()
    await told.push(old)
    world.pipeline.apply(world.entry_manifest("autosd", f"{told.server.host}/acme/autosd:cs9"))
    world.pipeline.apply(world.entry_manifest("other", f"{told.server.host}/acme/other:cs9"))
    await told.settle("Available", old)

    for sample in (new, index):
        await told.push(sample)
        await told.settle("Available", sample)
    assert len(world.image().status.history) == 2

    async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False) as client:
        url = f"{told.server.url}/v2/acme/autosd/manifests/{index.digest}"
        assert (await client.delete(url)).status_code == 202
    await told.settle("Unavailable", index)
    assert set(told.asked) == {"team-a/autosd"}
