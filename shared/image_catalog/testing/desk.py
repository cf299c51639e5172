"""Somebody's desk beside a running stack: a shell with ``caib`` and ``kubectl``, an HTTP client, and builds to make."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml

from image_catalog.cluster import IMAGE_BUILD, SECRET, ResourceKind
from image_catalog.local.registry import Sample, SampleImage
from image_catalog.local.stack import LocalStack, StackOptions
from image_catalog.models import format_time
from image_catalog.testing.forked_caib import run_caib

__all__ = ["IMAGES", "Desk", "beside_a_stack"]

IMAGES = "/api/v1alpha1/catalog/images"
"""Where the catalog's API has its entries."""

_RBAC = "rbac.authorization.k8s.io"
_ROLE_BINDING = ResourceKind(_RBAC, "v1", "rolebindings", "RoleBinding")
_PATIENCE = 30.0
"""Seconds for one command."""


@dataclass(frozen=True)
class Desk:
    """What somebody has who works with a stack as its administrator.

    Parameters
    ----------
    stack
        It runs.
    client
        Asks the catalog's API.
    home
        Of whoever sits there; exists.
    """

    stack: LocalStack
    client: httpx.AsyncClient
    home: Path

    @cached_property
    def token(self) -> str:
        """The administrator's token."""
        return str(yaml.safe_load(self.stack.kubeconfig.read_text())["users"][0]["user"]["token"])

    @property
    def _environment(self) -> Mapping[str, str]:
        return {"HOME": str(self.home), "KUBECONFIG": str(self.stack.kubeconfig), "LANG": "C.UTF-8"}

    async def caib(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``caib catalog``; return its exit code, stdout and stderr."""
        ran = await run_caib(["catalog", *arguments], environment=self._environment)
        return ran.exit, ran.stdout, ran.stderr

    async def tell(self, *arguments: str) -> str:
        """Run ``caib catalog``, which must succeed, and return what it prints."""
        code, out, err = await self.caib(*arguments)
        assert code == 0, err  # noqa: S101 - for tests
        return out

    async def add(self, name: str, image: str, *more: str) -> None:
        """Add an entry with ``caib``, checked against the registry."""
        await self.tell("add", name, f"quay.io/{image}", "--architecture", "arm64", "--distro", "cs9", *more)

    async def push(self, repository: str, sample: Sample) -> None:
        """Push content to the stack's registry, with the tag ``1``."""
        await sample.push(self.stack.registry_url, repository, "1")

    async def type(self, commands: str, *, stdin: str = "") -> str:
        """Run commands in one shell, which must succeed, and return what they print."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc", commands),
            env={
                **self._environment,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "CATALOG": self.stack.catalog_url,
                "TOKEN": self.token,
                # A kubectl ends within a moment: what it would collect is not worth the looking.
                "GOGC": "off",
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(_PATIENCE):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()  # noqa: S101 - for tests
        return out.decode()

    async def kubectl(self, command: str) -> str:
        """Run ``kubectl``, which must succeed, and return what it prints."""
        return await self.type(f"kubectl {command}")

    async def apply(self, manifest: Mapping[str, Any]) -> str:
        """Run ``kubectl apply -f -``."""
        return await self.type("kubectl apply -f -", stdin=json.dumps(manifest))

    async def get(self, path: str = IMAGES, **query: str) -> httpx.Response:
        """Ask the API as the administrator."""
        return await self.client.get(path, params=query, headers={"Authorization": f"Bearer {self.token}"})

    async def object(self, kind: ResourceKind, name: str) -> dict[str, Any]:
        """Return a resource that is there, as the API server has it."""
        found = await self.stack.api.get(kind, name, "default")
        assert found is not None, name  # noqa: S101 - for tests
        return dict(found)

    async def build(
        self, name: str, image: str | None, *, phase: str = "Completed", at: datetime | None = None, disk: Any = None
    ) -> None:
        """Create a build that is not published by itself.

        Parameters
        ----------
        name
            Its name.
        image
            What it pushed to ``quay.io``, for example ``acme/cockpit:1``; nothing when None.
        phase
            How far it is.
        at
            When it completed; now when absent.
        disk
            Where it put its files, as its specification has it.
        """
        annotations = {"automotive.sdv.cloud.redhat.com/publish": "false"}
        spec: dict[str, Any] = {"architecture": "arm64", "aib": {"distro": "cs9", "target": "rpi4"}}
        if image is not None:
            spec["export"] = {"format": "qcow2", "container": f"quay.io/{image}", **({"disk": disk} if disk else {})}
        build = {"metadata": {"name": name, "annotations": annotations}, "spec": spec}
        await self.stack.api.create(IMAGE_BUILD, build, "default")
        status = {"phase": phase, "completionTime": format_time(at or datetime.now(UTC))}
        await self.stack.api.patch_status(IMAGE_BUILD, name, "default", status, resource_version=None)

    async def publish(self, build: str, entry: str, *, at: datetime) -> None:
        """Let a build push an image of its own and complete then, and publish it as an entry."""
        await self.push(f"acme/{entry}", SampleImage(name=build))
        await self.build(build, f"acme/{entry}:1", at=at)
        await self.tell("publish", build, "--catalog-name", entry)

    async def let_functions_read_keys(self, name: str) -> None:
        """Put a store's key into a Secret, and let the functions read Secrets as a namespace's owner does."""
        account = {"kind": "ServiceAccount", "namespace": "image-catalog"}
        binding = {
            "metadata": {"name": "image-catalog-secret-reader"},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "image-catalog-secret-reader"},
            "subjects": [{**account, "name": function} for function in ("publish", "verify")],
        }
        keys = {"access-key-id": "build", "secret-access-key": secrets.token_urlsafe(12)}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
        await self.stack.api.create(SECRET, {"metadata": {"name": name}, "data": data}, "default")
        await self.stack.api.create(_ROLE_BINDING, binding, "default")


@asynccontextmanager
async def beside_a_stack(options: StackOptions, *, home: Path) -> AsyncIterator[Desk]:
    """Run a stack with a desk beside it.

    Parameters
    ----------
    options
        Of the stack.
    home
        Of whoever sits there; exists.
    """
    async with (
        LocalStack(options) as stack,
        httpx.AsyncClient(base_url=stack.catalog_url, trust_env=False, timeout=_PATIENCE) as client,
    ):
        yield Desk(stack, client, home)
