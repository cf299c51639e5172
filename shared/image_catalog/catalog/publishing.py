"""What a publication does to an entry: decisions over an entry and a wish, without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from image_catalog.catalog.held import Held, is_overridden
from image_catalog.catalog.labels import changed_labels, wanted_labels
from image_catalog.catalog.metadata import RegistryFacts, merge_metadata, published_metadata
from image_catalog.catalog.publication import Publication, read_publication
from image_catalog.catalog.wishes import RefusedError, Wish
from image_catalog.errors import WriteConflictError
from image_catalog.models import (
    CatalogImage,
    CatalogImageSpec,
    CatalogMetadata,
    DriftPolicy,
    ObjectMeta,
    Promotion,
    Reference,
    RegistryType,
    SourceImageBuild,
)
from image_catalog.models.events import RejectionReason
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, FINALIZER, PINNED_BY_PUBLISH
from image_catalog.tracing import current_traceparent

__all__ = [
    "Checked",
    "is_recorded",
    "new_image",
    "owned_annotations",
    "pin_of",
    "refuse_stale",
    "refuse_users_pin",
    "updated_image",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is known of a wish once its registry was asked.

    Attributes
    ----------
    cause
        Id of the event that is being handled.
    reference
        The reference, parsed.
    digest
        The content that the registry has; `None` when it was not asked.
    facts
        What the registry says about it.
    kind
        What a CatalogRegistry says about the host.
    now
        Time of the write.
    asked_at
        When the registry was asked; `None` when it was not.
    """

    cause: str
    reference: Reference
    digest: str | None
    facts: RegistryFacts
    kind: RegistryType | None
    now: datetime
    asked_at: datetime | None = None


def is_recorded(image: CatalogImage, build: SourceImageBuild) -> bool:
    """Return whether an entry's current version, or one before, came from this very run of a build."""
    sources = [image.status.source_image_build, *(version.source_image_build for version in image.status.history)]
    return any(s and s.uid == build.uid and s.completion_time == build.completion_time for s in sources)


def refuse_stale(image: CatalogImage, wish: Wish, *, cause: str, digest: str | None = None) -> None:
    """Refuse what is older than what the entry has, so that a late event never takes it back.

    Parameters
    ----------
    image
        The entry.
    wish
        What shall be published.
    cause
        Id of the event that is being handled. The entry that a wish made itself,
        before its function died or its caller's connection broke, is not in its way.
    digest
        What the registry has; `None` when it was not asked yet. A request
        without a build that asks for what the entry has is late but right.

    Raises
    ------
    RefusedError
        ``AlreadyExists`` when the wish was for a new entry only,
        ``OlderThanCurrent`` when a later publication was applied already.
    """
    last, source = read_publication(image), image.status.source_image_build
    existing = (image.metadata.namespace, image.metadata.name)
    if wish.must_be_new and (last is None or last.cause != cause):
        message = f"the entry {image.subject} stands for {wish.registry_url} already"
        raise RefusedError(RejectionReason.ALREADY_EXISTS, message, existing=existing)
    current = last.time if last else source.completion_time if source else None
    registry = image.status.registry_metadata
    has = {image.spec.digest, registry.resolved_digest if registry else None}
    takes_back = wish.build is not None or (digest is not None and digest not in has)
    if current is not None and wish.time < current and takes_back:
        raise RefusedError(
            RejectionReason.OLDER_THAN_CURRENT,
            f"the entry {image.subject} has a version of {current:%Y-%m-%dT%H:%M:%SZ}, "
            f"this one is of {wish.time:%Y-%m-%dT%H:%M:%SZ}",
            existing=existing,
        )


def pin_of(image: CatalogImage) -> str | None:
    """Return the content that an entry is pinned to, in its spec or by its reference."""
    if image.spec.digest is not None:
        return image.spec.digest
    reference = Reference.try_parse(image.spec.registry_url)
    return reference.digest if reference else None


