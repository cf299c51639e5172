"""Claims: at most one entry per image, decided by the API server's unique names.

A claim is a Lease named after the image's identity. Creating it is atomic, so of
two publishers of one image exactly one makes the entry. A removed entry leaves
its claim behind as a tombstone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import structlog

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._images import CatalogImages
from image_catalog.cluster._kinds import LEASE
from image_catalog.cluster._transport import JSON
from image_catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ForbiddenError,
    InvalidReferenceError,
    WriteConflictError,
)
from image_catalog.models import Reference, parse_time
from image_catalog.models.names import GROUP, LABEL_REFERENCE_HASH

__all__ = ["Claim", "ClaimOutcome", "ClaimResult", "Claims", "Tombstone"]

logger = structlog.get_logger(__name__)

LABEL_CLAIM: Final = f"{GROUP}/claim"
ANNOTATION_REFERENCE: Final = f"{GROUP}/reference"
ANNOTATION_REMOVED_AT: Final = f"{GROUP}/removed-at"
ANNOTATION_BUILD_UID: Final = f"{GROUP}/build-uid"
HELD: Final = "held"
REMOVED: Final = "removed"

# A publisher needs milliseconds between claim and entry; after this long it has died.
ABANDONED_AFTER: Final = timedelta(seconds=30)
TOMBSTONE_LIFETIME: Final = timedelta(days=30)
# How long to wait for the entry of a claim that another publisher has just made.
PATIENCE: Final = timedelta(seconds=2)
POLL: Final = timedelta(milliseconds=50)
ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a removed entry.

    Attributes
    ----------
    removed_at
        When it was removed.
    build_uid
        The build of its last version; empty when it came from elsewhere.
    """

    removed_at: datetime
    build_uid: str = ""

    def expired(self, now: datetime) -> bool:
        """Whether it no longer keeps the image out."""
        return now - self.removed_at >= TOMBSTONE_LIFETIME


