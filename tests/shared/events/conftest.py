"""A function under the real framework, and a broker's ingress for what it emits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from image_catalog.events import EventSink
from image_catalog.testing.functions import BrokerIngress, SampleContext, SampleFunction, load_function

FUNCTION = """
from image_catalog.events import EventType, SourceType, catalog_function, exact
from image_catalog.models import CatalogImage
from image_catalog.models.events import Ping, PublishRequest

TRIGGERS = (
    exact(type=EventType.PUBLISH_REQUESTED, payload=PublishRequest),
    exact(type=SourceType.RESOURCE_ADDED, kind="CatalogImage", payload=CatalogImage),
    exact(type=SourceType.PING, payload=Ping),
)
EMITS = (EventType.PUBLISH_REJECTED, EventType.IMAGE_REMOVED)


async def build():
    return await sample.on_build()


@catalog_function(triggers=TRIGGERS, emits=EMITS, context=build)
async def main(event, context):
    return await sample.on_event(event, context)
"""


@pytest.fixture
async def ingress() -> BrokerIngress:
    return BrokerIngress()


@pytest.fixture
async def sink(ingress: BrokerIngress) -> AsyncIterator[EventSink]:
    client = httpx.AsyncClient(transport=httpx.MockTransport(ingress))
    sink = EventSink(client=client, url="http://broker.test/default/catalog")
    yield sink
    await sink.aclose()


@pytest.fixture
async def served(tmp_path: Path, ingress: BrokerIngress, sink: EventSink) -> AsyncIterator[SampleFunction]:
    source = tmp_path / "sample" / "main.py"
    source.parent.mkdir()
    source.write_text(FUNCTION)
    async with load_function(source) as (client, module):
        sample = SampleFunction(client, module, SampleContext(sink), ingress)
        vars(module)["sample"] = sample
        yield sample


@pytest.fixture(autouse=True)
def log() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as entries:
        yield entries  # type: ignore[misc]  # structlog types its entries as MutableMapping
    structlog.reset_defaults()
