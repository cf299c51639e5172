"""What a real API server answered, step by step, asked of the embedded API.

``pytest tests/contract/test_recorded_exchanges.py --kubeconfig FILE`` asks a
real API server instead. A step that is run alone, or on another worker, makes
the steps before it first, without judging them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import orjson
import pytest

from image_catalog.testing.kubernetes_api import kubernetes_api

Json: TypeAlias = dict[str, Any]

RECORDINGS = Path(__file__).parent / "kubernetes"
SCENARIOS = (
    "crd",
    "create",
    "create-errors",
    "update",
    "status",
    "patch",
    "delete",
    "list",
    "watch",
    "core",
    "auth",
)
STEPS: list[tuple[str, int, Json]] = [
    (scenario, number, step)
    for scenario in SCENARIOS
    for number, step in enumerate(json.loads((RECORDINGS / f"{scenario}.json").read_text())["steps"])
]
CRD_NAME = "gadgets.contract.example.com"
NAMESPACES = ("contract", "other")
# The recorder took the version anew here; the steps between went on from the one before.
LISTED_ANEW = (0, 3, 4, 6)
QUIET_SECONDS = 0.3
GIVE_UP_SECONDS = 10
TIMES = ("creationTimestamp", "deletionTimestamp", "lastTransitionTime", "expirationTimestamp")


@dataclass
class Result:
    """What one step got."""

    status: int = 0
    content_type: str = ""
    warning: str | None = None
    body: Any = None
    events: list[Json] = field(default_factory=list)


class Replay:
    """Makes the steps in order, each once."""

    def __init__(self, client: httpx.AsyncClient, *, real: bool) -> None:
        self.real = real
        self.saved: dict[str, str] = {}
        self._client = client
        self._results: list[Result] = []

    async def result(self, position: int) -> Result:
        while len(self._results) <= position:
            _, number, step = STEPS[len(self._results)]
            self._results.append(await self._make(number, step))
        return self._results[position]

    async def _make(self, number: int, step: Json) -> Result:
        if "watch" in step:
            return await self._watch(number, step)
        if "request" not in step:
            return Result()
        response = await self.send(step["request"])
        body = response.json() if response.text.startswith(("{", "[")) else response.text
        for name, path in (step.get("save") or {}).items():
            self.saved[name] = at(body, path)
        return Result(
            response.status_code,
            response.headers.get("content-type", ""),
            ", ".join(response.headers.get_list("warning")) or None,
            body,
        )

    async def send(self, request: Json) -> httpx.Response:
        headers = dict(request.get("headers") or {})
        content = request.get("raw")
        if request.get("body") is not None:
            content = self._filled(json.dumps(request["body"]))
            headers.setdefault("Content-Type", "application/json")
        token = request.get("token", "")
        if "as" in request:
            token = self.saved["sa_token"]
        built = self._client.build_request(
            request["method"], self._filled(request["path"]), headers=headers, content=content
        )
        if token is None:
            del built.headers["Authorization"]
        elif token:
            built.headers["Authorization"] = f"Bearer {token}"
        return await self._client.send(built)

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda match: self.saved[match[1]], text)

    async def _watch(self, number: int, step: Json) -> Result:
        path = step["watch"]["path"]
        if number in LISTED_ANEW:
            listed = await self._client.get(path.partition("?")[0])
            self.saved["rv_list"] = listed.json()["metadata"]["resourceVersion"]
        expected = len(step["events"])
        events: list[Json] = []
        async with self._client.stream("GET", self._filled(path) + "&watch=true&timeoutSeconds=30") as response:
            lines = response.aiter_lines()
            for action in step["watch"]["actions"]:
                done = await self.send(action)
                assert done.status_code == action["status"], done.text
            try:
                while True:
                    patience = GIVE_UP_SECONDS if len(events) < expected else QUIET_SECONDS
                    events.append(orjson.loads(await asyncio.wait_for(anext(lines), patience)))
            except (TimeoutError, StopAsyncIteration):
                pass
            return Result(response.status_code, response.headers.get("content-type", ""), events=events)


def at(body: Any, path: str) -> Any:
    for part in path.split("."):
        body = body[part]
    return body


# The server that is asked


@asynccontextmanager
async def asked(kubeconfig: Path | None, folder: Path) -> AsyncIterator[Replay]:
    async with kubernetes_api(folder, kubeconfig=kubeconfig) as api:
        await prepare(api.client)
        yield Replay(api.client, real=kubeconfig is not None)
        if kubeconfig is not None:
            await clean(api.client)


async def prepare(client: httpx.AsyncClient) -> None:
    for name in NAMESPACES:
        await client.post("/api/v1/namespaces", json={"metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa1"}}
    await client.post("/api/v1/namespaces/contract/serviceaccounts", json=account)


async def clean(client: httpx.AsyncClient) -> None:
    await client.patch(
        "/apis/contract.example.com/v1alpha1/namespaces/contract/gadgets/fin2",
        content=b'{"metadata":{"finalizers":null}}',
        headers={"Content-Type": "application/merge-patch+json"},
    )
    await client.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD_NAME}")
    for name in NAMESPACES:
        await client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def replayed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Replay, Callable[[int], Result]]]:
    kubeconfig = request.config.getoption("--kubeconfig", default=None)
    with asyncio.Runner() as runner:
        context = asked(kubeconfig, tmp_path_factory.mktemp("embedded"))
        replay = runner.run(context.__aenter__())
        yield replay, lambda position: runner.run(replay.result(position))
        runner.run(context.__aexit__(None, None, None))


# Comparison


def normalised(value: Any, *, key: str = "") -> Any:
    """Put the recorder's placeholders in the place of what differs from run to run."""
    if isinstance(value, dict):
        return {
            name: normalised(child, key=name)
            for name, child in value.items()
            if name not in ("managedFields", "selfLink")
        }
    if isinstance(value, list):
        return [normalised(child) for child in value]
    if isinstance(value, str) and value:
        if key in TIMES:
            return "<time>"
        return {"uid": "<uid>", "resourceVersion": "<rv>", "continue": "<continue>", "token": "<token>"}.get(key, value)
    return value


