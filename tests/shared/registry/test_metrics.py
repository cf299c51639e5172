import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from image_catalog.errors import CatalogError
from image_catalog.models import Reference
from image_catalog.registry import RegistryClient
from image_catalog.registry.metrics import BoundedNames
from image_catalog.testing.network import Network

PINNED = "sha256:" + "a" * 64


def counted(registry: str, outcome: str, method: str = "HEAD") -> float:
    labels = {"registry": registry, "method": method, "outcome": outcome}
    return REGISTRY.get_sample_value("image_catalog_registry_requests_total", labels) or 0.0


def fail(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def serve(_: httpx.Request) -> httpx.Response:
        raise error

    return serve


@pytest.mark.parametrize(
    ("serve", "outcome"),
    [
        pytest.param(lambda _: httpx.Response(200), "ok", id="ok"),
        pytest.param(lambda _: httpx.Response(401), "unauthorized", id="401"),
        pytest.param(lambda _: httpx.Response(403), "forbidden", id="403"),
        pytest.param(lambda _: httpx.Response(404), "not_found", id="404"),
        pytest.param(lambda _: httpx.Response(429), "rate_limited", id="429"),
        pytest.param(lambda _: httpx.Response(302, headers={"Location": "x:y"}), "redirect", id="redirect"),
        pytest.param(lambda _: httpx.Response(418), "client_error", id="client-error"),
        pytest.param(lambda _: httpx.Response(502), "server_error", id="server-error"),
        pytest.param(lambda _: httpx.Response(700), "invalid", id="no-status"),
        pytest.param(fail(httpx.ReadTimeout("late")), "timeout", id="timeout"),
        pytest.param(fail(httpx.ConnectError("down")), "unreachable", id="unreachable"),
        pytest.param(fail(httpx.RemoteProtocolError("odd")), "invalid", id="protocol"),
    ],
)
async def test_each_request_is_counted_by_its_outcome(
    network: Network, client: RegistryClient, serve: Any, outcome: str
) -> None:
    network.serve("https://counted.test", serve)
    before = counted("counted.test", outcome)
    with contextlib.suppress(CatalogError):
        await client.inspect(Reference.parse(f"counted.test/x@{PINNED}"), known=PINNED)
    assert counted("counted.test", outcome) == before + 1


def test_hosts_that_users_type_do_not_make_series_without_end() -> None:
    label = BoundedNames(2)
    assert [label(host) for host in ("a.test", "b.test", "c.test", "a.test")] == ["a.test", "b.test", "other", "a.test"]
