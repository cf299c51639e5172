"""A pipeline with a registry at quay.io, and short ways to what builds, people and pushes do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from image_catalog.local.registry import Sample, SampleImage
from image_catalog.models import CatalogImage, format_time
from image_catalog.models.names import API_VERSION, GROUP
from image_catalog.testing.knative import ManualClock
from image_catalog.testing.network import Network
from image_catalog.testing.pipeline import Pipeline, PipelineFunction
from image_catalog.testing.registry import BasicAuth, BearerAuth, FakeRegistry

__all__ = ["NAMESPACE", "World", "running_world"]

NAMESPACE = "team-a"
"""Where builds and entries are, unless a test says otherwise."""

_GROUPS = {"catalogimages": GROUP, "imagebuilds": GROUP, "leases": "coordination.k8s.io"}


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

    async def add(self, name: str = "autosd", url: str = "quay.io/acme/autosd:cs9", **spec: Any) -> CatalogImage:
        """Make an entry by hand, let everybody do their part, and return it."""
        self.pipeline.apply(
            {
                "apiVersion": API_VERSION,
                "kind": "CatalogImage",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"registryUrl": url, **spec},
            }
        )
        await self.pipeline.drain()
        return self.image(name)

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
