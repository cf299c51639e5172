"""Claims: at most one entry per image, decided by the API server's unique names.

A claim is a Lease named after the image's identity. Creating it is atomic, so of
two publishers of one image exactly one makes the entry. A removed entry leaves
its claim behind as a tombstone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._claim import (
    TOMBSTONES,
    Claim,
    ClaimOutcome,
    ClaimResult,
    Tombstone,
    claim_name,
    lease_changes,
    new_lease,
    read_claim,
)
from image_catalog.cluster._images import CatalogImages
from image_catalog.cluster._kinds import LEASE
from image_catalog.errors import (
    AlreadyExistsError,
    CatalogError,
    ForbiddenError,
    WriteConflictError,
)
from image_catalog.models import CatalogImage, Reference

__all__ = ["Claims"]

logger = structlog.get_logger(__name__)

# A publisher needs milliseconds between claim and entry; after this long it has died.
ABANDONED_AFTER: Final = timedelta(seconds=30)
# How long to wait for the entry of a claim that another publisher has just made.
PATIENCE: Final = timedelta(seconds=2)
POLL: Final = timedelta(milliseconds=50)
ATTEMPTS: Final = 8


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
        found = await self._api.get(LEASE, claim_name(reference), namespace)
        return None if found is None else read_claim(found)

    async def secure(self, namespace: str, reference: Reference, holder: str, *, making: bool = False) -> ClaimResult:
        """Claim an image for an entry, before the entry is created.

        Parameters
        ----------
        namespace
            The entry's namespace.
        reference
            The image.
        holder
            The entry's name.
        making
            Whether the entry is yet to be made, so that it may have another name: who takes
            a claim over from a maker that seems dead gets its name with it.

        Raises
        ------
        WriteConflictError
            When the entry that has claimed the image is just being made or removed; the
            error says when to try again.
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
                result = await self._settle(claim, holder, making=making)
            except WriteConflictError:
                result = None  # Somebody else settled it first: look again.
            if result is not None:
                return result
            await asyncio.sleep(POLL.total_seconds())
        raise self._unsettled(namespace, reference, claim)

    async def confirm(self, claim: Claim) -> None:
        """Make sure that a claim was good until its entry was made.

        Costs a call only where the claim is so old that others may have taken its
        maker for dead: an entry made by hand may have got it.

        Raises
        ------
        WriteConflictError
            When another entry has the claim.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.get` says.
        """
        if self._clock() - claim.acquired_at < ABANDONED_AFTER / 2:
            return
        found = await self._api.get(LEASE, claim.name, claim.namespace)
        if found is not None and (current := read_claim(found)).holder != claim.holder:
            raise WriteConflictError(
                f"{claim.reference} was claimed by {claim.namespace}/{current.holder} while {claim.holder} was made"
            )

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

    async def bury(
        self,
        namespace: str,
        reference: Reference,
        holder: str,
        *,
        build_uid: str = "",
        removed_at: datetime | None = None,
        gone: bool = False,
    ) -> Claim | None:
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
        removed_at
            When it was removed: what completed later may come back. `None` means now.
        gone
            Whether the entry is not there any more, so that another one may have its name by now.

        Returns
        -------
        Claim or None
            The tombstone; `None` when another entry holds the image, or it was forbidden.

        Raises
        ------
        WriteConflictError
            When other writers came between every time, or the claim is so fresh that an
            entry may just be being made for it; the error says when to try again.
        ClusterUnavailableError
            When the API server does not answer.
        """
        tombstone = Tombstone(removed_at or self._clock(), build_uid)
        try:
            if not gone:
                return await self._bury(namespace, reference, holder, tombstone)
            if removed_at is None:
                await self._refuse_fresh(namespace, reference, holder)
            return await self._bury_gone(namespace, reference, holder, tombstone)
        except ForbiddenError as e:
            logger.warning("tombstone refused", claim=f"{namespace}/{claim_name(reference)}", error=e.message)
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
        async for page in self._api.pages(LEASE, namespace, label_selector=TOMBSTONES):
            for claim in map(read_claim, page.objects):
                if claim.tombstone is not None and claim.tombstone.expired(now):
                    purged += await self.release(claim)
        return purged

    async def _create(self, namespace: str, reference: Reference, holder: str) -> Claim | None:
        lease = new_lease(reference, holder, self._clock())
        try:
            return read_claim(await self._api.create(LEASE, lease, namespace))
        except AlreadyExistsError:
            return None

    async def _settle(self, claim: Claim, holder: str, *, making: bool) -> ClaimResult | None:
        """Decide what a claim that is there means for an entry; `None` while its own entry is coming or going."""
        now = self._clock()
        if claim.tombstone is not None:
            if not claim.tombstone.expired(now):
                return ClaimResult(ClaimOutcome.REMOVED, claim)
            return ClaimResult(ClaimOutcome.TAKEN_OVER, await self._hand_over(claim, holder))
        if claim.holder == holder:
            return ClaimResult(ClaimOutcome.OURS, claim)
        image = await self._images.get(claim.namespace, claim.holder)
        if image is not None and _stands_for(image, claim):
            # An entry on its way out becomes a tombstone in a moment; until then it can be neither joined nor replaced.
            return None if image.metadata.deletion_timestamp else ClaimResult(ClaimOutcome.HELD, claim)
        if now - claim.acquired_at < ABANDONED_AFTER:
            return None
        # Its maker may only be slow, and make its entry yet: of two entries with one name there is only ever one.
        heir = claim.holder if making and image is None else holder
        return ClaimResult(ClaimOutcome.TAKEN_OVER, await self._hand_over(claim, heir))

    async def _entry_of(self, claim: Claim) -> CatalogImage | None:
        """Return the holder if it is an entry that stands for the claimed image."""
        image = await self._images.get(claim.namespace, claim.holder)
        return image if image is not None and _stands_for(image, claim) else None

    async def _hand_over(self, claim: Claim, holder: str) -> Claim:
        return await self._rewrite(claim, holder, None)

    async def _rewrite(self, claim: Claim, holder: str, tombstone: Tombstone | None) -> Claim:
        # A merge patch, because a PUT with a resource version would create a Lease that is gone.
        written = await self._api.patch(
            LEASE,
            claim.name,
            claim.namespace,
            lease_changes(claim.reference, holder, self._clock(), tombstone),
            resource_version=claim.resource_version,
            uid=claim.uid,
        )
        if written is None:
            raise WriteConflictError(f"the claim {claim.namespace}/{claim.name} was deleted meanwhile")
        return read_claim(written)

    async def _refuse_fresh(self, namespace: str, reference: Reference, holder: str) -> None:
        """Leave a claim alone that may be of an entry that is just being made: nobody says when the other one went."""
        claim = await self.get(namespace, reference)
        if claim is None or claim.holder != holder or claim.tombstone is not None:
            return
        is_fresh = self._clock() - claim.acquired_at < ABANDONED_AFTER
        if is_fresh and await self._entry_of(claim) is None:
            raise self._unsettled(namespace, reference, claim)

    async def _bury_gone(self, namespace: str, reference: Reference, holder: str, tombstone: Tombstone) -> Claim | None:
        """Bury an entry that is gone: its name, and with it its claim, may be a later entry's by now."""
        claim = await self.get(namespace, reference)
        if claim is not None and claim.tombstone is None and await self._entry_of(claim) is not None:
            return None
        buried = await self._bury(namespace, reference, holder, tombstone)
        if buried is None or await self._entry_of(buried) is None:
            return buried
        # It was made again between the two looks, and has found the claim its own.
        await self._hand_over(buried, holder)
        return None

    async def _bury(self, namespace: str, reference: Reference, holder: str, tombstone: Tombstone) -> Claim | None:
        error: CatalogError | None = None
        for _ in range(ATTEMPTS):
            claim = await self.get(namespace, reference) or await self._create(namespace, reference, holder)
            if claim is None:
                continue
            if claim.tombstone is not None and claim.holder == holder:
                return claim
            if claim.holder != holder and (claim.tombstone is not None or await self._entry_of(claim) is not None):
                return None
            try:
                return await self._rewrite(claim, holder, tombstone)
            except WriteConflictError as e:
                error = e
        raise error or WriteConflictError(f"the claim of {reference.canonical} comes and goes")

    def _unsettled(self, namespace: str, reference: Reference, claim: Claim | None) -> WriteConflictError:
        if claim is None:
            return WriteConflictError(f"the claim of {reference.canonical} in namespace {namespace} comes and goes")
        left = claim.acquired_at + ABANDONED_AFTER - self._clock()
        return WriteConflictError(
            f"{claim.reference} is claimed by {namespace}/{claim.holder}, which is just being made or removed",
            retry_after=max(left, timedelta(seconds=1)),
        )


def _stands_for(image: CatalogImage, claim: Claim) -> bool:
    reference = Reference.try_parse(image.spec.registry_url)
    return reference is not None and reference.canonical == claim.reference
