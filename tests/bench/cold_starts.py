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
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.bench.figures import Figure, spread
from tests.bench.runtime_venv import container_environment, function_file, install_runtime

from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.need import Need, need_of
from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, KubernetesAPI, KubernetesTransport, ResourceKind
from image_catalog.events import EventType, SourceType
from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.functions import free_port, require_listening
from image_catalog.local.installing import install
from image_catalog.local.kubernetes import Cluster, EmbeddedKubernetes
from image_catalog.local.manifests import load_manifests
from image_catalog.local.serving import LoopbackServer
from image_catalog.models import CatalogImage, CatalogImageSpec, format_time
from image_catalog.models.names import FINALIZER, LABEL_REFERENCE_HASH, PING_REVERIFY, PING_SWEEP
from image_catalog.testing.looking import look

__all__ = ["FUNCTIONS", "measure_cold_starts"]

FUNCTIONS = ("publish", "verify", "reverify", "cleanup", "audit")
_USUAL = {
    "publish": "its usual event, an update of a build that goes on",
    "verify": "its usual event, an update of an entry by its own status",
    "reverify": "its usual event, a tick, which asks the API server",
    "cleanup": "its usual event, an update of an entry that stays",
    "audit": "its usual event, one of the catalog's, which goes into the database",
}
_WITHOUT_CALL = ("publish", "verify", "cleanup", "audit")
"""Functions that answer their usual event without asking the API server; measured with an event that asks it, too."""

_BAR = 2.5
_HOST = "127.0.0.1"
_ANSWERED = 204
_LIMIT = timedelta(minutes=1)
"""After which a function that does not answer is given up."""

_LOOK_EVERY = timedelta(milliseconds=5)
"""From one try to connect to the next; short beside what is measured."""

_META = {"name": "first", "namespace": "default", "uid": "1", "resourceVersion": "1"}

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
    """What is started, and what it is asked first, and then."""

    python: Path
    source: Path
    environment: dict[str, str]
    events: tuple[_Event, ...]


async def measure_cold_starts(folder: Path, *, pairs: int) -> list[Figure]:
    """Measure each function and the empty one by turns, both as they are installed in a container.

    Parameters
    ----------
    folder
        Where kubeconfigs, the wheel and the empty function go.
    pairs
        How many times each function is started; the empty one as often for each of them. Once is a
        trial, from the environment that this runs in, with a single start of the empty one and of each
        function, which is asked everything that there is to ask.
    """
    # An installation is compiled whole, which takes longer than one start of each; that one shows as much from here.
    python = await install_runtime(folder) if pairs > 1 else Path(sys.executable)
    empty = folder / "empty" / "main.py"
    empty.parent.mkdir(parents=True)
    empty.write_text(_EMPTY)
    figures = []
    async with _surroundings(folder) as environments:
        tried = await _time_start(_Started(python, empty, {}, (_usual_event("publish"),))) if pairs == 1 else None
        for name in FUNCTIONS:
            source, environment = await function_file(python, name), environments[name]
            bare_start = _Started(python, empty, {}, (_usual_event(name),))
            events = (_usual_event(name), *([_calling_event(name)] if name in _WITHOUT_CALL else []))
            firsts = [(event,) for event in events] if pairs > 1 else [events]
            starts = [_Started(python, source, environment, first) for first in firsts]
            if pairs > 1:
                # Once without the clock: the first start after an installation fills the page cache.
                for started in (bare_start, *starts):
                    await _time_start(started)
            rounds = [
                [
                    *(tried or await _time_start(bare_start)),
                    *[t for started in starts for t in await _time_start(started)],
                ]
                for _ in range(pairs)
            ]
            bare, usual, *calling = zip(*rounds, strict=True)
            figures.append(_figure(f"cold_start_ratio_{name}", bare, usual, what=_USUAL[name], bar=_BAR))
            for taken in calling:
                what = "the same with an event that takes it to the API server and back"
                figures.append(_figure(f"cold_start_ratio_{name}_with_api_call", bare, taken, what=what))
    return figures


def _figure(name: str, bare: Sequence[float], taken: Sequence[float], *, what: str, bar: float | None = None) -> Figure:
    ratios = [ours / reference for reference, ours in zip(bare, taken, strict=True)]
    return Figure(
        name=name,
        value=statistics.median(ratios),
        unit="ratio",
        better="lower",
        bar=bar,
        note=f"{what}; process start to first event answered 204, {statistics.median(taken):.2f} s, by an empty "
        f"function's {statistics.median(bare):.2f} s; by turns, {spread(ratios)}; both with the packages of "
        "requirements/runtime.txt alone, their bytecode and the variables of the container",
    )


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
                **({"IMAGE_CATALOG_DATABASE_URL": f"sqlite:///{folder / 'audit.db'}"} if name == "audit" else {}),
            }
            for name in FUNCTIONS
        }


