"""The pipeline with every function and a registry that behaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image_catalog.config import Settings
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
