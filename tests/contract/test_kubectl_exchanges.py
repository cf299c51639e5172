"""What kubectl 1.32 asked of a real API server and got, asked again of the embedded one.

The recording (``kubernetes/kubectl.json``) serves twice. Its requests are sent again in
their order and each answer is compared. And where the real kubectl is installed, its
commands run again in a fresh folder and exit code, stdout and stderr are compared.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx
import pytest
import stamina

from image_catalog.local.kubernetes.left_out import ANSWERED_OTHERWISE, LEFT_OUT
from image_catalog.testing.kubectl import Completed, Kubectl, Running, find_kubectl
from image_catalog.testing.kubernetes_api import kubernetes_api

RECORDED = json.loads((Path(__file__).parent / "kubernetes" / "kubectl.json").read_text())
COMMANDS: list[dict[str, Any]] = RECORDED["commands"]
GADGETS = "/apis/contract.example.com/v1alpha1/namespaces/contract/gadgets"
EVENTS = "/api/v1/namespaces/contract/events"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}

REASONS = {**LEFT_OUT, **ANSWERED_OTHERWISE}
DIFFERENT: dict[int, str] = {
    **dict.fromkeys((0, 7, 8, 16), "server version"),
    **dict.fromkeys((9, 11, 12, 176), "pods, services and other kinds"),
    **dict.fromkeys((85, 86, 87), "server-side apply"),
    135: "garbage collection",
    180: "OpenID discovery",
}
"""What the embedded API leaves out or answers otherwise, by the number of the command that shows it."""

PRINTED_DIFFERENT: dict[int, str] = {56: "managedFields", 74: "OpenAPI v2"}
"""The same for commands whose answers are not compared there."""

EXCHANGE_DIFFERENT: dict[tuple[int, int], str] = {(189, 1): "removal of a CRD"}
"""The same for single exchanges, after which kubectl prints nothing else."""

SERVER_SIDE_APPLIED = 87
"""The last command that applies on the server."""

Action: TypeAlias = Callable[[httpx.AsyncClient], Awaitable[None]]
Answers: TypeAlias = dict[tuple[int, int], tuple[httpx.Response, Any]]
"""Each response and its decoded body, by the numbers of the command and of the exchange."""


async def patch(api: httpx.AsyncClient, name: str, body: dict[str, Any], *, status: bool = False) -> None:
    path = f"{GADGETS}/{name}/status" if status else f"{GADGETS}/{name}"
    response = await api.patch(path, json=body, headers=MERGE_PATCH)
    response.raise_for_status()


async def create(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    (await api.post(path, json=body)).raise_for_status()


async def set_phases(api: httpx.AsyncClient) -> None:
    for name, phase in {"g1": "Available", "g2": "Pending", "g3": "Available"}.items():
        await patch(api, name, {"status": {"phase": phase, "size": 3}}, status=True)


async def record_event(api: httpx.AsyncClient) -> None:
    about = (await api.get(f"{GADGETS}/g1")).json()
    seen = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    reference = {key: about["metadata"][key] for key in ("name", "namespace", "uid")}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "g1.e1", "namespace": "contract"},
        "involvedObject": {"apiVersion": about["apiVersion"], "kind": "Gadget", **reference},
        "reason": "Verified",
        "message": "digest unchanged",
        "source": {"component": "recorder"},
        "firstTimestamp": seen,
        "lastTimestamp": seen,
        "count": 1,
        "type": "Normal",
    }
    await create(api, EVENTS, event)


def ready(status: str, *, behind: bool = False) -> Action:
    async def action(api: httpx.AsyncClient) -> None:
        generation = (await api.get(f"{GADGETS}/g1")).json()["metadata"]["generation"]
        condition = {
            "type": "Ready",
            "status": status,
            "reason": "Test",
            "message": "by the recorder",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
        observed = 1 if behind else generation
        state = {"phase": "Available", "size": 7, "observedGeneration": observed, "conditions": [condition]}
        await patch(api, "g1", {"status": state}, status=True)

    return action


def labelled(value: str | None) -> Action:
    return lambda api: patch(api, "g2", {"metadata": {"labels": {"seen": value}}})


def released(name: str) -> Action:
    return lambda api: patch(api, name, {"metadata": {"finalizers": None}})


async def come_and_go(api: httpx.AsyncClient) -> None:
    await create(api, GADGETS, RECORDED["files"]["w1.json"])
    (await api.delete(f"{GADGETS}/w1")).raise_for_status()


async def apply_on_the_server(api: httpx.AsyncClient) -> None:
    """Do what the server-side applies would have done, because later commands show the objects."""
    await create(api, GADGETS, RECORDED["files"]["ssa.json"])
    await patch(api, "a1", {"spec": {"url": "q.io/apply:3"}})
    applied = json.dumps(RECORDED["files"]["a1-ssa.json"], separators=(",", ":")) + "\n"
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    await patch(api, "a1", {"metadata": {"annotations": annotations}, "spec": {"tags": None, "metadata": None}})


async def discovered(api: httpx.AsyncClient) -> None:
    """Wait until the kind of the CRD is served, which takes a real API server a moment."""
    async for attempt in stamina.retry_context(on=httpx.HTTPStatusError, attempts=100, wait_max=0.2):
        with attempt:
            (await api.get(GADGETS)).raise_for_status()


async def orphaned(api: httpx.AsyncClient) -> None:
    """Take the finalizer off w1, unless a garbage collector has done it."""
    if (await api.get(f"{GADGETS}/w1")).status_code == httpx.codes.OK:
        await released("w1")(api)


async def nothing(_api: httpx.AsyncClient) -> None:
    """Leave the server as it is."""


BETWEEN: dict[int, Action] = {
    6: discovered,
    21: set_phases,
    22: record_event,
    112: ready("True", behind=True),
    114: ready("False"),
    136: orphaned,
}
MEANWHILE: dict[int, Action] = {
    62: labelled("1"),
    63: come_and_go,
    64: labelled("2"),
    65: labelled(None),
    115: ready("True"),
    118: lambda api: patch(api, "g2", {"status": {"phase": "Failed"}}, status=True),
    123: released("fin1"),
    126: released("fin1"),
}
"""What happens while a command runs, once its watch is open."""

INTERRUPTED = {62, 63, 64, 65}
"""Commands that would go on for ever: they are interrupted once they have printed what they should."""

EDITED = {92: "sed -i s,q.io/a:2,q.io/a:9,", 93: "true"}


async def run_all(api: httpx.AsyncClient, kubectl: Kubectl, folder: Path, *, real: bool) -> dict[int, Completed]:
    """Run every command in its order and keep what it printed."""
    for name, content in RECORDED["files"].items():
        (folder / name).write_text(json.dumps(content))
    (folder / "gadget-crd.json").write_text(json.dumps(COMMANDS[1]["exchanges"][-1]["request"]["body"]))
    results: dict[int, Completed] = {}
    for number, command in enumerate(COMMANDS):
        if "between" in command:
            await BETWEEN[number](api)
            continue
        if command.get("cacheCleared"):
            kubectl.forget_discovery()
        if number in MEANWHILE:
            results[number] = await run_with(api, kubectl, number)
        else:
            editor = {"KUBE_EDITOR": EDITED[number]} if number in EDITED else {}
            results[number] = await kubectl.run(command["command"], environment=editor)
        if number == SERVER_SIDE_APPLIED and not real:
            await apply_on_the_server(api)
    return results


async def run_with(api: httpx.AsyncClient, kubectl: Kubectl, number: int) -> Completed:
    expected: str = COMMANDS[number]["stdout"]
    async with kubectl.start(COMMANDS[number]["command"]) as running:
        await running.watching()
        await MEANWHILE[number](api)
        return await ended(running, interrupted=number in INTERRUPTED, lines=expected.count("\n"))


async def ended(running: Running, *, interrupted: bool, lines: int) -> Completed:
    if not interrupted:
        return await running.completed()
    await running.printed(lines)
    result = await running.interrupt()
    # Whether a signal shows as 1 or as -2 depends on who waits for the process.
    return Completed(result.stdout, result.stderr, 1 if result.exit else 0)


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Completed]:
    binary = find_kubectl()
    if binary is None:
        pytest.skip("kubectl is not installed")
    folder = tmp_path_factory.mktemp("kubectl")
    real = request.config.getoption("--kubeconfig", default=None)

    async def run() -> dict[int, Completed]:
        async with kubernetes_api(folder, namespace="contract", kubeconfig=real) as api:
            kubectl = Kubectl(binary=binary, kubeconfig=api.kubeconfig, folder=folder)
            version = json.loads((await kubectl.run("kubectl version --client -o json")).stdout)
            if not version["clientVersion"]["minor"].startswith("32"):
                pytest.skip(f"kubectl 1.32 was recorded, {version['clientVersion']['gitVersion']} is installed")
            return await run_all(api.client, kubectl, folder, real=real is not None)

    return asyncio.run(run())


def expect_difference(request: pytest.FixtureRequest, entry: str | None) -> None:
    """Expect a failure of the embedded API; one that does not come fails too, so that the lists stay true."""
    if entry is not None and request.config.getoption("--kubeconfig", default=None) is None:
        request.applymarker(pytest.mark.xfail(reason=f"{entry}: {REASONS[entry]}", strict=True))


def cases() -> list[Any]:
    return [
        pytest.param(number, id=f"{number}-{command['command'].removeprefix('kubectl ')[:60]}")
        for number, command in enumerate(COMMANDS)
        # What asks nothing of the server tells nothing about it.
        if command.get("exchanges")
    ]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", cases())
def test_kubectl_prints_what_it_printed_against_a_real_api_server(
    number: int, results: dict[int, Completed], request: pytest.FixtureRequest
) -> None:
    expect_difference(request, DIFFERENT.get(number) or PRINTED_DIFFERENT.get(number))
    expected, printed = COMMANDS[number], results[number]

    assert masked(printed.stdout) == masked(expected["stdout"])
    assert masked(printed.stderr) == masked(expected["stderr"])
    assert printed.exit == expected["exit"]


_MASKS = [
    (re.compile(r"^<klog>.*\n", re.MULTILINE), ""),
    (re.compile(r"[^\s:]*/(LIVE|MERGED)-\d+"), r"<\1>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z| [+-]\d{4})?"), "<time>"),
    (re.compile(r"""(resourceVersion"?: ")\d+"""), r"\1<rv>"),
    (re.compile(r"(Resource Version: +)\d+"), r"\1<rv>"),
    (re.compile(r"https://127\.0\.0\.1:\d+"), "<server>"),
    (re.compile(r"^eyJ[\w-]+\.[\w-]+\.[\w-]+\n?$"), "<token>"),
    (re.compile(r"(?<![\w:.-])(\d+[smhdy]){1,2}(?![\w-])"), "<age>"),
]


def masked(text: str) -> str:
    """Put the recording's placeholders in the place of what differs from run to run."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    # An age of another length moves the columns behind it, and the line under them.
    return re.sub(r"[ -]{2,}", "  ", text) if "<age>" in text else text


