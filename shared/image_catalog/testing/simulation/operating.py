"""The build operator of a simulated world: it writes the objects that the catalog only reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from image_catalog.local.kubernetes.cluster import Cluster
from image_catalog.models import format_time
from image_catalog.models.names import ANNOTATION_CATALOG_NAME, ANNOTATION_PUBLISH, API_VERSION, GROUP
from image_catalog.testing.simulation.actions import (
    BuildCompleted,
    BuildFailed,
    BuildOptedOut,
    BuildRemoved,
    BuildStarted,
)
from image_catalog.testing.simulation.registries import Registries
from image_catalog.testing.simulation.scenery import IMAGES
from image_catalog.testing.simulation.surroundings import Surroundings

__all__ = ["BuildOperator"]

_BUILDS = (GROUP, "imagebuilds")

_Object = dict[str, Any]


class BuildOperator:
    """Starts, completes and removes builds.

    Parameters
    ----------
    server
        Where the builds are.
    registries
        Where they push to.
    surroundings
        Where it is.
    """

    def __init__(self, *, server: Cluster, registries: Registries, surroundings: Surroundings) -> None:
        self._server = server
        self._registries = registries
        self._around = surroundings

    def do(self, deed: BuildStarted | BuildCompleted | BuildFailed | BuildOptedOut | BuildRemoved) -> None:
        """Do one thing to a build, or nothing where it is not there."""
        key = (deed.namespace, deed.build)
        stored = self._server.store.bucket(_BUILDS).get(key)
        if isinstance(deed, BuildStarted):
            self._start_build(deed, None if stored is None else stored.body)
            return
        if stored is None:
            return
        body = stored.body
        match deed:
            case BuildCompleted(content=content, ago=ago):
                image = IMAGES[int(body["metadata"]["labels"]["image"])]
                self._registries.push(image, content)
                done = self._around.loop.now() - timedelta(seconds=ago)
                self._note(
                    f"build {key[0]}/{key[1]} has pushed content {content} to {image.reference}, done at {done:%T}"
                )
                self._put(key, {**body, "status": {"phase": "Completed", "completionTime": format_time(done)}})
            case BuildFailed():
                self._note(f"build {key[0]}/{key[1]} fails")
                self._put(key, {**body, "status": {"phase": "Failed"}})
            case BuildOptedOut():
                self._note(f'build {key[0]}/{key[1]} is annotated publish: "false"')
                annotations = {**body["metadata"].get("annotations", {}), ANNOTATION_PUBLISH: "false"}
                self._put(key, {**body, "metadata": {**body["metadata"], "annotations": annotations}})
            case BuildRemoved():
                self._note(f"build {key[0]}/{key[1]} is deleted")
                self._server.store.remove(_BUILDS, key)

    def _start_build(self, deed: BuildStarted, before: _Object | None) -> None:
        image = IMAGES[deed.image]
        annotations = {ANNOTATION_CATALOG_NAME: deed.entry} if deed.entry else {}
        annotations |= {ANNOTATION_PUBLISH: deed.publish} if deed.publish else {}
        self._note(f"build {deed.namespace}/{deed.build} of {image.reference} starts {annotations or ''}".rstrip())
        if before is None:
            self._server.apply(
                {
                    "apiVersion": API_VERSION,
                    "kind": "ImageBuild",
                    "metadata": {
                        "name": deed.build,
                        "namespace": deed.namespace,
                        "labels": {"image": str(deed.image)},
                        "annotations": annotations,
                    },
                    "spec": {
                        "architecture": "arm64",
                        "aib": {"distro": "autosd", "target": "qemu", "mode": "image"},
                        "export": {"container": image.reference},
                    },
                }
            )
        key = (deed.namespace, deed.build)
        stored = self._server.store.bucket(_BUILDS).get(key)
        if stored is not None:
            self._put(key, {**stored.body, "status": {"phase": "Building"}})

    def _put(self, key: tuple[str, str], body: _Object) -> None:
        self._server.store.put(_BUILDS, key, body)

    def _note(self, text: str) -> None:
        self._around.journal.note(text)
