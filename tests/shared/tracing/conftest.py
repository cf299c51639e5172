from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog

from image_catalog.testing.collector import Collector
from image_catalog.tracing import stop_tracing


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def log() -> Iterator[list[dict[str, Any]]]:
    with structlog.testing.capture_logs() as lines:
        yield lines  # type: ignore[misc]  # structlog types its entries as MutableMapping


@pytest.fixture(autouse=True)
async def untraced() -> AsyncIterator[None]:
    """Leave no test's tracing to the next one."""
    yield
    await stop_tracing()
