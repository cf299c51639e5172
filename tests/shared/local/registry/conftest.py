from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from image_catalog.local.registry import RegistryStore, create_registry_app


@pytest.fixture
def store(tmp_path: Path) -> RegistryStore:
    return RegistryStore(tmp_path / "registry")


@pytest.fixture
async def client(store: RegistryStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_registry_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://registry.test") as client:
        yield client
