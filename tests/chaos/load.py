"""The load: builds that complete, people who add, edit, delete and ask, and tags that move, all the time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import httpx
from tests.chaos.ledger import Build, Edit, Image, Ledger, Removal
from tests.chaos.watching import Chronicle

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, KubernetesAPI
from image_catalog.errors import AlreadyExistsError, ClusterUnavailableError, TransientError, WriteConflictError
from image_catalog.local.knative import Clock
from image_catalog.local.registry import SampleImage
from image_catalog.models import format_time
from image_catalog.models.names import ANNOTATION_PUBLISH

__all__ = ["INTERVAL", "NAMESPACE", "Load"]

NAMESPACE = "default"

INTERVAL = timedelta(seconds=8)
"""How often people want their entries checked."""

_BUILT, _OPTED_OUT, _BY_HAND = 36, 3, 8
"""Images of each sort."""

_AGAIN = timedelta(seconds=0.3)
_BUILD_EVERY, _EDIT_EVERY, _REMOVE_EVERY, _ASK_EVERY, _MOVE_EVERY = 0.5, 0.6, 2.0, 1.0, 1.5
"""Mean seconds between two of each."""

_SECOND = timedelta(seconds=1)
"""What a completion time is told in."""

_T = TypeVar("_T")


class Load:
    """Keeps a stack busy.

    Parameters
    ----------
    api
        The cluster, as an administrator.
    catalog
        Asks the catalog's API, with a token.
    registry_url
        Where images are pushed.
    chronicle
        Knows which entries there are.
    clock
        Times tries.
    rng
        Decides who does what.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        catalog: httpx.AsyncClient,
        registry_url: str,
        chronicle: Chronicle,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.ledger = Ledger()
        self._api = api
        self._catalog = catalog
        self._registry_url = registry_url
        self._chronicle = chronicle
        self._clock = clock
        self._rng = rng
        self._number = 0
        self._busy: set[str] = set()
        self._over = asyncio.Event()
        self._people: asyncio.TaskGroup | None = None
        for number in range(_BUILT):
            self._add_image(Image(f"acme/built-{number}"))
        for number in range(_OPTED_OUT):
            self._add_image(Image(f"acme/private-{number}", opted_out=True))
        for number in range(_BY_HAND):
            self._add_image(Image(f"acme/hand-{number}", built=False))

    async def run(self) -> None:
        """Keep everybody at work until `stop`; what is under way then is brought to its end."""
        async with asyncio.TaskGroup() as people:
            self._people = people
            for work, every in (
                (self._build, _BUILD_EVERY),
                (self._edit, _EDIT_EVERY),
                (self._remove, _REMOVE_EVERY),
                (self._ask, _ASK_EVERY),
                (self._move, _MOVE_EVERY),
            ):
                people.create_task(self._repeat(work, every))
            people.create_task(self._add_by_hand())

    def stop(self) -> None:
        """Let everybody go home."""
        self._over.set()

    async def want_checks(self) -> None:
        """Ask that every entry is checked often, where it is still the default: an hour of quiet takes an hour."""
        for entry in await self._persist(lambda: self._api.list_all(CATALOG_IMAGE, NAMESPACE)):
            if entry["spec"]["verificationInterval"] != f"{INTERVAL.seconds}s":
                await self._persist(partial(self._set_interval, entry["metadata"]["name"]))

    def _add_image(self, image: Image) -> None:
        self.ledger.images[image.url] = image

    async def _repeat(self, work: Callable[[], Awaitable[None]], every: float) -> None:
        while not self._over.is_set():
            await work()
            try:
                async with asyncio.timeout(self._rng.uniform(0.2, 1.8) * every):
                    await self._over.wait()
            except TimeoutError:
                continue

    async def _persist(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Try until it is done, as a controller would."""
        while True:
            try:
                return await call()
            except (TransientError, httpx.TransportError):
                await self._clock.sleep(_AGAIN)

    def _free_image(self, *, built: bool) -> Image | None:
        free = [i for i in self.ledger.images.values() if i.built is built and i.url not in self._busy]
        return self._rng.choice(free) if free else None

    async def _push(self, image: Image, content: str) -> str:
        sample = SampleImage(name=content)
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            return await self._persist(
                lambda: sample.push(self._registry_url, image.repository, image.tag, client=client)
            )

    async def _build(self) -> None:
        """Push an image and complete its build, in the background: a registry that is down holds up no other build."""
        image = self._free_image(built=True)
        if image is not None and self._people is not None:
            self._busy.add(image.url)
            self._number += 1
            self._people.create_task(self._run_build(image, f"build-{self._number}"))

    async def _run_build(self, image: Image, name: str) -> None:
        image.pushed.append(digest := await self._push(image, name))
        completed = datetime.now(UTC).replace(microsecond=0)
        if image.builds and completed <= image.builds[-1].completed:
            completed = image.builds[-1].completed + _SECOND
        metadata: dict[str, Any] = {"name": name}
        if image.opted_out:
            metadata["annotations"] = {ANNOTATION_PUBLISH: "false"}
        spec = {
            "architecture": "arm64",
            "aib": {"distro": "autosd", "target": "qemu", "mode": "image"},
            "export": {"container": image.url},
        }

        async def create() -> dict[str, Any]:
            try:
                return dict(await self._api.create(IMAGE_BUILD, {"metadata": metadata, "spec": spec}, NAMESPACE))
            except AlreadyExistsError:
                return dict(await self._api.get(IMAGE_BUILD, name, NAMESPACE) or {})

        made = await self._persist(create)
        status = {"phase": "Completed", "completionTime": format_time(completed)}
        await self._persist(lambda: self._api.patch_status(IMAGE_BUILD, name, NAMESPACE, status, resource_version=None))
        image.builds.append(Build(name, made["metadata"]["uid"], digest, completed))
        image.pushed = image.pushed[image.pushed.index(digest) :]
        self._busy.discard(image.url)

    async def _add_by_hand(self) -> None:
        for image in [image for image in self.ledger.images.values() if not image.built]:
            image.pushed.append(await self._push(image, f"{image.repository} 0"))
            name = image.repository.rpartition("/")[2]
            spec = {"registryUrl": image.url, "verificationInterval": f"{INTERVAL.seconds}s"}

            async def create(name: str = name, spec: dict[str, Any] = spec) -> None:
                try:
                    await self._api.create(CATALOG_IMAGE, {"metadata": {"name": name}, "spec": spec}, NAMESPACE)
                except AlreadyExistsError:
                    return

            await self._persist(create)
            self.ledger.by_hand[image.url] = name

    async def _edit(self) -> None:
        entry = self._chronicle.choose(self._rng)
        if entry is None:
            return
        self._number += 1
        edits = self.ledger.edits.setdefault(entry["metadata"]["uid"], [])
        edit = Edit(self._number, acknowledged=False)
        edits.append(edit)
        spec = {"tags": [edit.tag], "verificationInterval": f"{INTERVAL.seconds}s"}
        metadata = entry["metadata"]
        try:
            done = await self._api.patch(
                CATALOG_IMAGE, metadata["name"], NAMESPACE, {"spec": spec}, uid=metadata["uid"]
            )
        except WriteConflictError:
            edits.pop()
        except ClusterUnavailableError:
            return
        else:
            edits[-1:] = [Edit(edit.number, acknowledged=True)] if done is not None else []

    async def _set_interval(self, name: str) -> None:
        patch = {"spec": {"verificationInterval": f"{INTERVAL.seconds}s"}}
        await self._api.patch(CATALOG_IMAGE, name, NAMESPACE, patch)

    async def _remove(self) -> None:
        entry = self._chronicle.choose(self._rng)
        if entry is None or entry["spec"]["registryUrl"] in self.ledger.by_hand:
            return
        metadata = entry["metadata"]
        self.ledger.removals[metadata["uid"]] = Removal(metadata["uid"], datetime.now(UTC))
        try:
            if self._rng.random() < 0.5:
                await self._api.delete(CATALOG_IMAGE, metadata["name"], NAMESPACE, uid=metadata["uid"])
            else:
                await self._catalog.delete(f"/images/{metadata['name']}", params={"namespace": NAMESPACE})
        except (TransientError, httpx.TransportError):
            return  # Whether it was done, the story of the object tells.

    async def _ask(self) -> None:
        entry = self._chronicle.choose(self._rng)
        if entry is None:
            return
        try:
            answer = await self._catalog.post(
                f"/images/{entry['metadata']['name']}/verify", params={"namespace": NAMESPACE}
            )
        except httpx.TransportError as e:
            self.ledger.checks[type(e).__name__] += 1
        else:
            self.ledger.checks[str(answer.status_code)] += 1

    async def _move(self) -> None:
        """Push other content under a tag, or take the tag away."""
        image = self._free_image(built=self._rng.random() < 0.3)
        if image is None or not image.pushed:
            return
        self._busy.add(image.url)
        if not image.built and self._rng.random() < 0.4:
            await self._delete_tag(image)
        else:
            self._number += 1
            image.pushed.append(await self._push(image, f"moved-{self._number}"))
        self._busy.discard(image.url)

    async def _delete_tag(self, image: Image) -> None:
        url = f"{self._registry_url}/v2/{image.repository}/manifests/{image.tag}"
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            await self._persist(lambda: client.delete(url))
