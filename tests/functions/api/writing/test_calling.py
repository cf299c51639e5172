"""How the API calls functions: again where that helps, not where it does not, and what it makes of answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from image_catalog.config import Settings
from image_catalog.models.events import PublishRequest
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.http.problems import Problem
from image_catalog_functions.api.writing import Asker, FunctionClient, Patience, open_client
from image_catalog_functions.api.writing.asking import request_event

PATIENCE = Patience(
    budget=timedelta(seconds=1), first_pause=timedelta(milliseconds=1), longest_pause=timedelta(milliseconds=1)
)
REQUEST = PublishRequest(namespace="team-a", registry_url="quay.io/acme/autosd:cs9", actor="jane")
PUBLISHED = {"name": "autosd", "namespace": "team-a", "registryUrl": "quay.io/acme/autosd:cs9", "change": "created"}
PUBLISHED_TYPE = "com.redhat.automotive.catalog.image.published"
DONE = httpx.Response(200, json={"events": [{"id": "e", "type": PUBLISHED_TYPE, "data": PUBLISHED}]})


def said(status: int, **problem: Any) -> httpx.Response:
    return httpx.Response(status, json=problem, headers={"retry-after": "7"} if status == 503 else {})


class Function:
    """Answers calls one by one; the last answer repeats."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = [DONE]
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
async def make(function: Function) -> AsyncIterator[Callable[..., FunctionClient]]:
    client = httpx.AsyncClient(transport=httpx.MockTransport(function))

    def build(**options: Any) -> FunctionClient:
        parts = {"publish_url": "http://publish", "verify_url": "http://verify", "patience": PATIENCE, **options}
        return FunctionClient(client=client, **parts)

    yield build
    await client.aclose()


async def call(client: FunctionClient, **asker: Any) -> Any:
    return await client.publish(request_event(REQUEST, clock=StillClock(), asker=Asker(**asker)))


async def refusal(client: FunctionClient) -> Problem:
    with pytest.raises(Problem) as refused:
        await call(client)
    return refused.value


async def test_a_call_is_a_cloudevent_that_asks_for_its_outcome(
    make: Callable[..., FunctionClient], function: Function, tmp_path: Path
) -> None:
    token, trace = tmp_path / "token", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    token.write_text("first\n")
    client = make(token_file=token)
    outcome = await call(client, traceparent=trace)
    token.write_text("second")
    await call(client)
    assert outcome.published.name == "autosd"
    first, second = function.requests
    assert first.headers["prefer"] == "return=representation"
    assert first.headers["ce-specversion"] == "1.0"
    assert first.headers["traceparent"] == trace
    assert json.loads(first.content)["actor"] == "jane"
    tokens = [request.headers["authorization"] for request in (first, second)]
    assert tokens == ["Bearer first", "Bearer second"], "the kubelet renews it"


