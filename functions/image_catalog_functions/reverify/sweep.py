"""Finds what fell through: sources replay nothing, and drop what they cannot send."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from image_catalog.catalog.asked import Asked
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.publication import read_publication
from image_catalog.catalog.wishes import is_published_by_itself, source_of
from image_catalog.cluster import CatalogImages, ImageBuilds
from image_catalog.config import PublishPolicy
from image_catalog.errors import ClusterUnavailableError
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import CatalogImage, ImageBuild, LaterNames, Reference
from image_catalog.models.events import BuildRef, PublishRequest
from image_catalog_functions.reverify.budgets import Census
from image_catalog_functions.reverify.due import verification_request

__all__ = ["FORGOTTEN_FOR", "sweep"]

_log = structlog.get_logger(__name__)

FORGOTTEN_FOR = timedelta(days=29)
"""Builds that completed longer ago are left alone.

A removed image's tombstone lives for 30 days; past that nothing would say any
more that its build, if it is still there, must not bring it back.
"""

_Key = tuple[str, str]
"""Namespace and canonical reference: what identifies an entry."""


async def sweep(
    event: ReceivedEvent[object],
    *,
    images: CatalogImages,
    builds: ImageBuilds,
    asked: Asked,
    census: Census,
    policy: PublishPolicy,
    batch: int,
    rng: random.Random,
    clock: Callable[[], datetime],
) -> list[CatalogEvent]:
    """Ask again for what no event has brought about.

    Parameters
    ----------
    event
        The tick.
    images
        Lists entries.
    builds
        Lists builds.
    asked
        Remembers which builds were asked for, and in vain.
    census
        Counts the entries of registries that have a limit.
    policy
        Which builds are published by themselves.
    batch
        How many builds are asked for at most, and how many entries: in the middle
        of a burst thousands have no entry yet, or one that nobody has looked at,
        and wait for their turn with the broker.
    rng
        Chooses the entries where there are more: those that come first must not
        keep others away for ever.
    clock
        Tells the time.

    Returns
    -------
    list of CatalogEvent
        ``verification.requested`` for entries whose status is behind their
        spec, or that ticks pass over, ``publish.requested`` for completed
        builds without an entry.

    Raises
    ------
    TransientError
        Raised when the API server is in trouble that passes.
    """
    behind = _Sample(batch, rng)
    current: dict[_Key, datetime] = {}
    now = clock()
    later = LaterNames.after(now)
    async for page in images.pages(outlined=True):
        if page.first:  # The list may have expired under its reader and started again.
            behind = _Sample(batch, rng)
            current.clear()
            census.begin()
        for image in page.images:
            census.add(image)
            key = _key(image.metadata.namespace, image.spec.registry_url)
            published = _published_at(image)
            if key is not None and published is not None:
                current[key] = max(published, current.get(key, published))
            if _is_behind(image) or _is_passed_over(image, later, now):
                behind.add((image.metadata.namespace, image.metadata.name, image.spec.registry_url))
    await census.tell(now)
    try:
        forgotten = await _forgotten(event, builds, current, asked, policy=policy, batch=batch, now=now)
    except ClusterUnavailableError as e:
        # Without the build operator there are no builds; what entries need is asked for all the same.
        _log.warning("builds not swept", error=e.message)
        forgotten = []
    _log.info("swept", entries=len(current), behind=behind.seen, forgotten=len(forgotten))
    requests = [verification_request(namespace, name, url, cause=event) for namespace, name, url in behind.kept]
    return [*requests, *forgotten]


class _Sample:
    """Keeps so many of what streams by, each with the same chance."""

    def __init__(self, room: int, rng: random.Random) -> None:
        self.kept: list[tuple[str, str, str]] = []
        self.seen = 0
        self._room = room
        self._rng = rng

    def add(self, entry: tuple[str, str, str]) -> None:
        """Let an entry, by namespace, name and reference, have its chance."""
        self.seen += 1
        if len(self.kept) < self._room:
            self.kept.append(entry)
        elif (place := self._rng.randrange(self.seen)) < self._room:
            self.kept[place] = entry


async def _forgotten(
    event: ReceivedEvent[object],
    builds: ImageBuilds,
    current: dict[_Key, datetime],
    asked: Asked,
    *,
    policy: PublishPolicy,
    batch: int,
    now: datetime,
) -> list[CatalogEvent]:
    """Return a request for the newest build of each image that no entry knows of."""
    # Not the builds themselves: in the middle of a burst there are thousands, of many KB each.
    newest: dict[_Key, tuple[datetime, str, BuildRef]] = {}
    async for page in builds.completed():
        for build in page:
            completed, url = build.completion_time, build.published_reference
            if completed is None or url is None or now - completed > FORGOTTEN_FOR:
                continue
            key = _key(build.metadata.namespace, url)
            # One that stays out must not stand before an older one that does not.
            if (
                key is None
                or not is_published_by_itself(build, policy)
                or (key in current and completed <= current[key])
            ):
                continue
            if key not in newest or completed > newest[key][0]:
                ref = BuildRef(name=build.metadata.name, namespace=build.metadata.namespace)
                newest[key] = completed, _run(build), ref
    runs = {run: (completed, ref) for completed, run, ref in newest.values()}
    due = asked.due({run: completed for run, (completed, _) in runs.items()}, now=now, limit=batch)
    return [_publish_request(ref, run, event) for run, (_, ref) in runs.items() if run in due]


def _run(build: ImageBuild) -> str:
    """Name one run of a build, whichever sweep finds it: what publish answers is then told once."""
    return hashlib.sha256(f"{build.metadata.uid}\n{source_of(build).completion_time}".encode()).hexdigest()


def _publish_request(build: BuildRef, run: str, event: ReceivedEvent[object]) -> CatalogEvent:
    data = PublishRequest(image_build=build, namespace=build.namespace, automatic=True)
    return CatalogEvent.of_name(
        EventType.PUBLISH_REQUESTED, build.namespace, build.name, data, cause=replace(event, id=f"sweep-{run}")
    )


def _is_behind(image: CatalogImage) -> bool:
    if image.metadata.deletion_timestamp is not None:
        return False
    status = image.status
    return (
        status.observed_generation != image.metadata.generation
        or status.verified_inputs != verified_inputs(image.spec)
        or status.next_verification_time is None
    )


def _is_passed_over(image: CatalogImage, later: LaterNames, now: datetime) -> bool:
    """Whether an entry is due by its time and not by the names of it: somebody wrote the one without the others."""
    due = image.status.next_verification_time
    return image.metadata.deletion_timestamp is None and due is not None and due <= now and later.have(image.status.due)


def _published_at(image: CatalogImage) -> datetime | None:
    """Return what later publications of an entry must be newer than."""
    publication, source = read_publication(image), image.status.source_image_build
    if publication is not None:
        return publication.time
    return source.completion_time if source is not None else None


def _key(namespace: str, url: str) -> _Key | None:
    reference = Reference.try_parse(url)
    return (namespace, reference.canonical) if reference else None
