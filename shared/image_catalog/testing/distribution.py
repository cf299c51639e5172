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
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
import yaml

from image_catalog.local.processes import send_signal
from image_catalog.local.registry import Sample

__all__ = ["DistributionServer", "Skopeo", "SkopeoError", "find_docker_registry", "find_skopeo", "htpasswd"]

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
    """A process of the distribution server on a free port of loopback.

    Parameters
    ----------
    binary
        Path of the program, see `find_docker_registry`.
    folder
        For its configuration and its content; made when absent, kept when the
        server ends.
    authority
        Issues its certificate; plain HTTP without.
    auth
        The part ``auth`` of its configuration, see `htpasswd` and
        `image_catalog.testing.distribution_tokens`; it asks nobody without.
    endpoint
        Whom it tells of pushes: one of ``notifications.endpoints`` of its
        configuration; nobody without.
    cached
        Whether it keeps in mind which blobs it has.

    Attributes
    ----------
    log
        The lines that it wrote.
    """

    def __init__(
        self,
        *,
        binary: str,
        folder: Path,
        authority: trustme.CA | None = None,
        auth: Mapping[str, Any] | None = None,
        endpoint: Mapping[str, Any] | None = None,
        cached: bool = True,
    ) -> None:
        self._cached = cached
        self._binary = binary
        self._folder = folder
        self._authority = authority
        self._auth = auth
        self._endpoint = endpoint
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
        return f"{'http' if self._authority is None else 'https'}://{self.host}"

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

    def clear(self) -> None:
        """Remove all that it has, while it runs: only one that is not `cached` takes note."""
        shutil.rmtree(self._content, ignore_errors=True)

    @property
    def _content(self) -> Path:
        return self._folder / "content"

    def _configuration(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "config.yml"
        document: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._content)},
                "delete": {"enabled": True},
                **({"cache": {"blobdescriptor": "inmemory"}} if self._cached else {}),
            },
            "http": {"addr": self.host},
        }
        if self._authority is not None:
            document["http"]["tls"] = self._issue(self._authority)
        if self._auth is not None:
            document["auth"] = dict(self._auth)
        if self._endpoint is not None:
            document["notifications"] = {"endpoints": [dict(self._endpoint)]}
        path.write_text(yaml.safe_dump(document))
        return path

    def _issue(self, authority: trustme.CA) -> dict[str, str]:
        """Write a certificate for the address that this listens on, and its key."""
        files = {"certificate": str(self._folder / "server.pem"), "key": str(self._folder / "server.key")}
        issued = authority.issue_cert("127.0.0.1", "localhost", key_type=trustme.KeyType.ECDSA)
        issued.private_key_pem.write_to_path(files["key"])
        for number, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(files["certificate"], append=number > 0)
        return files

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


def htpasswd(user: str, password: str, folder: Path, *, binary: str = "htpasswd") -> dict[str, Any]:
    """Return the part ``auth`` of a configuration that lets one user in.

    Parameters
    ----------
    user, password
        Who may.
    folder
        Gets the password file.
    binary
        Apache's program, which Debian has in ``apache2-utils``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # By its input: everybody on the machine sees a command line. Cost 4, because it is asked at every request.
    command = [binary, "-i", "-n", "-B", "-C", "4", user]
    made = subprocess.run(  # noqa: S603 - the program is the caller's, and no shell reads this
        command, input=password, capture_output=True, text=True, check=True, timeout=_PATIENCE.total_seconds()
    )
    path = folder / "htpasswd"
    path.write_text(made.stdout)
    return {"htpasswd": {"realm": "distribution", "path": str(path)}}


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
