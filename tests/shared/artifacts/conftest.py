from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from image_catalog.artifacts import ObjectStores, StoreCredential
from image_catalog.registry import HostPolicy, RegistryClient
from image_catalog.testing.network import Network
from image_catalog.testing.object_store import ObjectStore, running_object_store


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with running_object_store() as store:
        yield store


@pytest.fixture
def network(store: ObjectStore) -> Network:
    network = Network()
    store.serve(network)
    return network


@pytest.fixture
def hosts() -> HostPolicy:
    return HostPolicy()


@pytest.fixture
async def stores(network: Network, hosts: HostPolicy) -> AsyncIterator[ObjectStores]:
    async with RegistryClient.create(hosts=hosts, connect=network.connect) as client:
        yield ObjectStores(carrier=client.outgoing)


@pytest.fixture
def credential() -> StoreCredential:
    return StoreCredential("key-of-a-build", SecretStr("signs-for-the-build"))
