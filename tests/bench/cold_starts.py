"""How long a function takes from the start of its process to its first answer, beside an empty one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.bench.figures import Figure, spread

from image_catalog.cluster import KubernetesAPI, KubernetesTransport
from image_catalog.events import EventType, SourceType
from image_catalog.local.functions import free_port, function_source
from image_catalog.local.installing import install
from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes
from image_catalog.local.manifests import load_manifests
from image_catalog.local.registry import LoopbackServer
from image_catalog.models.names import PING_REVERIFY, PING_SWEEP

__all__ = ["FUNCTIONS", "measure_cold_starts"]

FUNCTIONS = ("publish", "verify", "reverify", "cleanup", "audit")
_BAR = 2.5
_HOST = "127.0.0.1"
_ANSWERED = 204
_LIMIT = 60.0
"""Seconds until a function that does not answer is given up."""

_LOOK_EVERY = 0.005
"""Seconds between two tries to connect; short beside what is measured."""

_EMPTY = '''\
"""Answers every request with 204."""

import functions_framework.aio
from starlette.responses import Response


@functions_framework.aio.http
async def main(request):
    return Response(status_code=204)
'''


@dataclass(frozen=True, slots=True)
class _Event:
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Started:
    """What is started, and what it is asked first."""

    source: Path
    environment: Mapping[str, str]
    event: _Event


async def measure_cold_starts(folder: Path, *, pairs: int) -> list[Figure]:
    """Measure each function and the empty one by turns.

    Parameters
    ----------
    folder
        Where kubeconfigs and the empty function go.
    pairs
        How many times each function is started; the empty one as often for each of them.
    """
    empty = folder / "empty" / "main.py"
    empty.parent.mkdir(parents=True)
    empty.write_text(_EMPTY)
    figures = []
    async with _surroundings(folder) as environments:
        for name in FUNCTIONS:
            event = _first_event(name)
            ours = _Started(function_source(name), environments[name], event)
            bare = _Started(empty, {}, event)
            # Once each without the clock: the first start after a change compiles modules and fills the page cache.
            if pairs > 1:
                await _time_start(bare)
                await _time_start(ours)
            rounds = [(await _time_start(bare), await _time_start(ours)) for _ in range(pairs)]
            ratios = [taken / reference for reference, taken in rounds]
            seconds = statistics.median(taken for _, taken in rounds)
            reference = statistics.median(bare for bare, _ in rounds)
            figures.append(
                Figure(
                    name=f"cold_start_ratio_{name}",
                    value=statistics.median(ratios),
                    unit="ratio",
                    better="lower",
                    bar=_BAR,
                    note=f"process start to first event answered 204, {seconds:.2f} s, by an empty function's "
                    f"{reference:.2f} s; by turns, {spread(ratios)}; kubeconfig of an embedded API, K_SINK set",
                )
            )
    return figures


@asynccontextmanager
async def _surroundings(folder: Path) -> AsyncIterator[dict[str, dict[str, str]]]:
    """Serve an API and a sink, and yield the environment of each function."""
    documents = load_manifests()
    cluster = Cluster(clock=lambda: datetime.now(UTC), random=random.SystemRandom())
    admin = folder / "kubeconfig"
    async with EmbeddedKubernetes(cluster=cluster, kubeconfig_path=admin) as kubernetes, LoopbackServer(_take) as sink:
        api = KubernetesAPI(transport=await KubernetesTransport.connect(kubeconfig=admin))
        try:
            await install(api, documents)
        finally:
            await api.close()
        yield {
            name: {
                "IMAGE_CATALOG_KUBECONFIG": str(
                    kubernetes.service_account_kubeconfig(folder / name, namespace="image-catalog", name=name)
                ),
                "K_SINK": sink.url,
                "K_SERVICE": name,
            }
            for name in FUNCTIONS
        }


async def _time_start(started: _Started) -> float:
    """Start a function, send its first event until it answers, end it; return the seconds."""
    port = free_port()
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "functions_framework",
        "--asgi",
        env=inherited
        | dict(started.environment)
        | {"FUNCTION_TARGET": "main", "FUNCTION_SOURCE": str(started.source), "HOST": _HOST, "PORT": str(port)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LIMIT), httpx.AsyncClient(trust_env=False, timeout=_LIMIT) as client:
            response = await _first_answer(client, f"http://{_HOST}:{port}/", started)
            taken = time.perf_counter() - begun
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if response.status_code != _ANSWERED:
        raise RuntimeError(f"{started.source} answered {response.status_code}: {response.text}")
    return taken


async def _first_answer(client: httpx.AsyncClient, url: str, started: _Started) -> httpx.Response:
    while True:
        try:
            return await client.post(url, headers=dict(started.event.headers), content=started.event.body)
        except httpx.ConnectError:
            await asyncio.sleep(_LOOK_EVERY)


def _first_event(name: str) -> _Event:
    """Return an event that takes the function to the API server and back, as most do."""
    about: dict[str, str] = {}
    body: dict[str, Any] = {}
    match name:
        case "publish":
            event_type: str = EventType.PUBLISH_REQUESTED
            body = {"imageBuild": {"name": "absent", "namespace": "default"}}
        case "verify":
            event_type = EventType.VERIFICATION_REQUESTED
            body = {"name": "absent", "namespace": "default"}
        case "reverify":
            event_type, about = SourceType.PING, {"ce-source": PING_REVERIFY}
        case "cleanup":
            event_type, about = SourceType.PING, {"ce-source": PING_SWEEP}
        case _:
            event_type, about = EventType.IMAGE_AVAILABLE, {"ce-subject": "default/absent"}
    head = {"ce-specversion": "1.0", "ce-id": "first", "ce-source": "/bench", "content-type": "application/json"}
    return _Event(head | {"ce-type": event_type} | about, orjson.dumps(body))


async def _take(scope: Scope, receive: Receive, send: Send) -> None:
    """Take what the functions emit, as a broker's ingress does."""
    await Request(scope, receive).body()
    await Response(status_code=202)(scope, receive, send)