def shown_part(recorded: Any, actual: Any) -> Any:
    """Take from an answer what the recorder kept of it."""
    if not isinstance(recorded, dict) or not isinstance(actual, dict):
        return actual
    return {name: part(name, recorded[name], actual) for name in recorded}


def part(name: str, recorded: Any, actual: Json) -> Any:
    """Take one part, by the names that the recorder gave to its summaries."""
    if name in ("groups", "resources") and recorded and isinstance(recorded[0], dict):
        found = {entry["name"]: entry for entry in actual[name]}
        return [shown_part(entry, found.get(entry["name"], {})) for entry in recorded]
    summary = SUMMARIES.get(name)
    return shown_part(recorded, actual.get(name)) if summary is None else summary(recorded, actual)


def names(_recorded: Any, actual: Json) -> list[str]:
    return [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in actual["items"]]


def first_row(recorded: Any, actual: Json) -> Json:
    row = actual["rows"][0]
    return {"cells": row["cells"][: len(recorded["cells"])], "objectKind": row["object"]["kind"]}


def name_start(recorded: str, actual: Json) -> str:
    name = str(actual["metadata"]["name"])
    return name[: len(recorded)]


def conditions(recorded: list[Json], actual: Json) -> list[Json]:
    found = sorted(actual["conditions"], key=lambda condition: str(condition["type"]))
    return [shown_part(entry, mine) for entry, mine in zip(recorded, found, strict=True)]


def columns(recorded: list[Json], actual: Json) -> list[Json]:
    # Descriptions are for people; the rest is what clients lay their tables out by.
    pairs = zip(actual["columnDefinitions"], recorded, strict=True)
    return [{**column, "description": wanted["description"]} for column, wanted in pairs]


SUMMARIES: dict[str, Callable[[Any, Json], Any]] = {
    "names": names,
    "row0": first_row,
    "rows": lambda _recorded, actual: len(actual["rows"]),
    "item0": lambda _recorded, actual: actual["items"][0],
    "reasons": lambda _recorded, actual: [item["reason"] for item in actual["items"]],
    "has": lambda _recorded, actual: "apis/contract.example.com/v1alpha1" in actual["paths"],
    "allowed": lambda _recorded, actual: actual["status"]["allowed"],
    "nameStartsWith": name_start,
    "nameLength": lambda _recorded, actual: len(actual["metadata"]["name"]),
    "generateName": lambda _recorded, actual: actual["metadata"]["generateName"],
    "conditions": conditions,
    "columnDefinitions": columns,
}


def compare_failure(recorded: Json, actual: Json, request: Json) -> None:
    assert actual["kind"] == "Status"
    assert actual["status"] == "Failure"
    assert actual.get("reason") == recorded.get("reason")
    assert actual["code"] == recorded["code"]
    details, wanted = actual.get("details") or {}, recorded.get("details") or {}
    assert causes(details) == causes(wanted)
    body = request.get("body")
    generated = isinstance(body, dict) and "generateName" in (body.get("metadata") or {})
    for name in ("kind", "group") if generated else ("kind", "group", "name"):
        assert details.get(name) == wanted.get(name)
    assert actual["message"]
    for cause in wanted.get("causes", []):
        assert cause.get("field", "<nil>") == "<nil>" or cause["field"] in actual["message"]
    if wanted.get("name") and not generated:
        assert wanted["name"] in actual["message"]


def causes(details: Json) -> list[tuple[str, str]]:
    return sorted((cause["reason"], cause.get("field", "")) for cause in details.get("causes", []))


def compare(step: Json, result: Result) -> None:
    recorded = step["response"]
    body = recorded["body"]
    assert result.status == recorded["status"], result.body
    assert result.warning == recorded.get("warning")
    if "contentType" in recorded:
        assert result.content_type == recorded["contentType"]
    if recorded["status"] >= 400 and isinstance(body, dict):
        compare_failure(body, result.body, step["request"])
    elif recorded.get("partial") or "as" in step["request"]:
        assert shown_part(body, normalised(result.body)) == body
    else:
        assert normalised(result.body) == body


IDENTIFIED = [
    pytest.param(position, id=f"{scenario}-{number:02}-{step['note'][:60].replace(' ', '_')}")
    for position, (scenario, number, step) in enumerate(STEPS)
]


@pytest.mark.parametrize("position", IDENTIFIED)
def test_step_is_answered_as_recorded(position: int, replayed: tuple[Replay, Callable[[int], Result]]) -> None:
    replay, result_of = replayed
    step = STEPS[position][2]
    result = result_of(position)
    if step.get("equal"):
        assert replay.saved["rv3"] == replay.saved["rv4"]
    elif "watch" in step:
        assert result.status == step["status"]
        assert [normalised(event) for event in result.events] == step["events"]
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in result.events]
        assert (versions == sorted(versions)) is step["eventResourceVersionsIncrease"]
    elif (step["request"].get("headers") or {}).get(
        "Content-Type"
    ) == "application/apply-patch+yaml" and not replay.real:
        # Server-side apply is on the list of what the embedded API leaves out.
        assert (result.status, result.body["reason"]) == (501, "NotImplemented")
        assert "server-side apply" in result.body["message"]
    else:
        compare(step, result)
