from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.models import CatalogRegistry, Reference
from image_catalog.registry import HostPolicy, RegistryClient
from image_catalog.testing.network import Network
from image_catalog.testing.registry import BearerAuth, FakeRegistry


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def hosts() -> HostPolicy:
    return HostPolicy()


@pytest.fixture
def now() -> list[float]:
    """Give a test the clock's hand: it moves it by writing to the first item."""
    return [1000.0]


@pytest.fixture
async def client(network: Network, hosts: HostPolicy, now: list[float]) -> AsyncIterator[RegistryClient]:
    async with RegistryClient.create(hosts=hosts, connect=network.connect, clock=lambda: now[0]) as client:
        yield client


@pytest.fixture
def registry(tmp_path: Path, network: Network) -> FakeRegistry:
    """Serve a registry that asks nobody at https://registry.test."""
    registry = FakeRegistry(tmp_path)
    registry.scheme = "https"
    network.serve_app("https://registry.test", registry)
    return registry


@pytest.fixture
def auth() -> BearerAuth:
    return BearerAuth()


@pytest.fixture
def guarded(tmp_path: Path, network: Network, auth: BearerAuth) -> FakeRegistry:
    """Serve one that asks for tokens, which it gives itself."""
    registry = FakeRegistry(tmp_path, auth=auth)
    registry.scheme = "https"
    network.serve_app("https://registry.test", registry)
    return registry


@pytest.fixture
def image() -> Reference:
    return Reference.parse("registry.test/team/os:1.0")


@pytest.fixture
def rule() -> Callable[..., CatalogRegistry]:
    """Make a CatalogRegistry for a host with these fields of its spec."""

    def make(host: str, **spec: Any) -> CatalogRegistry:
        return CatalogRegistry.model_validate({"metadata": {"name": "a-registry"}, "spec": {"host": host, **spec}})

    return make