def owned_annotations(image: CatalogImage) -> dict[str, str]:
    """Return an entry's annotations, without the mark that its pin is the functions' where a person has typed another.

    ``kubectl edit`` leaves the mark behind, and with it the next publication
    would move what a person has pinned.
    """
    annotations, last = dict(image.metadata.annotations), read_publication(image)
    if (last is not None and last.digest is None) or image.spec.drift_policy is DriftPolicy.FOLLOW:
        # Where the registry was not asked nobody knows what was pinned; and what follows its tag is nobody's pin.
        return annotations
    if image.spec.digest not in {last.digest if last else None, _seen_since(image, last)}:
        annotations.pop(ANNOTATION_DIGEST_PINNED_BY, None)
    return annotations


def _seen_since(image: CatalogImage, last: Publication | None) -> str | None:
    """Return the content that was last seen, unless before the publication: who made that died before the status."""
    registry, checked = image.status.registry_metadata, image.status.last_verification_time
    if registry is None or (last is not None and (checked is None or checked < last.applied_at)):
        return None
    return registry.resolved_digest


def refuse_users_pin(image: CatalogImage, digest: str | None) -> None:
    """Refuse to move a pin that a person typed, unless the entry is to follow its tag wherever it goes.

    Raises
    ------
    RefusedError
        ``PinnedByUser`` when the entry is pinned to another digest.
    """
    # Not the annotation as it stands: of a pin that was typed a moment ago nobody has taken the mark away yet.
    ours = owned_annotations(image).get(ANNOTATION_DIGEST_PINNED_BY) == PINNED_BY_PUBLISH
    pin = pin_of(image)
    follows = image.spec.drift_policy is DriftPolicy.FOLLOW
    if pin is not None and not ours and not follows and digest not in {None, pin}:
        raise RefusedError(
            RejectionReason.PINNED_BY_USER,
            f"the entry {image.subject} is pinned to {pin} by a person; to publish {digest} change or remove its pin",
            existing=(image.metadata.namespace, image.metadata.name),
        )


def new_image(wish: Wish, checked: Checked, *, name: str) -> CatalogImage:
    """Return the entry that a wish makes."""
    published = published_metadata(wish.metadata, checked.facts)
    metadata = merge_metadata(None, published, last={})
    digest = wish.digest or checked.digest
    spec: dict[str, Any] = {
        "registryUrl": wish.registry_url,
        "digest": digest,
        "tags": list(wish.tags),
        "authSecretRef": wish.auth_secret_ref,
        "metadata": metadata,
    }
    if wish.verification_interval is not None:
        spec["verificationInterval"] = wish.verification_interval
    if wish.verify_blobs is not None:
        spec["verifyBlobs"] = wish.verify_blobs
    if wish.drift_policy is not None:
        spec["driftPolicy"] = wish.drift_policy
    # Ours to move, also where the requester named it: who publishes each night names another digest each night.
    pinned = {ANNOTATION_DIGEST_PINNED_BY: PINNED_BY_PUBLISH} if digest else {}
    return CatalogImage(
        metadata=ObjectMeta(
            name=name,
            namespace=wish.namespace,
            labels={**wish.labels, **_labels(wish, checked, metadata)},
            annotations=pinned | _publication(wish, checked, published, time=wish.time).to_annotation(),
            finalizers=[FINALIZER],
        ),
        spec=CatalogImageSpec.model_validate(spec),
    )


