"""The API as it runs in a cluster: a process of its own, which asks a cluster who may."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from tests.bench.filled_cluster import FilledCluster
from tests.bench.sharing import Shared

from image_catalog.local.clients import IN_CLEAR
from image_catalog.local.functions import free_port, require_listening
from image_catalog.local.manifests import load_manifests
from image_catalog.testing.looking import NotYetError, look

__all__ = ["IMAGES", "ApiProcess", "cpu_seconds", "shared_api"]

IMAGES = "/api/v1alpha1/catalog/images"

_LIMIT = timedelta(minutes=10)
"""After which an API that is not ready is given up: on a busy machine a hundred thousand entries take minutes."""

_LOOK_EVERY = timedelta(milliseconds=20)


class ApiProcess:
    """Serves a cluster's catalog while the context lasts.

    Parameters
    ----------
    cluster
        Whose entries it serves.
    log
        File that takes what it prints.
    command
        What its command begins with: ``taskset`` to bind it to a core.
    environment
        Added to its environment.
    """

    def __init__(
        self,
        cluster: FilledCluster,
        *,
        log: Path,
        command: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.cluster = cluster
        self.ready_seconds = 0.0
        """From the start of the process until ``/readyz`` says that the index is filled."""
        self._log = log
        self._command = command
        self._environment = dict(environment or {})
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a reader."""
        return {"Authorization": f"Bearer {self.cluster.token}"}

    @property
    def resident_bytes(self) -> int:
        """Memory of the process and what it started (resident set size)."""
        assert self._process is not None
        return sum(_resident(pid) for pid in _family(self._process.pid))

    @property
    def cpu_seconds(self) -> float:
        """Time that the process and what it started have computed, in user space and in the kernel."""
        assert self._process is not None
        return cpu_seconds(self._process.pid)

    async def __aenter__(self) -> Self:
        """Start it, and wait until it is ready."""
        begun = time.perf_counter()
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        with self._log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(*self._command, sys.executable, "-m", "image_catalog_functions.api"),
                *("--host", "127.0.0.1", "--port", str(self._port), "--auth", "kubernetes"),
                env=inherited | _allocation() | {"IMAGE_CATALOG_KUBECONFIG": str(self.cluster.api)} | self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            await self._wait_ready()
        except BaseException:
            await self._end()
            raise
        self.ready_seconds = time.perf_counter() - begun
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        await self._end()

    async def _wait_ready(self) -> None:
        assert self._process is not None
        async with httpx.AsyncClient(trust_env=False, verify=IN_CLEAR, base_url=self.url) as client:
            async for attempt in look(every=_LOOK_EVERY, limit=_LIMIT, on=(OSError, httpx.TransportError, NotYetError)):
                with attempt:
                    if self._process.returncode is not None:
                        raise RuntimeError(f"the API ended: {self._log.read_text(errors='replace')[-4000:]}")
                    await require_listening(self._port)
                    if not (await client.get("/readyz")).is_success:
                        raise NotYetError

    async def _end(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._process.wait()
        # What it started ends with it; a worker that hangs must not outlive the run.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()


def shared_api(
    shared: Shared, cluster: FilledCluster, *, entries: int, command: tuple[str, ...] = ()
) -> AbstractAsyncContextManager[ApiProcess]:
    """Serve the catalog of so many entries, or borrow the API that does.

    Parameters
    ----------
    shared
        Starts it.
    cluster
        Whose entries it serves.
    entries
        How many there are.
    command
        See `ApiProcess`.
    """
    return shared.running(
        f"api of {entries}", lambda folder: ApiProcess(cluster, log=folder / "api.log", command=command)
    )


def _allocation() -> dict[str, str]:
    """Return how the API's manifest has its memory allocated."""
    (api,) = [
        manifest
        for manifest in load_manifests()
        if manifest["kind"] == "Service"
        and manifest["apiVersion"].startswith("serving.")
        and manifest["metadata"]["name"] == "api"
    ]
    variables = api["spec"]["template"]["spec"]["containers"][0]["env"]
    return {each["name"]: each["value"] for each in variables if each["name"] == "GLIBC_TUNABLES"}


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return how long a process, and those that it started and that run, have computed."""
    return sum(_computed(each) for each in _family(pid))


def _computed(pid: int) -> float:
    # Behind the command's name, which may hold anything, user and system time are the 12th and 13th field.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
