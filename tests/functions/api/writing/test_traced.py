"""What somebody asks of the API, and what the functions do for it, as one trace."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from image_catalog.events import EventType
from image_catalog.testing.collector import Collector
from image_catalog.tracing import start_tracing, stop_tracing

BASE = "/api/v1alpha1/catalog"
TRACE_ID, CALLER = secrets.token_hex(16), secrets.token_hex(8)
TRACED = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}
BUILD = {"imageBuildName": "nightly", "imageBuildNamespace": "team-a"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
async def catalog(collector: Collector, serve: Callable[..., Any]) -> AsyncIterator[Any]:
    """Serve the API of a process that is traced, beside a build that waits to be published."""
    start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, service="api")
    served = serve()
    served.world.pipeline.sources_run = False
    served.world.push()
    served.world.pipeline.apply(served.world.build("nightly"))
    yield served
    await served.client.aclose()
    await served.services.functions.aclose()
    await stop_tracing()


async def test_a_publication_that_is_asked_for_is_the_askers_tree(catalog: Any, collector: Collector) -> None:
    answer = await catalog.ask("POST", "/publish", BUILD, headers=TRACED)
    assert answer.status_code == 201
    await stop_tracing()

    server = collector.find(f"POST {BASE}/publish")
    assert (server.kind, server.trace_id, server.parent_id, server.error) == ("server", TRACE_ID, CALLER, None)
    assert server.attributes["http.response.status_code"] == answer.status_code
    assert "create tokenreviews" in {span.name for span in collector.children(server)}
    call = collector.find("POST publish")
    assert (call.kind, call.parent_id) == ("client", server.span_id)
    # The function was called and is waited for: no consumer of a queue.
    function = collector.find(f"process {EventType.PUBLISH_REQUESTED}")
    assert (function.kind, function.parent_id) == ("server", call.span_id)
    assert f"send {EventType.IMAGE_PUBLISHED}" in {span.name for span in collector.children(function)}


async def test_a_function_that_fails_marks_the_call_and_the_request(catalog: Any, collector: Collector) -> None:
    catalog.world.take_down()
    answer = await catalog.ask("POST", "/publish", BUILD, headers=TRACED)
    assert answer.status_code == 503
    await stop_tracing()

    assert collector.find(f"POST {BASE}/publish").error == ("503", "")
    assert collector.find("POST publish").error == ("503", "")


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        pytest.param("GET", f"{BASE}/images?allNamespaces=true", f"GET {BASE}/images", id="a list"),
        pytest.param("GET", f"{BASE}/images/autosd?namespace=team-a", f"GET {BASE}/images/{{name}}", id="an entry"),
        pytest.param("GET", f"{BASE}/builds", f"GET {BASE}/builds", id="a call of the framework's"),
        pytest.param("GET", "/no/such/page", "GET", id="nothing that there is"),
        pytest.param("BREW", f"{BASE}/images", "HTTP", id="no method that there is"),
    ],
)
async def test_spans_have_few_names(catalog: Any, collector: Collector, method: str, path: str, name: str) -> None:
    for _ in range(2):
        await catalog.client.request(method, path)
    await stop_tracing()

    names = [span for span in collector.spans if span.kind == "server"]
    assert [span.name for span in names] == [name, name]
    assert {span.attributes["url.path"] for span in names} == {path.partition("?")[0]}
    assert "allNamespaces" not in collector.text


async def test_probes_are_not_traced(catalog: Any, collector: Collector) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        await catalog.client.get(path)
    await stop_tracing()

    assert collector.spans == []


@pytest.fixture
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no trace that begins here, so that whatever is sent is what a caller keeps."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")


@pytest.mark.usefixtures("nothing_is_kept")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", f"{BASE}/publish", 401, id="a call"),
        pytest.param("GET", f"{BASE}/images", 401, id="a list"),
        pytest.param("POST", f"{BASE}/notifications/quay-io", 401, id="a notification"),
        pytest.param("GET", "/no/such/page", 404, id="nothing that there is"),
    ],
)
async def test_a_stranger_keeps_no_trace(
    catalog: Any, collector: Collector, method: str, path: str, status: int
) -> None:
    answer = await catalog.client.request(method, path, headers=TRACED | {"authorization": "Bearer unknown"})
    await stop_tracing()

    assert (answer.status_code, collector.spans) == (status, [])


@pytest.mark.usefixtures("nothing_is_kept")
async def test_a_caller_that_has_proven_who_it_is_keeps_its_trace(catalog: Any, collector: Collector) -> None:
    assert (await catalog.ask("POST", "/publish", BUILD, headers=TRACED)).status_code == 201
    for _ in range(2):  # the second is answered before the framework is asked
        assert (await catalog.ask("GET", "/images/nightly", headers=TRACED)).status_code == 200
    assert (await catalog.ask("GET", "/images/nightly")).status_code == 200
    await stop_tracing()

    assert {span.trace_id for span in collector.spans} == {TRACE_ID}
    served = [span for span in collector.spans if span.kind == "server" and span.parent_id == CALLER]
    assert [span.name for span in served] == [f"POST {BASE}/publish", *[f"GET {BASE}/images/{{name}}"] * 2]
    assert collector.find("POST publish").parent_id == served[0].span_id


async def test_a_stream_is_over_for_a_trace_when_it_begins(catalog: Any, collector: Collector) -> None:
    async with catalog.client.stream("GET", f"{BASE}/images/watch?namespace=team-a"):
        pass
    await stop_tracing()
    assert [span.name for span in collector.spans if span.kind == "server"]