# Replaying the single requests


async def replay_all(api: httpx.AsyncClient) -> Answers:
    """Send every recorded request in its order, placeholders filled in."""
    answers: Answers = {}
    for number, command in enumerate(COMMANDS):
        if "between" in command:
            await BETWEEN[number](api)
            continue
        last: dict[str, Any] = {}
        for position, exchange in enumerate(command["exchanges"]):
            request = exchange["request"]
            if "watch=true" in request["path"]:
                await MEANWHILE.get(number, nothing)(api)
            elif not left_alone(request):
                response = await api.request(**await filled(api, request, last))
                body = answers_body(response)
                last = body if isinstance(body, dict) else {}
                answers[number, position] = (response, body)
        if number == SERVER_SIDE_APPLIED:
            await apply_on_the_server(api)
    return answers


def left_alone(request: dict[str, Any]) -> bool:
    """Tell whether a request is not replayed: documents about the API itself have tests of their own."""
    document = re.match(r"/(api|apis|version|openapi/.*)(\?|$)", request["path"])
    return bool(document) or "watch=true" in request["path"]


async def filled(api: httpx.AsyncClient, request: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    path: str = request["path"]
    about = re.search(r"involvedObject\.name%3D(\w+)", path)
    if "<uid>" in path and about:
        path = path.replace("<uid>", (await api.get(f"{GADGETS}/{about[1]}")).json()["metadata"]["uid"])
    metadata = last.get("metadata", {})
    path = path.replace("<continue>", quote(metadata.get("continue", "")))
    body = request.get("body")
    if isinstance(body, dict) and "protobufBase64" in body:
        content = base64.b64decode(body["protobufBase64"])
    else:
        text = json.dumps(body) if body is not None else ""
        content = text.replace("<rv>", metadata.get("resourceVersion", "")).encode()
    return {"method": request["method"], "url": path, "headers": request["headers"], "content": content}


def answers_body(response: httpx.Response) -> Any:
    return response.json() if "json" in response.headers.get("content-type", "") else response.text


def exchange_cases() -> list[Any]:
    return [
        pytest.param(
            number,
            position,
            id=f"{number}.{position}-{exchange['request']['method']}-{exchange['request']['path'].rpartition('/')[2][:40]}",
        )
        for number, command in enumerate(COMMANDS)
        for position, exchange in enumerate(command.get("exchanges", ()))
        if not left_alone(exchange["request"])
    ]


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    if request.config.getoption("--kubeconfig", default=None) is not None:
        pytest.skip("an empty server is needed, and the commands have used this one")

    async def replay() -> Answers:
        async with kubernetes_api(tmp_path_factory.mktemp("replay")) as api:
            return await replay_all(api.client)

    return asyncio.run(replay())


@pytest.mark.parametrize(("number", "position"), exchange_cases())
def test_a_request_of_kubectl_is_answered_as_by_a_real_api_server(
    number: int, position: int, answers: Answers, request: pytest.FixtureRequest
) -> None:
    expect_difference(request, EXCHANGE_DIFFERENT.get((number, position)) or DIFFERENT.get(number))
    expected = COMMANDS[number]["exchanges"][position]["response"]
    response, body = answers[number, position]

    assert response.status_code == expected["status"]
    assert response.headers["content-type"].replace(" ", "") == expected["contentType"].replace(" ", "")
    assert response.headers.get("warning") == expected.get("warning")
    if "body" in expected and not expected.get("partial"):
        assert comparable(body) == comparable(expected["body"])


def comparable(value: Any, key: str = "") -> Any:
    """Put placeholders in the place of what differs from run to run, and reduce errors to what clients act on."""
    if isinstance(value, dict):
        if value.get("kind") == "Status" and value.get("status") == "Failure":
            assert value["message"]
            return failure(value)
        left_out = {"managedFields", "description"} if "format" in value else {"managedFields"}
        return {name: comparable(item, name) for name, item in value.items() if name not in left_out}
    if isinstance(value, list):
        return [comparable(item, key) for item in value]
    if isinstance(value, str) and value:
        return _PLACEHOLDERS.get(key) or masked(value)
    return value


_PLACEHOLDERS = {"uid": "<uid>", "resourceVersion": "<rv>", "continue": "<continue>", "token": "<token>"}


def failure(status: dict[str, Any]) -> dict[str, Any]:
    details = status.get("details") or {}
    causes = sorted((cause.get("reason"), cause.get("field")) for cause in details.get("causes") or ())
    return {"reason": status.get("reason"), "code": status["code"], "kind": details.get("kind"), "causes": causes}
