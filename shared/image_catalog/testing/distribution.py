"""The real distribution server and the real ``skopeo``, for tests that hold our own to them.

Debian has both as ``docker-registry`` and ``skopeo``; a test that finds them
absent skips.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from image_catalog.local.processes import send_signal
from image_catalog.local.registry import Sample

__all__ = ["DistributionServer", "Skopeo", "SkopeoError", "find_docker_registry", "find_skopeo"]

_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_PATIENCE = timedelta(seconds=20)
_GRACE = timedelta(seconds=5)


def find_docker_registry() -> str | None:
    """Find ``docker-registry`` on the path; None where a machine has none."""
    return shutil.which("docker-registry")


def find_skopeo() -> str | None:
    """Find ``skopeo`` on the path; None where a machine has none."""
    return shutil.which("skopeo")


class DistributionServer:
    """A process of the distribution server on a free port of loopback, plain HTTP, without authentication.

    Parameters
    ----------
    binary
        Path of the program, see `find_docker_registry`.
    folder
        For its configuration and its content; made when absent, kept when the
        server ends.

    Attributes
    ----------
    log
        The lines that it wrote.
    """

    def __init__(self, *, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        # The server takes a free port itself and says which; the next start asks for the same.
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self.log: list[str] = []

    @property
    def host(self) -> str:
        """``host:port``, as it stands in an image reference."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://{self.host}"

    async def start(self) -> None:
        """Start the process; when this returns a client can connect.

        Raises
        ------
        RuntimeError
            When it ends instead of listening, with what it wrote.
        """
        self._listening.clear()
        self._process = await asyncio.create_subprocess_exec(
            self._binary,
            "serve",
            str(self._configuration()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            # Variables named REGISTRY_… would change the configuration.
            env={"PATH": os.environ.get("PATH", ""), "OTEL_TRACES_EXPORTER": "none"},
        )
        self._reader = asyncio.create_task(self._read(self._process.stderr))
        listening = asyncio.create_task(self._listening.wait())
        await asyncio.wait(
            {listening, self._reader}, timeout=_PATIENCE.total_seconds(), return_when=asyncio.FIRST_COMPLETED
        )
        listening.cancel()
        if not self._listening.is_set():
            await self.stop()
            raise RuntimeError("docker-registry did not start:\n" + "".join(self.log[-5:]))

    async def stop(self) -> None:
        """End the process, this one and no other."""
        if self._process is None or self._reader is None:
            return
        send_signal(self._process, signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), timeout=_GRACE.total_seconds())
        except TimeoutError:  # pragma: no cover - a server that ignores SIGTERM cannot be made to order
            send_signal(self._process, signal.SIGKILL)
            await self._process.wait()
        await self._reader
        self._process = self._reader = None

    def _configuration(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "config.yml"
        document = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder / "content")},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": self.host},
        }
        path.write_text(yaml.safe_dump(document))
        return path

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        if stream is None:
            raise TypeError("the error output of the process must be a pipe")
        async for line in stream:
            text = line.decode(errors="replace")
            self.log.append(text)
            found = _LISTENING.search(text)
            if found is not None:
                self._port = int(found[1])
                self._listening.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class SkopeoError(Exception):
    """``skopeo`` ended with another code than 0; the message is what it wrote."""


class Skopeo:
    """The real ``skopeo`` with a home of its own, so that no login of the user's is seen.

    Parameters
    ----------
    binary
        Path of the program, see `find_skopeo`.
    folder
        For its home and for layouts; made when absent.
    """

    def __init__(self, *, binary: str, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "REGISTRY_AUTH_FILE": str(folder / "auth.json"),
        }

    async def push(self, sample: Sample, host: str, repository: str, tag: str) -> str:
        """Copy a sample, with all its children, from an OCI layout to a registry.

        Returns
        -------
        str
            The reference with its tag.

        Raises
        ------
        SkopeoError
            When the copy fails.
        """
        layout = sample.write_layout(self._folder / "layouts" / sample.digest.removeprefix("sha256:"), tag)
        reference = f"{host}/{repository}:{tag}"
        options = ("--all", "--preserve-digests", "--dest-tls-verify=false")
        await self._run("copy", *options, f"oci:{layout}:{tag}", f"docker://{reference}")
        return reference

    async def inspect_raw(self, reference: str) -> bytes:
        """Return the manifest's bytes."""
        return await self._run("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")

    async def inspect(self, reference: str, *, architecture: str) -> dict[str, Any]:
        """Return what ``skopeo inspect`` says about the image for one architecture."""
        options = ("--tls-verify=false", f"--override-arch={architecture}", "--override-os=linux")
        document: dict[str, Any] = json.loads(await self._run("inspect", *options, f"docker://{reference}"))
        return document

    async def config(self, reference: str, *, architecture: str) -> dict[str, Any]:
        """Return the config of the image for one architecture."""
        options = ("--config", "--tls-verify=false", f"--override-arch={architecture}", "--override-os=linux")
        document: dict[str, Any] = json.loads(await self._run("inspect", *options, f"docker://{reference}"))
        return document

    async def _run(self, command: str, *arguments: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            self._binary,
            "--insecure-policy",
            command,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        output, said = await process.communicate()
        if process.returncode != 0:
            raise SkopeoError(said.decode(errors="replace"))
        return output