async def _time_start(started: _Started) -> list[float]:
    """Start a function, send its first event until it answers, end it; return the seconds to each answer."""
    port = free_port()
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
    surroundings = inherited | container_environment() | started.environment
    begun = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        started.python,
        "-m",
        "functions_framework",
        "--asgi",
        env=surroundings
        | {"FUNCTION_TARGET": "main", "FUNCTION_SOURCE": str(started.source), "HOST": _HOST, "PORT": str(port)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with httpx.AsyncClient(verify=IN_CLEAR, trust_env=False, timeout=_LIMIT.total_seconds()) as client:
            taken = []
            for event in started.events:
                await _listening(port)
                response = await client.post(f"http://{_HOST}:{port}/", headers=dict(event.headers), content=event.body)
                taken.append(time.perf_counter() - begun)
                if response.status_code != _ANSWERED:
                    raise RuntimeError(f"{started.source} answered {response.status_code}: {response.text}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return taken


async def _listening(port: int) -> None:
    # Without a client, which would take from what is measured; who connects then waits for the answer.
    async for attempt in look(every=_LOOK_EVERY, limit=_LIMIT, on=(OSError,)):
        with attempt:
            await require_listening(port)


def _usual_event(name: str) -> _Event:
    """Return the event that a function meets most."""
    match name:
        case "publish":
            return _change(IMAGE_BUILD, {"status": {"phase": "Building"}})
        case "verify" | "cleanup":
            return _change(CATALOG_IMAGE, _settled_entry())
        case "audit":
            return _event(EventType.IMAGE_AVAILABLE, {"name": "absent", "namespace": "default"})
        case _:
            return _calling_event(name)


def _calling_event(name: str) -> _Event:
    """Return an event that takes a function to the API server and back."""
    match name:
        case "publish":
            return _event(EventType.PUBLISH_REQUESTED, {"imageBuild": {"name": "absent", "namespace": "default"}})
        case "verify":
            return _event(EventType.VERIFICATION_REQUESTED, {"name": "absent", "namespace": "default"})
        case "reverify":
            return _event(SourceType.PING, {}, source=PING_REVERIFY)
        case "cleanup":
            return _event(SourceType.PING, {}, source=PING_SWEEP)
        case _:
            return _event(EventType.IMAGE_AVAILABLE, {}, subject="default/absent", knativeerrorcode="500")


def _change(kind: ResourceKind, fields: dict[str, Any]) -> _Event:
    """Return the event of an ApiServerSource about a changed object."""
    body = {"apiVersion": kind.api_version, "kind": kind.kind, **fields, "metadata": _META | fields.get("metadata", {})}
    names = {"apiversion": kind.api_version, "kind": kind.kind, "name": "first", "namespace": "default"}
    return _event(SourceType.RESOURCE_UPDATED, body, **names)


def _settled_entry() -> dict[str, Any]:
    """Return an entry of which a status write has just said all that there is to say."""
    spec = {"registryUrl": "quay.io/acme/autosd:1"}
    entry = {
        "metadata": _META | {"generation": 1, "finalizers": [FINALIZER], "labels": {LABEL_REFERENCE_HASH: "0"}},
        "spec": spec,
        "status": {
            "phase": "Available",
            "observedGeneration": 1,
            "verifiedInputs": verified_inputs(CatalogImageSpec.model_validate(spec)),
            "nextVerificationTime": format_time(datetime.now(UTC) + timedelta(hours=1)),
            "effectiveMetadata": {},
        },
    }
    # Where something is left to do, the function would ask the API server, and another figure would be measured.
    assert need_of(CatalogImage.model_validate(entry), now=datetime.now(UTC)) is Need.NOTHING
    return entry


def _event(event_type: str, data: dict[str, Any], *, source: str = "/bench", **attributes: str) -> _Event:
    given = {"specversion": "1.0", "id": "first", "source": source, "type": event_type, **attributes}
    headers = {"content-type": "application/json"} | {f"ce-{name}": value for name, value in given.items()}
    return _Event(headers, orjson.dumps(data))


async def _take(scope: Scope, receive: Receive, send: Send) -> None:
    """Take what the functions emit, as a broker's ingress does."""
    await Request(scope, receive).body()
    await Response(status_code=202)(scope, receive, send)