@dataclass(frozen=True, slots=True)
class Claim:
    """Who stands for an image in a namespace.

    Attributes
    ----------
    namespace, name
        The Lease.
    uid, resource_version
        The preconditions of every change to it.
    reference
        The image's canonical reference.
    holder
        The entry's name.
    acquired_at
        When the holder got it.
    tombstone
        Set when the entry was removed.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    reference: str
    holder: str
    acquired_at: datetime
    tombstone: Tombstone | None = None


class ClaimOutcome(StrEnum):
    """How an attempt to claim an image ended."""

    CREATED = "created"
    """Nobody had it."""
    OURS = "ours"
    """The entry had it already."""
    TAKEN_OVER = "taken over"
    """Whoever had it has died, or its tombstone has expired."""
    HELD = "held"
    """Another living entry stands for the image."""
    REMOVED = "removed"
    """A person removed the image; `Claims.revive` brings it back."""


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """What became of an attempt to claim an image.

    Attributes
    ----------
    outcome
        How it ended.
    claim
        The claim as it stands now; ``claim.holder`` names the entry.
    """

    outcome: ClaimOutcome
    claim: Claim

    @property
    def is_ours(self) -> bool:
        """Whether the entry that asked now stands for the image."""
        return self.outcome in (ClaimOutcome.CREATED, ClaimOutcome.OURS, ClaimOutcome.TAKEN_OVER)


class Claims:
    """Claims images for entries.

    Parameters
    ----------
    api
        Speaks to the API server.
    images
        Tells whether the entry of a claim lives.
    clock
        Tells the time.
    patience
        How long to wait for the entry of a claim that another publisher has just made.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        images: CatalogImages,
        clock: Callable[[], datetime],
        patience: timedelta = PATIENCE,
    ) -> None:
        self._api = api
        self._images = images
        self._clock = clock
        self._patience = patience

    async def get(self, namespace: str, reference: Reference) -> Claim | None:
        """Read the claim of an image; `None` when nobody has claimed it.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.get` says.
        """
        found = await self._api.get(LEASE, _name(reference), namespace)
        return None if found is None else _read(found)

    async def secure(self, namespace: str, reference: Reference, holder: str) -> ClaimResult:
        """Claim an image for an entry, before the entry is created.

        Parameters
        ----------
        namespace
            The entry's namespace.
        reference
            The image.
        holder
            The entry's name.

        Raises
        ------
        WriteConflictError
            When another publisher has claimed the image and not yet made its entry; the
            error says after what time it counts as dead.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.create` says.
        """
        created = await self._create(namespace, reference, holder)
        for _ in range(ATTEMPTS + self._patience // POLL):
            if created is not None:
                return ClaimResult(ClaimOutcome.CREATED, created)
            claim = await self.get(namespace, reference)
            if claim is None:
                created = await self._create(namespace, reference, holder)
                continue
            try:
                result = await self._settle(claim, holder)
            except WriteConflictError:
                result = None  # Somebody else settled it first: look again.
            if result is not None:
                return result
            await asyncio.sleep(POLL.total_seconds())
        raise self._unsettled(namespace, reference, claim)

    async def revive(self, claim: Claim, holder: str) -> Claim:
        """Turn a tombstone back into a claim, because somebody asked for the image again.

        Raises
        ------
        WriteConflictError
            When another writer changed or deleted the claim.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.patch` says.
        """
        return await self._hand_over(claim, holder)

    async def bury(self, namespace: str, reference: Reference, holder: str, *, build_uid: str = "") -> Claim | None:
        """Leave a tombstone for a removed entry.

        Nothing here may keep the entry from going: what the API server forbids, as
        it does in a terminating namespace, is logged.

        Parameters
        ----------
        namespace
            The entry's namespace.
        reference
            The image.
        holder
            The entry's name; a claim that another entry holds is left alone.
        build_uid
            The build of the last version; empty when it came from elsewhere.

        Returns
        -------
        Claim or None
            The tombstone; `None` when another entry holds the image, or it was forbidden.

        Raises
        ------
        WriteConflictError
            When other writers came between every time.
        ClusterUnavailableError
            When the API server does not answer.
        """
        tombstone = Tombstone(self._clock(), build_uid)
        try:
            return await self._bury(namespace, reference, holder, tombstone)
        except ForbiddenError as e:
            logger.warning("cluster.claim.tombstone_refused", claim=f"{namespace}/{_name(reference)}", error=e.message)
            return None

    async def release(self, claim: Claim) -> bool:
        """Give a claim up without a trace; false when it has changed hands or is gone.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.delete` says.
        """
        try:
            return await self._api.delete(
                LEASE, claim.name, claim.namespace, uid=claim.uid, resource_version=claim.resource_version
            )
        except WriteConflictError:
            return False

    async def purge(self, namespace: str | None = None) -> int:
        """Delete the tombstones that have expired, and say how many.

        Parameters
        ----------
        namespace
            One namespace; `None` for all of them.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.pages` says.
        """
        purged = 0
        now = self._clock()
        async for page in self._api.pages(LEASE, namespace, label_selector=f"{LABEL_CLAIM}={REMOVED}"):
            for claim in map(_read, page.objects):
                if claim.tombstone is not None and claim.tombstone.expired(now):
                    purged += await self.release(claim)
        return purged

    async def _create(self, namespace: str, reference: Reference, holder: str) -> Claim | None:
        fields, spec = self._fields(reference.canonical, holder, None)
        metadata = {
            "name": _name(reference),
            "labels": {**fields["labels"], LABEL_REFERENCE_HASH: reference.identity_hash[:40]},
            "annotations": {key: value for key, value in fields["annotations"].items() if value is not None},
        }
        try:
            return _read(await self._api.create(LEASE, {"metadata": metadata, "spec": spec}, namespace))
        except AlreadyExistsError:
            return None

    async def _settle(self, claim: Claim, holder: str) -> ClaimResult | None:
        """Decide what a claim that is there means for an entry; `None` while its own entry may still come."""
        now = self._clock()
        if claim.tombstone is not None:
            if not claim.tombstone.expired(now):
                return ClaimResult(ClaimOutcome.REMOVED, claim)
            return ClaimResult(ClaimOutcome.TAKEN_OVER, await self._hand_over(claim, holder))
        if claim.holder == holder:
            return ClaimResult(ClaimOutcome.OURS, claim)
        if await self._is_alive(claim):
            return ClaimResult(ClaimOutcome.HELD, claim)
        if now - claim.acquired_at < ABANDONED_AFTER:
            return None
        return ClaimResult(ClaimOutcome.TAKEN_OVER, await self._hand_over(claim, holder))

    async def _is_alive(self, claim: Claim) -> bool:
        """Whether the holder is an entry that stands for the claimed image."""
        image = await self._images.get(claim.namespace, claim.holder)
        if image is None:
            return False
        try:
            return Reference.parse(image.spec.registry_url).canonical == claim.reference
        except InvalidReferenceError:
            return False

    async def _hand_over(self, claim: Claim, holder: str) -> Claim:
        return await self._rewrite(claim, holder, None)

    async def _rewrite(self, claim: Claim, holder: str, tombstone: Tombstone | None) -> Claim:
        metadata, spec = self._fields(claim.reference, holder, tombstone)
        # A merge patch, because a PUT with a resource version would create a Lease that is gone.
        written = await self._api.patch(
            LEASE,
            claim.name,
            claim.namespace,
            {"metadata": metadata, "spec": spec},
            resource_version=claim.resource_version,
            uid=claim.uid,
        )
        if written is None:
            raise WriteConflictError(f"the claim {claim.namespace}/{claim.name} was deleted meanwhile")
        return _read(written)

    async def _bury(self, namespace: str, reference: Reference, holder: str, tombstone: Tombstone) -> Claim | None:
        error: CatalogError | None = None
        for _ in range(ATTEMPTS):
            claim = await self.get(namespace, reference) or await self._create(namespace, reference, holder)
            if claim is None:
                continue
            if claim.tombstone is not None and claim.holder == holder:
                return claim
            if claim.holder != holder and (claim.tombstone is not None or await self._is_alive(claim)):
                return None
            try:
                return await self._rewrite(claim, holder, tombstone)
            except WriteConflictError as e:
                error = e
        raise error or WriteConflictError(f"the claim of {reference.canonical} comes and goes")

    def _fields(
        self, reference: str, holder: str, tombstone: Tombstone | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return metadata and spec of a Lease; `None` removes what a tombstone left."""
        removed_at = None if tombstone is None else tombstone.removed_at.isoformat()
        build_uid = None if tombstone is None else tombstone.build_uid
        annotations = {
            ANNOTATION_REFERENCE: reference,
            ANNOTATION_REMOVED_AT: removed_at,
            ANNOTATION_BUILD_UID: build_uid,
        }
        metadata = {
            "labels": {LABEL_CLAIM: HELD if tombstone is None else REMOVED},
            "annotations": annotations,
        }
        return metadata, {"holderIdentity": holder, "acquireTime": _micro_time(self._clock())}

    def _unsettled(self, namespace: str, reference: Reference, claim: Claim | None) -> WriteConflictError:
        if claim is None:
            return WriteConflictError(f"the claim of {reference.canonical} in namespace {namespace} comes and goes")
        left = claim.acquired_at + ABANDONED_AFTER - self._clock()
        return WriteConflictError(
            f"{namespace}/{claim.holder} has just claimed {claim.reference} and is not there yet",
            retry_after=max(left, timedelta(seconds=1)),
        )


def _name(reference: Reference) -> str:
    return f"catalogimage-{reference.identity_hash}"


def _micro_time(at: datetime) -> str:
    """Write a metav1.MicroTime, which always has six digits."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(found: JSON) -> Claim:
    metadata, spec = found["metadata"], found.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    removed_at = parse_time(annotations.get(ANNOTATION_REMOVED_AT))
    acquired_at = parse_time(spec.get("acquireTime")) or parse_time(metadata.get("creationTimestamp"))
    tombstone = None
    if isinstance(removed_at, datetime):
        tombstone = Tombstone(removed_at, annotations.get(ANNOTATION_BUILD_UID) or "")
    return Claim(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        reference=annotations.get(ANNOTATION_REFERENCE) or "",
        holder=spec.get("holderIdentity") or "",
        acquired_at=acquired_at,
        tombstone=tombstone,
    )
