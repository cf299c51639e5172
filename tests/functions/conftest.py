"""The pipeline with every function and a registry that behaves."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import jsonschema_rs
import orjson
import pytest

from image_catalog.config import Settings
from image_catalog.events import EventType
from image_catalog.events.schema import SCHEMAS_FOLDER, schema_file
from image_catalog.models import CatalogImage
from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.world import World, running_world
from image_catalog_functions.audit import main as audit
from image_catalog_functions.cleanup import main as cleanup
from image_catalog_functions.publish import main as publish
from image_catalog_functions.reverify import main as reverify
from image_catalog_functions.verify import main as verify

FUNCTIONS = tuple(PipelineFunction.of(module) for module in (publish, verify, reverify, cleanup, audit))


@pytest.fixture
def functions() -> tuple[PipelineFunction, ...]:
    """Every function, for tests that make worlds of their own."""
    return FUNCTIONS


@pytest.fixture
def settings() -> Settings:
    """Return the functions' settings; a test module that needs others overrides this."""
    return Settings()


@pytest.fixture
async def world(tmp_path: Path, settings: Settings) -> AsyncIterator[World]:
    """Run every function against an empty cluster and an empty registry."""
    async with running_world(FUNCTIONS, tmp_path, settings=settings) as world:
        yield world
        assert not [delivery for delivery in world.pipeline.deliveries if delivery.status == 500]
        check_generations(world)
        check_events(world)


def check_generations(world: World) -> None:
    """Make sure that status and conditions speak of one generation, which `kubectl wait` relies on."""
    for stored in world.all("catalogimages"):
        status = CatalogImage.from_object(stored).status
        assert {c.observed_generation for c in status.conditions} <= {status.observed_generation}


def check_events(world: World) -> None:
    """Make sure that every event is what its schema and the attributes of all events say."""
    meant: dict[str, tuple[str, str | None]] = {}
    for event in world.pipeline.emitted:
        schema = orjson.loads((SCHEMAS_FOLDER / schema_file(EventType(event.type))).read_bytes())
        data = orjson.loads(event.data)
        jsonschema_rs.validator_for(schema).validate(data)
        assert uuid.UUID(event.id).version == 5
        assert meant.setdefault(event.id, (event.type, event.subject)) == (event.type, event.subject)
        attributes = event.attributes
        name = attributes.get("catalogname", "")
        assert event.subject == attributes["partitionkey"] == f"{attributes['catalognamespace']}/{name}"
        assert attributes["source"].endswith(f"/namespaces/{attributes['catalognamespace']}/catalogimages/{name}")
        assert attributes["specversion"] == "1.0"
        assert all(attributes.values())
