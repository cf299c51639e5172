"""One publication, step by step: ask the registry, claim the image, write spec, then status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import structlog

from image_catalog.catalog.announcing import announce, replay
from image_catalog.catalog.budget import Urgency
from image_catalog.catalog.changes import find_change
from image_catalog.catalog.check_target import CheckTarget
from image_catalog.catalog.checker import Checker
from image_catalog.catalog.content import known_metadata
from image_catalog.catalog.exports import Exported
from image_catalog.catalog.inputs import verified_inputs
from image_catalog.catalog.lifecycle import settle, settled_phase, warned
from image_catalog.catalog.owed import OwedEvent, build_ref
from image_catalog.catalog.promotion import evidence_brought, exports_brought
from image_catalog.catalog.publication import read_publication
from image_catalog.catalog.publishing import (
    Checked,
    new_image,
    pin_of,
    refuse_stale,
    refuse_users_pin,
    updated_image,
)
from image_catalog.catalog.schedule import Schedule
from image_catalog.catalog.steps import StepLog
from image_catalog.catalog.verdict import Check, judge
from image_catalog.catalog.wishes import RefusedError, Wish, refuse_invalid
from image_catalog.cluster import CatalogImages, ClaimOutcome, Claims, EventRecorder
from image_catalog.context import Context
from image_catalog.errors import AlreadyExistsError, InvalidObjectError, InvalidReferenceError, WriteConflictError
from image_catalog.events import CatalogEvent, EventType, ReceivedEvent
from image_catalog.models import BuildManifestRef, CatalogImage, CatalogImageStatus, Change, Phase, Reference
from image_catalog.models.events import ChangeKind, ImagePublished, RejectionReason, StepStatus
from image_catalog_functions.publish.comparing import is_current, kind_of_change, stands_for
from image_catalog_functions.publish.exports import Exports
from image_catalog_functions.publish.found import Found
from image_catalog_functions.publish.recipes import Recipes

__all__ = ["Publisher"]

_log = structlog.get_logger(__name__)

_CHECK_TIMEOUT = timedelta(seconds=45)
"""Longest that the registry is asked: a delivery is given 60 s, and what was found must be written within it."""

_NAME_TRIES = 3
"""A default name can be taken while it is being claimed; then one more look gives another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Publishes wishes.

    Parameters
    ----------
    images
        Reads and writes entries.
    claims
        Makes sure that an image has one entry.
    checker
        Asks registries.
    exports
        Finds what builds left beside their images.
    recipes
        Keeps the manifests of builds.
    recorder
        Writes Kubernetes Events.
    schedule
        Decides when an entry is checked next.
    clock
        Tells the time.
    """

    images: CatalogImages
    claims: Claims
    checker: Checker
    exports: Exports
    recipes: Recipes
    recorder: EventRecorder
    schedule: Schedule
    clock: Callable[[], datetime]

    @classmethod
    def of(cls, context: Context) -> Self:
        """Make one of what a process works with."""
        return cls(
            images=context.images,
            claims=context.claims,
            checker=context.checker,
            exports=Exports(files=context.build_files, checker=context.checker),
            recipes=Recipes(config_maps=context.config_maps),
            recorder=context.recorder,
            schedule=context.schedule,
            clock=context.clock,
        )

    async def find(self, wish: Wish) -> Found | None:
        """Look up what the catalog has of a wish's image; `None` where its reference cannot be parsed."""
        try:
            reference = Reference.parse(wish.registry_url)
        except InvalidReferenceError:
            return None  # Refused once the build itself, and not an event about it, says so.
        return await self._find(wish, reference)

    async def publish(
        self, wish: Wish, *, found: Found | None = None, cause: ReceivedEvent[object], steps: StepLog
    ) -> list[CatalogEvent]:
        """Publish a wish.

        Parameters
        ----------
        wish
            What shall be published.
        found
            What was looked up a moment ago, if anything was.
        cause
            The event that is being handled.
        steps
            Filled with each step as it went, also when it ends in a refusal.

        Returns
        -------
        list of CatalogEvent
            What happened.

        Raises
        ------
        PermanentError
            Raised when the publication is refused.
        TransientError
            Raised when it cannot be decided now.
        """
        refuse_invalid(wish)
        if wish.build is not None:
            steps.add("ImageBuild status", "Completed")
        reference = Reference.parse(wish.registry_url)
        location = "Registry URL" if wish.build is None else "Registry location"
        steps.add(location, wish.registry_url)
        if (promoted := wish.promoted_from) is not None:
            steps.add("Promotion", f"{promoted.digest} from {promoted.namespace}/{promoted.name}")
        if found is None or not found.is_about(wish, reference):
            found = await self._find(wish, reference)
        done = found.written_by(cause)
        if done is None and wish.explicit:
            # What somebody asked for has been done, whatever a person made of the entry since.
            done = found.moved_since(cause)
        if done is not None:
            return await replay(*done, cause=cause, recorder=self.recorder, steps=steps.done)
        image = found.image
        if image is not None:
            refuse_stale(image, wish, cause=cause.id)
        elif not wish.explicit and found.was_removed_since(wish):
            return []
        check = await self._ask(wish, image, steps)
        checked = Checked(
            cause=cause.id,
            reference=reference,
            digest=check.inspection.resolved_digest if check and check.inspection else None,
            facts=self.checker.facts(check),
            kind=await self.checker.registry_type(reference),
            now=self.clock(),
            asked_at=check.at if check else None,
        )
        if image is not None:
            refuse_users_pin(image, checked.digest or wish.digest)
        exported, source = await self.exports.find(wish, steps) if check else None, None
        if (promoted := wish.promoted_from) is not None:
            source = await self.images.get(promoted.namespace, promoted.name)
            exported = exports_brought(source, promoted)
        image, change = await self._write_spec(wish, checked, image)
        steps.add("Catalog image", f"{image.subject} {change}")
        if check is None:
            # Nobody asked the registry, so nothing is known: the event of this write makes verify do it.
            return await self._announce_unasked(image, wish, change, cause, steps)
        check = replace(check, steps=tuple(steps.done))
        return await self._write_status(image, wish, check, change, exported=exported, source=source, cause=cause)

    async def _find(self, wish: Wish, reference: Reference) -> Found:
        claim = await self.claims.get(wish.namespace, reference)
        holder: CatalogImage | None = None
        if claim is not None:
            holder = await self.images.get(wish.namespace, claim.holder)
            if claim.tombstone is not None:
                return Found(wish.namespace, reference, None, claim, leaving=holder)
            if holder is not None and stands_for(holder, reference):
                return Found(wish.namespace, reference, holder, claim)
        # An entry made by hand has no claim until verify has seen it.
        selector = f"spec.registryUrl={wish.registry_url}"
        async for page in self.images.pages(wish.namespace, field_selector=selector):
            for image in page.images:
                if stands_for(image, reference):
                    return Found(wish.namespace, reference, image, claim, moved=holder)
        return Found(wish.namespace, reference, None, claim, moved=holder)

    async def _ask(self, wish: Wish, image: CatalogImage | None, steps: StepLog) -> Check | None:
        """Ask the registry; a refusal of its is a refusal of ours (FR-008)."""
        if not wish.ask_registry:
            steps.add("Registry accessibility", "not asked for", StepStatus.SKIPPED)
            return None
        deep = wish.verify_blobs if wish.verify_blobs is not None else image is not None and image.spec.verify_blobs
        target = CheckTarget(
            registry_url=wish.registry_url,
            namespace=wish.namespace,
            auth_secret_ref=wish.auth_secret_ref or (image.spec.auth_secret_ref if image else None),
            pin=wish.digest,
            known=known_metadata(image.status) if image else None,
            deep=deep,
            referrers=True,
            limit=_CHECK_TIMEOUT,
        )
        async with self.checker.place(wish.registry_url, Urgency.ASKED):
            check = await self.checker.check(target)
        steps.extend(check.steps)
        if check.error is not None:
            raise check.error
        if check.tag_moved and wish.promoted_from is not None:
            # What is promoted is a content, whatever its tag has come to have since.
            if check.inspection is None:
                message = f"{wish.digest} is gone from {wish.registry_url}; promote what is there"
                raise RefusedError(RejectionReason.IMAGE_NOT_FOUND, message)
        elif check.tag_moved:
            raise RefusedError(
                RejectionReason.DIGEST_MISMATCH,
                f"digest: {wish.registry_url} has {check.tag_digest}, not {wish.digest}; ask for what is there",
            )
        if deep and check.inspection is not None and check.inspection.missing:
            raise RefusedError(
                RejectionReason.BLOB_MISSING,
                f"{', '.join(check.inspection.missing)} of {wish.registry_url} is missing; push the image again",
            )
        return check

    async def _write_spec(
        self, wish: Wish, checked: Checked, image: CatalogImage | None
    ) -> tuple[CatalogImage, ChangeKind]:
        """Create the entry, or bring it up to date."""
        if image is None:
            image, created = await self._claim_and_create(wish, checked)
            if created:
                return image, ChangeKind.CREATED
        else:
            # An entry without a claim gets one; another publisher's claim means that it stands for the image itself.
            await self.claims.secure(wish.namespace, checked.reference, image.metadata.name)
        if image.metadata.deletion_timestamp is not None:
            raise WriteConflictError(f"{image.subject} is being deleted; the publication waits until it is gone")
        before = image
        after = await self.images.apply_metadata(
            image.metadata.namespace,
            image.metadata.name,
            lambda fresh: updated_image(fresh, wish, checked),
            start=image,
        )
        if after is None:
            raise WriteConflictError(f"{image.subject} was deleted while it was published")
        return after, kind_of_change(before, after, checked)

    async def _claim_and_create(self, wish: Wish, checked: Checked) -> tuple[CatalogImage, bool]:
        for _ in range(_NAME_TRIES):
            name = await self._free_name(wish, checked.reference)
            result = await self.claims.secure(wish.namespace, checked.reference, name, making=True)
            if result.outcome is ClaimOutcome.HELD:
                held = await self.images.get(wish.namespace, result.claim.holder)
                if held is not None:
                    return held, False
                continue
            claim = result.claim
            if result.outcome is ClaimOutcome.REMOVED:
                claim = await self.claims.revive(claim, name)
            name = claim.holder
            try:
                made = await self.images.create(new_image(wish, checked, name=name))
            except AlreadyExistsError:
                existing = await self.images.get(wish.namespace, name)
                if existing is not None and stands_for(existing, checked.reference):
                    return existing, False
                # Another image's entry took the name since it was looked at: hand our claim to the next name.
                taken = await self.claims.get(wish.namespace, checked.reference)
                if taken is not None and taken.holder == name:
                    await self.claims.revive(taken, await self._free_name(wish, checked.reference))
            else:
                # What was made beside another entry stays without a status, and verify says what it is.
                await self.claims.confirm(claim)
                return made, True
        raise WriteConflictError(f"names for {checked.reference.canonical} are taken as fast as they are found")

    async def _free_name(self, wish: Wish, reference: Reference) -> str:
        name = wish.name or wish.default_name
        other = await self.images.get(wish.namespace, name)
        if other is None or stands_for(other, reference):
            return name
        if wish.name is not None:
            raise RefusedError(
                RejectionReason.NAME_TAKEN,
                f"the name {name} is taken in namespace {wish.namespace} by {other.spec.registry_url}; choose another",
                existing=(other.metadata.namespace, other.metadata.name),
            )
        return f"{name[:244]}-{reference.identity_hash[:8]}"

    async def _write_status(
        self,
        image: CatalogImage,
        wish: Wish,
        check: Check,
        change: ChangeKind,
        *,
        exported: Exported | None,
        source: CatalogImage | None,
        cause: ReceivedEvent[object],
    ) -> list[CatalogEvent]:
        recipe = await self.recipes.keep(wish, image)
        inputs = verified_inputs(image.spec)
        check = replace(check, pin=pin_of(image), tag_digest=pin_of(image))
        owed: tuple[OwedEvent, ...] = ()
        done: Change | None = None

        def decide(fresh: CatalogImage) -> CatalogImageStatus | None:
            nonlocal owed, done
            done = find_change(fresh.status, cause.id)
            if done is not None and done.events:
                return None  # Another delivery of this event was faster; what it owes is owed by this one, too.
            if verified_inputs(fresh.spec) != inputs:
                raise WriteConflictError(f"{fresh.subject} was edited while it was published")
            told = fresh.status if exported is None else exported.added_to(fresh.status, same_build=True)
            if change is ChangeKind.UNCHANGED and is_current(fresh, check) and told is fresh.status:
                owed = (_published(fresh, change, warned(check, fresh), wish, cause.actor),)
                return None
            if wish.promoted_from is not None:
                fresh = evidence_brought(fresh, source, wish.promoted_from)
            verdict = judge(fresh.spec, check, was_available=settled_phase(fresh.status) is Phase.AVAILABLE)
            transition = settle(
                fresh,
                check,
                verdict,
                cause=cause,
                schedule=self.schedule,
                pace=self.checker.pace(fresh.spec.registry_url),
                publication=read_publication(fresh),
                change=change,
            )
            owed, status = transition.events, transition.status
            if exported is not None:
                status = exported.added_to(status, same_build=fresh.status.source_image_build == wish.build)
            return status if recipe is None else _with_recipe(status, recipe)

        async def write() -> CatalogImage | None:
            return await self.images.apply_status(image.metadata.namespace, image.metadata.name, decide, start=image)

        try:
            written = await write()
        except InvalidObjectError as e:
            check = check.unkept(e)
            written = await write()
        if written is None:
            raise WriteConflictError(f"{image.subject} was deleted while it was published")
        if done is not None and done.events:
            return await replay(written, done, cause=cause, recorder=self.recorder, steps=check.steps)
        _log.info("published", image=written.subject, change=change, digest=written.spec.digest)
        return await announce(written, owed, before=image, cause=cause, recorder=self.recorder)

    async def _announce_unasked(
        self, image: CatalogImage, wish: Wish, change: ChangeKind, cause: ReceivedEvent[object], steps: StepLog
    ) -> list[CatalogEvent]:
        check = Check(at=self.clock(), steps=tuple(steps.done))
        owed = [_published(image, change, check, wish, cause.actor)]
        return await announce(image, owed, before=image, cause=cause, recorder=self.recorder)


def _published(image: CatalogImage, change: ChangeKind, check: Check, wish: Wish, actor: str) -> OwedEvent:
    registry = image.status.registry_metadata
    data = ImagePublished(
        name=image.metadata.name,
        namespace=image.metadata.namespace,
        registry_url=image.spec.registry_url,
        actor=actor,
        change=change,
        digest=registry.resolved_digest if registry else image.spec.digest,
        source_image_build=build_ref(wish.build),
        steps=list(check.steps),
    )
    return OwedEvent(EventType.IMAGE_PUBLISHED, data)


def _with_recipe(status: CatalogImageStatus, recipe: BuildManifestRef) -> CatalogImageStatus:
    return status.model_copy(update={"build_manifest_ref": recipe})