async def test_without_a_token_of_its_own_nobody_is_called(
    make: Callable[..., FunctionClient], function: Function, tmp_path: Path
) -> None:
    problem = await refusal(make(token_file=tmp_path / "none"))
    assert (problem.status, problem.reason) == (503, "FunctionUnavailable")
    assert str(tmp_path / "none") in problem.detail
    assert function.requests == []


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.ConnectError("refused"), id="refused"),
        pytest.param(httpx.ConnectTimeout("slow"), id="no connection"),
        pytest.param(httpx.RemoteProtocolError("disconnected"), id="broken"),
        pytest.param(said(503, reason="ShuttingDown"), id="shutting down"),
        pytest.param(said(503, reason="WriteConflict"), id="conflict"),
        pytest.param(httpx.Response(503, text="no healthy upstream"), id="no Pod"),
        pytest.param(httpx.Response(502), id="bad gateway"),
    ],
)
async def test_what_may_pass_is_called_again_under_the_same_id(
    make: Callable[..., FunctionClient], function: Function, trouble: Any
) -> None:
    function.answers = [trouble, trouble, DONE]
    assert (await call(make())).published is not None
    assert len(function.requests) == 3
    assert len({request.headers["ce-id"] for request in function.requests}) == 1


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        pytest.param(said(503, reason="RateLimited", detail="d"), 503, "RateLimited", id="a registry's trouble"),
        pytest.param(httpx.ReadTimeout("slow"), 504, "FunctionUnavailable", id="no answer in time"),
        pytest.param(httpx.Response(504), 504, "FunctionUnavailable", id="a proxy's patience"),
        pytest.param(said(500, reason="InternalError"), 502, "FunctionRefused", id="crash"),
        pytest.param(said(401, reason="InvalidEvent"), 502, "FunctionRefused", id="our token"),
        pytest.param(httpx.Response(404), 502, "FunctionRefused", id="somebody else"),
        pytest.param(said(413, reason="InvalidEvent"), 413, "BodyTooLarge", id="too large"),
        pytest.param(said(422, reason="Forbidden", detail="d"), 422, "Forbidden", id="refusal"),
        pytest.param(said(422, reason="NewWord"), 502, "FunctionRefused", id="a word we do not know"),
        pytest.param(said(422, reason="InvalidEvent", detail="d"), 400, "InvalidBody", id="against the schema"),
        pytest.param(httpx.Response(204), 502, "FunctionRefused", id="no outcome"),
        pytest.param(httpx.Response(200, json=[1]), 502, "FunctionRefused", id="another outcome"),
        pytest.param(httpx.Response(200, json={"events": [{}]}), 502, "FunctionRefused", id="an event without type"),
    ],
)
async def test_what_does_not_pass_is_answered_at_once(
    make: Callable[..., FunctionClient], function: Function, answer: Any, status: int, reason: str
) -> None:
    function.answers = [answer]
    problem = await refusal(make())
    assert (problem.status, problem.reason) == (status, reason)
    assert len(function.requests) == 1


async def test_violations_are_passed_on(make: Callable[..., FunctionClient], function: Function) -> None:
    violations = [{"path": "data.name", "message": "m"}]
    function.answers = [said(422, reason="InvalidEvent", detail="d", violations=violations)]
    assert (await refusal(make())).details == {"violations": violations}


@pytest.mark.parametrize(
    ("trouble", "retry_after"),
    [
        pytest.param(httpx.ConnectError("refused"), "5", id="broken"),
        pytest.param(said(503, reason="ClusterUnavailable", detail="d"), "7", id="unavailable"),
        pytest.param(httpx.Response(503), "5", id="no Pod"),
    ],
)
async def test_patience_ends(
    make: Callable[..., FunctionClient], function: Function, trouble: Any, retry_after: str
) -> None:
    function.answers = [trouble]
    patience = Patience(timedelta(milliseconds=10), timedelta(milliseconds=1), timedelta(milliseconds=2))
    problem = await refusal(make(patience=patience))
    assert (problem.status, problem.headers["Retry-After"]) == (503, retry_after)
    assert len(function.requests) > 1


async def test_words_of_a_newer_function_are_passed_over(
    make: Callable[..., FunctionClient], function: Function
) -> None:
    steps = [{"name": "s", "status": "ok", "new": 1}]
    known = {"id": "e", "type": PUBLISHED_TYPE, "data": {**PUBLISHED, "newField": 1, "steps": steps}}
    newer = {"id": "n", "type": "com.redhat.automotive.catalog.image.imagined", "data": {}}
    function.answers = [httpx.Response(200, json={"events": [newer, known]})]
    outcome = await call(make())
    assert [step.name for step in outcome.steps] == ["s"]
    assert len(outcome.events) == 2
    assert outcome.verified is None


async def test_a_client_is_opened_from_the_settings() -> None:
    settings = Settings(publish_url="http://publish.test", verify_url="http://verify.test")
    client = open_client(settings)
    assert (client.publish_url, client.verify_url) == ("http://publish.test", "http://verify.test")
    assert client.token_file == settings.token_file
    await client.aclose()
    assert client.client.is_closed
