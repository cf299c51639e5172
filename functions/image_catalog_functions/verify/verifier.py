"""One check of one entry: claim, ask, decide, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from image_catalog.catalog.budget import Urgency
from image_catalog.catalog.changes import find_change
from image_catalog.catalog.check_target import CheckTarget
from image_catalog.catalog.checker import Checker
from image_catalog.catalog.content import are_referrers_due, known_metadata
from image_catalog.catalog.held import Held
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.labels import Origin, SourceType, changed_labels, wanted_labels
from image_catalog.catalog.lifecycle import begin_check, is_outdated, observe, postpone, settle, settled_phase
from image_catalog.catalog.owed import OwedEvent
from image_catalog.catalog.publication import read_publication
from image_catalog.catalog.publishing import owned_annotations
from image_catalog.catalog.schedule import Schedule
from image_catalog.catalog.verdict import Check, Verdict, duplicate_verdict, judge
from image_catalog.cluster import CatalogImages, ClaimOutcome, Claims
from image_catalog.errors import InvalidObjectError, RegistryBusyError
from image_catalog.events import ReceivedEvent
from image_catalog.models import CatalogImage, CatalogImageStatus, DriftPolicy, Phase, Reference, RegistryType
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, FINALIZER, LABEL_SOURCE_TYPE, PINNED_BY_PUBLISH
from image_catalog_functions.verify.metrics import count_verification

__all__ = ["InputsChangedError", "Verifier"]

_log = structlog.get_logger(__name__)


class InputsChangedError(Exception):
    """While a check was under way what it depends on was edited, or another one has ended first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Checks entries and writes what it found.

    Parameters
    ----------
    images
        Reads and writes entries.
    claims
        Makes sure that an image has one entry.
    checker
        Asks registries.
    schedule
        Decides when an entry is checked next.
    clock
        Tells the time.
    """

    images: CatalogImages
    claims: Claims
    checker: Checker
    schedule: Schedule
    clock: Callable[[], datetime]

    async def keep_books(self, image: CatalogImage) -> CatalogImage:
        """Bring generation, labels and finalizer up to date, without asking a registry.

        Returns
        -------
        CatalogImage
            The entry as written; as given when it is gone.
        """
        described = await self._describe(image)
        if described is None:
            return image
        return await self._write_status(described, self._observe) or image

    async def postpone(self, image: CatalogImage, busy: RegistryBusyError, *, pushed: bool) -> None:
        """Leave a check that nobody waits for to a tick, when its registry may be asked again.

        Parameters
        ----------
        image
            The entry.
        busy
            Why it could not be made.
        pushed
            Whether the registry has told of new content.

        Raises
        ------
        TransientError
            Raised when the API server is in trouble that passes.
        """

        def change(fresh: CatalogImage) -> CatalogImageStatus | None:
            wait = busy.retry_after or timedelta()
            return postpone(fresh, why=busy.message, retry_after=wait, pushed=pushed, now=self.clock())

        await self._write_status(image, change)

    async def verify(
        self, image: CatalogImage, *, cause: ReceivedEvent[object], urgency: Urgency, deep: bool
    ) -> tuple[CatalogImage | None, tuple[OwedEvent, ...]]:
        """Check an entry.

        Parameters
        ----------
        image
            The entry, just read.
        cause
            The event that is being handled.
        urgency
            Who wants it; `Urgency.ASKED` where somebody waits for the outcome.
        deep
            Whether every blob is asked for, also where the spec does not say so.

        Returns
        -------
        tuple
            The entry as written (`None` when it is gone), and the events that it owes.

        Raises
        ------
        InputsChangedError
            Raised when what was checked is no longer what the entry asks for.
        RegistryBusyError
            Raised when the registry is slow and has all that it may have of
            this process, or its limit is used up for now; nothing was written.
        TransientError
            Raised when the API server is in trouble that passes.
        """
        # Before anything is written: else an entry would be Verifying for as long as its registry is slow.
        known = known_metadata(image.status) is not None and not (deep or image.spec.verify_blobs)
        async with self.checker.place(image.spec.registry_url, urgency, known=known):
            return await self._verify(image, cause=cause, manual=urgency is Urgency.ASKED, deep=deep)

    async def _verify(
        self, image: CatalogImage, *, cause: ReceivedEvent[object], manual: bool, deep: bool
    ) -> tuple[CatalogImage | None, tuple[OwedEvent, ...]]:
        phase = settled_phase(image.status)
        inputs = verified_inputs(image.spec)
        if phase is not Phase.AVAILABLE or image.status.verified_inputs != inputs or manual:
            # An Available entry keeps its claim, and stays Available while it is looked at: hourly checks hide nothing.
            holder = await self._other_holder(image)
            if holder is not None:
                check, verdict = Check(at=self.clock()), duplicate_verdict(holder)
                return await self._settle(image, check, verdict, inputs=inputs, cause=cause, manual=manual)
            if await self.checker.postponement(image.spec.registry_url) is None:
                # Of a registry that is not asked the answer is known: its entries need not go through Verifying.
                begun = await self._write_status(image, lambda fresh: self._begin(fresh, inputs, cause.id))
                if begun is None:
                    return None, ()
                image = begun
        described = await self._describe(image)
        if described is None:
            return None, ()
        image = described
        check = await self.checker.check(
            CheckTarget(
                registry_url=image.spec.registry_url,
                namespace=image.metadata.namespace,
                auth_secret_ref=image.spec.auth_secret_ref,
                pin=image.spec.digest,
                follow=image.spec.drift_policy is DriftPolicy.FOLLOW,
                known=known_metadata(image.status),
                deep=deep or image.spec.verify_blobs,
                referrers=manual or are_referrers_due(image.status, now=self.clock()),
            )
        )
        if check.error is None and check.tag_moved and image.spec.drift_policy is DriftPolicy.FOLLOW:
            moved = await self._move_pin(image, check.tag_digest or "", inputs)
            if moved is None:
                return None, ()
            image, check = moved, check.moved()
            inputs = verified_inputs(image.spec)
        verdict = judge(image.spec, check, was_available=phase is Phase.AVAILABLE)
        return await self._settle(image, check, verdict, inputs=inputs, cause=cause, manual=manual)

    async def _settle(
        self,
        image: CatalogImage,
        check: Check,
        verdict: Verdict,
        *,
        inputs: str,
        cause: ReceivedEvent[object],
        manual: bool,
    ) -> tuple[CatalogImage | None, tuple[OwedEvent, ...]]:
        owed: tuple[OwedEvent, ...] = ()

        def decide(fresh: CatalogImage) -> CatalogImageStatus | None:
            nonlocal owed
            if verified_inputs(fresh.spec) != inputs or is_outdated(check, start=image.status, fresh=fresh.status):
                raise InputsChangedError
            done = find_change(fresh.status, cause.id)
            if done is not None and done.events:
                raise InputsChangedError  # Another delivery of this event was faster; what it owes is owed again.
            transition = settle(
                fresh,
                check,
                verdict,
                cause=cause,
                schedule=self.schedule,
                pace=self.checker.pace(fresh.spec.registry_url),
                publication=read_publication(fresh),
                manual=manual,
                start=image.status,
            )
            owed = transition.events
            return transition.status

        try:
            written = await self._write_status(image, decide)
        except InvalidObjectError as e:
            if check.inspection is None:
                raise
            check = check.unkept(e)
            verdict = judge(image.spec, check, was_available=settled_phase(image.status) is Phase.AVAILABLE)
            written = await self._write_status(image, decide)
        if written is None:
            return None, ()
        count_verification(image.spec.registry_url, verdict.phase, verdict.reason)
        _log.info("verified", image=written.subject, phase=verdict.phase, reason=verdict.reason)
        # The registry's word may have changed what the entry is found by.
        return await self._describe(written) or written, owed

    async def _other_holder(self, image: CatalogImage) -> str | None:
        """Claim the image for the entry; return the name of another living entry that has it."""
        reference = _reference(image)
        if reference is None:
            return None
        result = await self.claims.secure(image.metadata.namespace, reference, image.metadata.name)
        if result.outcome is ClaimOutcome.HELD:
            return result.claim.holder
        if result.outcome is ClaimOutcome.REMOVED:
            # Made by hand after a removal: a person asked for it again.
            await self.claims.revive(result.claim, image.metadata.name)
        return None

    async def _describe(self, image: CatalogImage) -> CatalogImage | None:
        """Set finalizer, labels and whose the pin is; an entry of which that is right costs no write."""
        reference = _reference(image)
        kind = await self.checker.registry_type(reference) if reference else None

        def change(fresh: CatalogImage) -> CatalogImage | None:
            meta = fresh.metadata
            if meta.deletion_timestamp is not None:
                return None
            labels = _labels(fresh, kind)
            finalizers = meta.finalizers if FINALIZER in meta.finalizers else [*meta.finalizers, FINALIZER]
            annotations = owned_annotations(fresh)
            if (labels, finalizers, annotations) == (meta.labels, meta.finalizers, meta.annotations):
                return None
            update = {"labels": labels, "finalizers": finalizers, "annotations": annotations}
            described = meta.model_copy(update=update)
            return fresh.model_copy(update={"metadata": described})

        return await self.images.apply_metadata(image.metadata.namespace, image.metadata.name, change, start=image)

    async def _move_pin(self, image: CatalogImage, digest: str, inputs: str) -> CatalogImage | None:
        def change(fresh: CatalogImage) -> CatalogImage:
            if verified_inputs(fresh.spec) != inputs:
                raise InputsChangedError
            annotations = {**fresh.metadata.annotations, ANNOTATION_DIGEST_PINNED_BY: PINNED_BY_PUBLISH}
            # A digest in the reference is the old one; the API server wants the two to agree.
            url = fresh.spec.registry_url.partition("@")[0]
            return fresh.model_copy(
                update={
                    "metadata": fresh.metadata.model_copy(update={"annotations": annotations}),
                    "spec": fresh.spec.model_copy(update={"digest": digest, "registry_url": url}),
                }
            )

        return await self.images.apply_metadata(image.metadata.namespace, image.metadata.name, change, start=image)

    def _observe(self, fresh: CatalogImage) -> CatalogImageStatus | None:
        pace = self.checker.pace(fresh.spec.registry_url)
        return observe(fresh, schedule=self.schedule, now=self.clock(), pace=pace)

    def _begin(self, fresh: CatalogImage, inputs: str, cause: str) -> CatalogImageStatus:
        if verified_inputs(fresh.spec) != inputs:
            raise InputsChangedError
        done = find_change(fresh.status, cause)
        if done is not None and done.events:
            raise InputsChangedError  # As in _settle: to begin anew would forget what is owed.
        return begin_check(fresh, cause, now=self.clock())

    async def _write_status(
        self, image: CatalogImage, change: Callable[[CatalogImage], CatalogImageStatus | None]
    ) -> CatalogImage | None:
        return await self.images.apply_status(image.metadata.namespace, image.metadata.name, change, start=image)


def _labels(image: CatalogImage, kind: RegistryType | None) -> dict[str, str]:
    reference = _reference(image)
    if reference is None:
        return image.metadata.labels
    # What no publication has labelled was made by hand.
    origin = None if LABEL_SOURCE_TYPE in image.metadata.labels else Origin(SourceType.EXTERNAL)
    return changed_labels(image, wanted_labels(reference, Held.of_image(image), kind=kind, origin=origin))


def _reference(image: CatalogImage) -> Reference | None:
    """Return the reference of an entry; `None` for one that only looks like it, which the check says."""
    return Reference.try_parse(image.spec.registry_url)
