"""A pipeline with a registry at quay.io, and short ways to what builds, people and pushes do to it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.events import EventType
from image_catalog.local.registry import Sample, SampleImage
from image_catalog.models import CatalogImage, CatalogRegistry, format_time
from image_catalog.models.names import API_VERSION, GROUP
from image_catalog.testing.knative import ManualClock
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import Account, BasicAuth, BearerAuth, FakeRegistry

__all__ = ["NAMESPACE", "World", "running_world"]

NAMESPACE = "team-a"
"""Where builds and entries are, unless a test says otherwise."""

_GROUPS = {"catalogimages": GROUP, "catalogregistries": GROUP, "imagebuilds": GROUP, "leases": "coordination.k8s.io"}


class World:
    """What a test works with.

    Attributes
    ----------
    pipeline
        The functions, the cluster and the broker.
    registry
        The registry at quay.io.
    network
        Every other host that registries are looked for at.
    """

    def __init__(self, pipeline: Pipeline, registry: FakeRegistry, network: Network) -> None:
        self.pipeline = pipeline
        self.registry = registry
        self.network = network

    @property
    def clock(self) -> ManualClock:
        """Everybody's clock."""
        return self.pipeline.clock

    def push(self, sample: Sample | str | None = None, *, repository: str = "acme/autosd", tag: str = "cs9") -> Sample:
        """Put an image into the registry; a text names a plain one."""
        image = SampleImage(name=sample or "sample") if sample is None or isinstance(sample, str) else sample
        self.registry.put(image, repository, tag)
        return image

    def build(self, name: str = "autosd", *, url: str = "quay.io/acme/autosd:cs9", **fields: Any) -> dict[str, Any]:
        """Make the ImageBuild of a completed build in today's shape, without applying it.

        ``metadata``, ``spec``, ``aib`` and ``status`` are merged in.
        """
        aib = {"distro": "autosd", "target": "qemu", "mode": "image", **fields.get("aib", {})}
        return {
            "apiVersion": API_VERSION,
            "kind": "ImageBuild",
            "metadata": {"name": name, "namespace": NAMESPACE, **fields.get("metadata", {})},
            "spec": {"architecture": "arm64", "aib": aib, "export": {"container": url}, **fields.get("spec", {})},
            "status": {
                "phase": "Completed",
                "completionTime": format_time(self.clock.now()),
                **fields.get("status", {}),
            },
        }

    async def complete(self, name: str = "autosd", **fields: Any) -> CatalogImage | None:
        """Let a build complete, let everybody do their part, and return the entry of its name."""
        self.pipeline.apply(self.build(name, **fields))
        await self.pipeline.drain()
        return self.entry(name)

    def entry_manifest(self, name: str, url: str, **spec: Any) -> dict[str, Any]:
        """Make the CatalogImage that a person would, without applying it."""
        return {
            "apiVersion": API_VERSION,
            "kind": "CatalogImage",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"registryUrl": url, **spec},
        }

    async def add(self, name: str = "autosd", url: str = "quay.io/acme/autosd:cs9", **spec: Any) -> CatalogImage:
        """Make an entry by hand, let everybody do their part, and return it."""
        self.pipeline.apply(self.entry_manifest(name, url, **spec))
        await self.pipeline.drain()
        return self.image(name)

    def listed(self, name: str = "registry") -> CatalogRegistry:
        """Return a CatalogRegistry that must be there."""
        found = self.raw("catalogregistries", name, namespace="")
        if found is None:
            raise LookupError(f"there is no CatalogRegistry {name}")
        return CatalogRegistry.model_validate(found)

    def take_down(self, host: str = "quay.io") -> None:
        """Let a registry's connections be refused."""

        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

        self.network.serve(f"https://{host}", refuse)

    def bring_back(self) -> None:
        """Let the registry at quay.io answer again."""
        self.network.serve_app("https://quay.io", self.registry)

    def allow_secrets(self, *functions: str, namespace: str = NAMESPACE) -> None:
        """Let functions read the Secrets of a namespace, as its owner does."""
        self.pipeline.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "image-catalog-secret-reader", "namespace": namespace},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "image-catalog-secret-reader",
                },
                "subjects": [
                    {"kind": "ServiceAccount", "name": name, "namespace": "image-catalog"}
                    for name in functions or ("publish", "verify")
                ],
            }
        )

    def add_secret(self, name: str, account: Account, *, namespace: str = NAMESPACE) -> None:
        """Put an account of the registry into a Secret, as ``kubectl create secret docker-registry`` does."""
        auth = base64.b64encode(f"{account.user}:{account.password}".encode()).decode()
        config = json.dumps({"auths": {self.registry.host: {"auth": auth}}})
        self.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": namespace},
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
            }
        )

    def add_registry(self, name: str = "registry", **spec: Any) -> None:
        """Describe a registry in a CatalogRegistry, as an administrator does; the fields are those of its spec."""
        self.pipeline.apply(
            {
                "apiVersion": API_VERSION,
                "kind": "CatalogRegistry",
                "metadata": {"name": name},
                "spec": {"host": self.registry.host, **spec},
            }
        )

    def edit(self, name: str = "autosd", *, namespace: str = NAMESPACE, **fields: Mapping[str, Any]) -> None:
        """Change an entry as a person does with `kubectl edit`: ``spec`` and ``metadata`` are merged in, two deep."""
        stored = self.raw("catalogimages", name, namespace=namespace)
        if stored is None:
            raise LookupError(f"there is no entry {namespace}/{name}")
        changed = {field: {**stored.get(field, {}), **values} for field, values in fields.items()}
        self.pipeline.cluster.server.apply({**stored, **changed})

    async def pass_time(self, **duration: float) -> None:
        """Let time go by, let the tick come that finds what is due, and everybody do their part."""
        self.clock.advance(timedelta(**duration))
        self.pipeline.tick()
        await self.pipeline.drain()

    def says(self, name: str = "autosd") -> dict[str, tuple[str, str]]:
        """Return status and reason of an entry's conditions by type."""
        return {
            condition.type: (condition.status, condition.reason) for condition in self.image(name).status.conditions
        }

    async def request(self, **data: Any) -> None:
        """Ask for a publication at the broker's ingress, where nobody is known, and let everybody do their part."""
        self.pipeline.request(EventType.PUBLISH_REQUESTED, {"namespace": NAMESPACE, **data})
        await self.pipeline.drain()

    async def remove(self, name: str = "autosd", *, namespace: str = NAMESPACE) -> None:
        """Delete an entry as a person does, and let everybody do their part."""
        await self.pipeline.cluster.api("person").delete(CATALOG_IMAGE, name, namespace)
        await self.pipeline.drain()

    def data(self, event_type: str) -> list[dict[str, Any]]:
        """Return the data of every event of a type (``image.published``) that was emitted, in order."""
        return [json.loads(e.data) for e in self.pipeline.emitted if EventType(e.type).short == event_type]

    def notes(self, kind: str = "CatalogImage") -> list[tuple[str, str, str]]:
        """Return type, reason and message of every Kubernetes Event on objects of a kind."""
        return [
            (e["type"], e["reason"], e["message"]) for e in self.all("events") if e["involvedObject"]["kind"] == kind
        ]

    def raw(self, kind: str, name: str, *, namespace: str = NAMESPACE) -> dict[str, Any] | None:
        """Return an object as it is stored, `None` when it is absent."""
        stored = self.pipeline.cluster.server.store.bucket((_GROUPS.get(kind, ""), kind)).get((namespace, name))
        return None if stored is None else stored.body

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Return every object of a kind."""
        bucket = self.pipeline.cluster.server.store.bucket((_GROUPS.get(kind, ""), kind))
        return [stored.body for stored in bucket.select(None)]

    def entry(self, name: str = "autosd", *, namespace: str = NAMESPACE) -> CatalogImage | None:
        """Return an entry, `None` when it is absent."""
        found = self.raw("catalogimages", name, namespace=namespace)
        return None if found is None else CatalogImage.from_object(found)

    def image(self, name: str = "autosd", *, namespace: str = NAMESPACE) -> CatalogImage:
        """Return an entry that must be there."""
        found = self.entry(name, namespace=namespace)
        if found is None:
            raise LookupError(f"there is no entry {namespace}/{name}")
        return found


@asynccontextmanager
async def running_world(
    functions: Iterable[PipelineFunction],
    root: Path,
    *,
    auth: BasicAuth | BearerAuth | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """Run a pipeline whose only registry is at ``https://quay.io``.

    Parameters
    ----------
    functions
        The functions.
    root
        Folder for the registry's content.
    auth
        How the registry asks who is there.
    options
        Passed on to `Pipeline`.
    """
    network = Network()
    registry = FakeRegistry(root, host="quay.io", auth=auth)
    registry.scheme = "https"
    network.serve_app("https://quay.io", registry)
    async with Pipeline(functions, connect=network.connect, **options) as pipeline:
        yield World(pipeline, registry, network)