def updated_image(image: CatalogImage, wish: Wish, checked: Checked) -> CatalogImage | None:
    """Return the entry as a wish leaves it; `None` when it asks for nothing new.

    Raises
    ------
    RefusedError
        As `refuse_stale` and `refuse_users_pin` say: the entry is as fresh as
        the write, so it is judged again here.
    WriteConflictError
        Raised when a check has seen other content since the registry was asked.
    """
    digest = checked.digest or wish.digest
    _refuse_outdated(image, checked)
    refuse_stale(image, wish, cause=checked.cause, digest=digest)
    refuse_users_pin(image, digest)
    last = read_publication(image)
    published = published_metadata(wish.metadata, checked.facts)
    metadata = merge_metadata(image.spec.metadata, published, last=last.metadata if last else {})
    update: dict[str, Any] = {
        "tags": [*image.spec.tags, *(tag for tag in wish.tags if tag not in image.spec.tags)],
        "metadata": CatalogMetadata.model_validate(metadata),
    }
    annotations = dict(image.metadata.annotations)
    if digest is not None and pin_of(image) != digest:
        update["digest"] = digest
        annotations[ANNOTATION_DIGEST_PINNED_BY] = PINNED_BY_PUBLISH
        if "@" in image.spec.registry_url:
            # It names the old content; the API server wants the two to agree.
            update["registry_url"] = wish.registry_url
    known = image.spec.auth_secret_ref
    if wish.auth_secret_ref is not None and (
        wish.explicit or known is None or (last and known == last.auth_secret_ref)
    ):
        update["auth_secret_ref"] = wish.auth_secret_ref
    if wish.verification_interval is not None:
        update["verification_interval"] = wish.verification_interval
    if wish.verify_blobs is not None:
        update["verify_blobs"] = wish.verify_blobs
    if wish.drift_policy is not None:
        update["drift_policy"] = wish.drift_policy
    spec = image.spec.model_copy(update=update)
    labels = changed_labels(image, {**wish.labels, **_labels(wish, checked, metadata, image)})
    new_source = wish.build is not None and not is_recorded(image, wish.build)
    new_source = new_source or not _is_told(image, wish.promoted_from)
    if spec == image.spec and labels == image.metadata.labels and not new_source:
        return None
    # A request may come late and ask for what is there: that makes nothing older, or an older build would pass for new.
    time = max(wish.time, last.time) if last else wish.time
    annotations |= _publication(wish, checked, published, time=time).to_annotation()
    finalizers = [*image.metadata.finalizers, *([] if FINALIZER in image.metadata.finalizers else [FINALIZER])]
    meta = image.metadata.model_copy(update={"labels": labels, "annotations": annotations, "finalizers": finalizers})
    return image.model_copy(update={"metadata": meta, "spec": spec})


def _refuse_outdated(image: CatalogImage, checked: Checked) -> None:
    """Refuse to write what the registry said before a check that has seen something else since."""
    registry, drift, since = image.status.registry_metadata, image.status.drift, image.status.last_verification_time
    if registry is None or since is None or checked.asked_at is None or checked.digest is None:
        return
    seen = drift.tag_digest if drift is not None else registry.resolved_digest
    # Stored times have no fractions of a second.
    if seen != checked.digest and checked.asked_at.replace(microsecond=0) < since:
        raise WriteConflictError(f"{image.subject} was checked while its registry was asked, and has {seen} since")


def _is_told(image: CatalogImage, promotion: Promotion | None) -> bool:
    """Return whether an entry says where its content was promoted from; who promoted it again is no news."""
    if promotion is None:
        return True
    last = read_publication(image)
    for known in (image.status.promoted_from, last.promoted_from if last else None):
        if known is not None and known.model_copy(update=_WHO) == promotion.model_copy(update=_WHO):
            return True
    return False


_WHO: dict[str, Any] = {"promoted_by": "", "promoted_at": None}
"""What differs between two promotions of one content from one entry."""


def _publication(wish: Wish, checked: Checked, published: dict[str, Any], *, time: datetime) -> Publication:
    return Publication(
        cause=checked.cause,
        time=time,
        applied_at=checked.now,
        digest=checked.digest,
        build=wish.build,
        promoted_from=wish.promoted_from,
        auth_secret_ref=wish.auth_secret_ref,
        metadata=published,
        traceparent=current_traceparent(),
    )


def _labels(
    wish: Wish, checked: Checked, metadata: dict[str, Any], image: CatalogImage | None = None
) -> dict[str, str]:
    """Return the labels by what holds true as of this publication, so that no check needs to mend them."""
    facts, known = checked.facts, image.status.registry_metadata if image else None
    if image is not None and known is not None and checked.digest in {None, known.resolved_digest}:
        # Of content that has not changed a check brings nothing new to light.
        facts = RegistryFacts.of(image)
    held = Held.of(metadata, facts, overridden=image is not None and is_overridden(image))
    return wanted_labels(checked.reference, held, kind=checked.kind, origin=wish.origin)
