"""Who acts in a simulated world: people with kubectl, the build operator, and whoever pushes to registries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from image_catalog.events import PREFIX, EventType
from image_catalog.local.knative import CloudEvent
from image_catalog.local.kubernetes.cluster import Cluster
from image_catalog.models import Reference
from image_catalog.models.names import API_VERSION, GROUP
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.simulation.actions import (
    BuildCompleted,
    BuildFailed,
    BuildOptedOut,
    BuildRemoved,
    BuildStarted,
    CheckRequested,
    Crowd,
    Deed,
    EntryApplied,
    EntryEdited,
    EntryRemoved,
    ManifestRemoved,
    PoisonSent,
    PublicationRequested,
    Pushed,
    TagRemoved,
)
from image_catalog.testing.simulation.broker import Broker
from image_catalog.testing.simulation.operating import BuildOperator
from image_catalog.testing.simulation.registries import Registries
from image_catalog.testing.simulation.scenery import IMAGES, Image, sample
from image_catalog.testing.simulation.surroundings import ACTOR, Surroundings

__all__ = ["People"]

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PATCH = "application/merge-patch+json"
_TIMEOUT = timedelta(seconds=10)

_Object = dict[str, Any]


class People:
    """Does what a plan says that people, builds and pushes do.

    Parameters
    ----------
    cluster, registries, broker
        What they work with.
    surroundings
        Where they are.
    """

    def __init__(
        self, *, cluster: InProcessCluster, registries: Registries, broker: Broker, surroundings: Surroundings
    ) -> None:
        self._server: Cluster = cluster.server
        self._registries = registries
        self._broker = broker
        self._around = surroundings
        self._kubectl = cluster.door("person")
        self._operator = BuildOperator(server=self._server, registries=registries, surroundings=surroundings)

    async def do(self, deed: Deed) -> None:
        """Do one thing, or nothing where there is nothing to do it to."""
        match deed:
            case BuildStarted() | BuildCompleted() | BuildFailed() | BuildOptedOut() | BuildRemoved():
                ACTOR.set("operator")
                self._operator.do(deed)
            case EntryApplied() | EntryEdited() | EntryRemoved():
                ACTOR.set("person")
                await self._use_kubectl(deed)
            case PoisonSent(type=kind):
                self._ask(
                    EventType(f"{PREFIX}{kind}"), {"namespace": 5}, f"nothing that {kind} can mean", name="poison "
                )
            case PublicationRequested() | Crowd() | CheckRequested():
                self._ask_for(deed)
            case Pushed() | TagRemoved() | ManifestRemoved():
                self._push(deed)
            case _:
                raise TypeError(f"nobody does {type(deed).__name__}")

    # Registries

    def _push(self, deed: Pushed | TagRemoved | ManifestRemoved) -> None:
        image = IMAGES[deed.image]
        match deed:
            case Pushed(content=content):
                self._registries.push(image, content)
                self._note(f"content {content} is pushed to {image.reference}")
            case TagRemoved():
                if self._registries.remove_tag(image):
                    self._note(f"the tag {image.reference} is removed")
            case ManifestRemoved(content=content):
                if self._registries.remove_manifest(image, content):
                    self._note(f"content {content} is removed from {image.repository}")

    # Entries

    async def _use_kubectl(self, deed: EntryApplied | EntryEdited | EntryRemoved) -> None:
        match deed:
            case EntryApplied():
                await self._apply(deed)
            case EntryEdited():
                await self._edit(deed)
            case EntryRemoved():
                await self._remove(deed)

    async def _apply(self, deed: EntryApplied) -> None:
        """Create or change an entry as ``kubectl apply`` does: what it applied last and no more is taken away."""
        image = IMAGES[deed.image]
        spec: _Object = {"registryUrl": image.reference, "verificationInterval": deed.interval}
        if deed.content >= 0:
            spec["digest"] = sample(deed.content).digest
        if deed.policy:
            spec["driftPolicy"] = deed.policy
        manifest: _Object = {
            "apiVersion": API_VERSION,
            "kind": "CatalogImage",
            "metadata": {"name": deed.name, "namespace": deed.namespace},
            "spec": spec,
        }
        applied = json.dumps(manifest, separators=(",", ":"))
        path = self._path(deed.namespace)
        query = {"fieldManager": "kubectl-client-side-apply", "fieldValidation": "Strict"}
        live = await self._kubectl.request("GET", f"{path}/{deed.name}", timeout=_TIMEOUT)
        self._note(f"kubectl apply {deed.namespace}/{deed.name}: {spec}")
        if live.status == 404:  # noqa: PLR2004 - there is none
            metadata = {**manifest["metadata"], "annotations": {_LAST_APPLIED: applied}}
            body: _Object = {**manifest, "metadata": metadata}
            await self._write("POST", path, body, query)
            return
        found = orjson.loads(live.body)
        last = json.loads(found["metadata"].get("annotations", {}).get(_LAST_APPLIED, "{}"))
        gone = dict.fromkeys(sorted(last.get("spec", {}).keys() - spec.keys()))
        change = {"metadata": {"annotations": {_LAST_APPLIED: applied}}, "spec": {**gone, **spec}}
        await self._write("PATCH", f"{path}/{deed.name}", change, query)

    async def _edit(self, deed: EntryEdited) -> None:
        entry = self._entry(deed.namespace, IMAGES[deed.image])
        # To let what is being deleted stand for another image takes back the removal of the one it stood for.
        if entry is None or (deed.field == "image" and "deletionTimestamp" in entry["metadata"]):
            return
        name = entry["metadata"]["name"]
        manager, change = _edit(deed)
        self._note(f"{manager} {deed.namespace}/{name}: {change}")
        await self._write("PATCH", f"{self._path(deed.namespace)}/{name}", change, {"fieldManager": manager})

    async def _remove(self, deed: EntryRemoved) -> None:
        entry = self._entry(deed.namespace, IMAGES[deed.image])
        if entry is not None:
            name = entry["metadata"]["name"]
            self._note(f"kubectl delete {deed.namespace}/{name}")
            await self._kubectl.request("DELETE", f"{self._path(deed.namespace)}/{name}", timeout=_TIMEOUT)

    async def _write(self, method: str, path: str, body: _Object, query: Mapping[str, str]) -> None:
        content_type = _PATCH if method == "PATCH" else "application/json"
        answer = await self._kubectl.request(
            method, path, query=query, body=body, content_type=content_type, timeout=_TIMEOUT
        )
        if not answer.is_success:
            self._note(f"kubectl is told {answer.status}: {orjson.loads(answer.body)['message']}")

    def _entry(self, namespace: str, image: Image) -> _Object | None:
        """Return an entry that stands for an image, where there are several the first by its name."""
        wanted = Reference.try_parse(image.reference)
        for stored in self._server.store.bucket((GROUP, "catalogimages")).select(namespace):
            reference = Reference.try_parse(stored.body["spec"]["registryUrl"])
            if reference is not None and wanted is not None and reference.canonical == wanted.canonical:
                return stored.body
        return None

    def _path(self, namespace: str) -> str:
        return f"/apis/{API_VERSION}/namespaces/{namespace}/catalogimages"

    # Events from outside

    def _ask_for(self, deed: PublicationRequested | Crowd | CheckRequested) -> None:
        namespace, image = deed.namespace, IMAGES[deed.image]
        data: _Object = {"namespace": namespace, "registryUrl": image.reference}
        match deed:
            case PublicationRequested(name=name):
                data |= {"name": name} if name else {}
                self._ask(EventType.PUBLISH_REQUESTED, data, f"publication of {image.reference} as {name or '…'}")
            case Crowd(count=count):
                for number in range(1, count + 1):
                    self._ask(
                        EventType.PUBLISH_REQUESTED, data, f"publication of {image.reference}, {number} of {count}"
                    )
            case CheckRequested():
                entry = self._entry(namespace, image)
                if entry is not None:
                    name = entry["metadata"]["name"]
                    asked = {"namespace": namespace, "name": name, "reason": "manual"}
                    self._ask(EventType.VERIFICATION_REQUESTED, asked, f"a check of {namespace}/{name}")

    def _ask(self, event_type: EventType, data: _Object, text: str, *, name: str = "") -> None:
        number = self._around.count("requests from outside")
        attributes = {
            "specversion": "1.0",
            "id": name + str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._around.loop.time()} {text} {number}")),
            "source": "/outside",
            "type": str(event_type),
            "time": self._now().isoformat(),
            "datacontenttype": "application/json",
        }
        self._note(f"somebody asks at the ingress for {text}")
        self._broker.offer(CloudEvent(attributes, orjson.dumps(data)))

    def _now(self) -> datetime:
        return self._around.loop.now()

    def _note(self, text: str) -> None:
        self._around.journal.note(text)


def _edit(deed: EntryEdited) -> tuple[str, _Object]:
    """Return the field manager and the merge patch of an edit."""
    value = deed.value
    specs: dict[str, Callable[[], _Object]] = {
        "interval": lambda: {"verificationInterval": value},
        "tags": lambda: {"tags": [value]},
        "metadata": lambda: {"metadata": {"distro": value, "kernelVersion": value}},
        "policy": lambda: {"driftPolicy": value},
        "blobs": lambda: {"verifyBlobs": value == "true"},
        "pin": lambda: {"digest": sample(int(value)).digest},
        "unpin": lambda: {"digest": None},
        "image": lambda: {"registryUrl": IMAGES[int(value)].reference},
    }
    if deed.field == "label":
        return "kubectl-label", {"metadata": {"labels": {"acme.example/team": value}}}
    if deed.field == "annotation":
        return "kubectl-annotate", {"metadata": {"annotations": {"acme.example/note": value}}}
    return "kubectl-edit", {"spec": specs[deed.field]()}
