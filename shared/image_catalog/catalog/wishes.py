"""What shall be published: one form for builds and for requests from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from image_catalog.catalog.labels import Origin, SourceType
from image_catalog.catalog.metadata import build_metadata
from image_catalog.config import PublishPolicy
from image_catalog.errors import PermanentError
from image_catalog.models import (
    AuthSecretRef,
    BuildExports,
    BuildManifest,
    DriftPolicy,
    ImageBuild,
    Promotion,
    PromotionStage,
    Reference,
    SourceImageBuild,
)
from image_catalog.models.events import UNAUTHENTICATED, PublishRequest, RejectionReason
from image_catalog.models.names import ANNOTATION_CATALOG_NAME, ANNOTATION_PUBLISH, GROUP

__all__ = [
    "RefusedError",
    "Wish",
    "is_published_by_itself",
    "refuse_invalid",
    "source_of",
    "wish_of_build",
    "wish_of_request",
]

_MAX_NAME = 253
_MAX_LABEL = 63
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


class RefusedError(PermanentError):
    """A publication is refused, and the same one will be refused again.

    Parameters
    ----------
    reason
        Why, from the closed set.
    message
        Why, as a sentence for people, with the remedy.
    existing
        Namespace and name of the entry that is in the way, where there is one.
    """

    def __init__(self, reason: RejectionReason, message: str, *, existing: tuple[str, str] | None = None) -> None:
        super().__init__(message)
        self.existing = existing
        self.reason: RejectionReason = reason  # type: ignore[misc]  # the refusals differ in reason alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A publication that somebody, or a build, asks for.

    Attributes
    ----------
    namespace
        Namespace of the entry.
    name
        Name that was asked for; `None` leaves it to `default_name`.
    default_name
        Name where none was asked for; another is made when it is taken.
    registry_url
        Reference of the image, as it was given.
    time
        What publications of one image are ordered by.
    explicit
        Whether somebody asked for just this; such a wish brings back what a
        person removed.
    """

    namespace: str
    name: str | None
    default_name: str
    registry_url: str
    time: datetime
    origin: Origin
    explicit: bool
    digest: str | None = None
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    auth_secret_ref: AuthSecretRef | None = None
    verification_interval: str | None = None
    verify_blobs: bool | None = None
    drift_policy: DriftPolicy | None = None
    build: SourceImageBuild | None = None
    promoted_from: Promotion | None = None
    manifest: BuildManifest | None = None
    exports: BuildExports | None = None
    must_be_new: bool = False
    ask_registry: bool = True


def is_published_by_itself(build: ImageBuild, policy: PublishPolicy) -> bool:
    """Tell whether a build becomes an entry without anybody asking for it.

    Parameters
    ----------
    build
        The build.
    policy
        Which builds do: every one that does not say ``"false"``, or only those that say ``"true"``.
    """
    if not build.is_completed or build.published_reference is None or build.metadata.deletion_timestamp is not None:
        return False
    said = build.metadata.annotations.get(ANNOTATION_PUBLISH, "").lower()
    return said == "true" if policy is PublishPolicy.ANNOTATED else said != "false"


def source_of(build: ImageBuild) -> SourceImageBuild:
    """Return what an entry keeps of a build."""
    meta = build.metadata
    return SourceImageBuild(
        name=meta.name, namespace=meta.namespace, uid=meta.uid, completion_time=build.completion_time
    )


def wish_of_build(build: ImageBuild, *, now: datetime) -> Wish:
    """Return the publication that a completed build stands for.

    Parameters
    ----------
    build
        The build, in either shape.
    now
        Orders a build that names no time of its own, or one that has not come
        yet: it would shut out everything that is published until then.

    Raises
    ------
    RefusedError
        Raised if the build is not completed, pushed its image nowhere, or
        names a Secret that cannot be.
    """
    if not build.is_completed:
        phase = build.status.phase or "Pending"
        raise RefusedError(
            RejectionReason.BUILD_NOT_COMPLETED,
            f"ImageBuild {build.subject} is {phase}; it is published once Completed",
        )
    url = build.published_reference
    if url is None:
        raise RefusedError(
            RejectionReason.NO_REGISTRY_LOCATION,
            f"ImageBuild {build.subject} pushed no image: set spec.export.container or spec.export.disk.oci",
        )
    secret = build.push_secret
    if secret is not None and not _is_name(secret):
        raise RefusedError(
            RejectionReason.INVALID,
            f"ImageBuild {build.subject} names the Secret {secret[:64]!r}, which cannot be the name of one",
        )
    schedule = build.schedule
    return Wish(
        namespace=build.metadata.namespace,
        name=build.metadata.annotations.get(ANNOTATION_CATALOG_NAME),
        default_name=build.metadata.name,
        registry_url=url,
        time=min(build.completion_time or build.metadata.creation_timestamp or now, now),
        origin=Origin(SourceType.SCHEDULED if schedule else SourceType.IMAGE_BUILD, schedule),
        explicit=False,
        metadata=build_metadata(build),
        auth_secret_ref=AuthSecretRef(name=secret) if secret else None,
        build=source_of(build),
        manifest=build.manifest,
        exports=build.exports,
    )


def wish_of_request(
    request: PublishRequest, *, build: ImageBuild | None, default_namespace: str, now: datetime
) -> Wish:
    """Return the publication that a request from outside asks for.

    Parameters
    ----------
    request
        The request.
    build
        The build that it names, where it names one.
    default_namespace
        Namespace of an entry for which nobody says one.
    now
        When the request was made.

    Raises
    ------
    RefusedError
        Raised if it asks for labels that are the catalog's own, or as
        `wish_of_build` says.
    """
    reserved = sorted(key for key in request.labels if key.split("/")[0].endswith(GROUP))
    if reserved:
        raise RefusedError(
            RejectionReason.INVALID,
            f"labels: {reserved[0]} is kept by the catalog itself; choose a name outside {GROUP}",
        )
    given = request.metadata.model_dump(mode="json", by_alias=True, exclude_unset=True) if request.metadata else {}
    if build is not None:
        base = wish_of_build(build, now=now)
        namespace = request.namespace or base.namespace
        # A Secret is named without a namespace by the build that lives beside it.
        secret = base.auth_secret_ref
        if secret and namespace != base.namespace:
            secret = AuthSecretRef(name=secret.name, namespace=base.namespace)
        url, default_name, time, origin = base.registry_url, base.default_name, base.time, base.origin
        name, metadata = request.name or base.name, {**base.metadata, **given}
    else:
        namespace = request.namespace or default_namespace
        url = request.registry_url or ""
        default_name, time, origin = _name_of(url), now, Origin(SourceType.EXTERNAL)
        name, metadata, secret = request.name, given, None
    return Wish(
        namespace=namespace,
        name=name,
        default_name=default_name,
        registry_url=url,
        time=time,
        origin=origin,
        explicit=True,
        digest=request.digest,
        tags=tuple(dict.fromkeys(request.tags)),
        labels=request.labels,
        metadata=metadata,
        auth_secret_ref=request.auth_secret_ref or secret,
        verification_interval=request.verification_interval,
        verify_blobs=request.verify_blobs,
        drift_policy=request.drift_policy,
        build=source_of(build) if build else None,
        manifest=build.manifest if build else None,
        exports=build.exports if build else None,
        promoted_from=_promotion(request, now),
        must_be_new=request.if_exists == "fail",
        ask_registry=request.verify,
    )


def _promotion(request: PublishRequest, now: datetime) -> Promotion | None:
    source = request.promoted_from
    if source is None or request.digest is None:
        return None
    return Promotion(
        name=source.name,
        namespace=source.namespace,
        uid=source.uid,
        digest=request.digest,
        promoted_by=request.actor or UNAUTHENTICATED,
        promoted_at=now,
        earlier=[PromotionStage(name=stage.name, namespace=stage.namespace) for stage in source.earlier],
    )


def refuse_invalid(wish: Wish) -> None:
    """Refuse a name or labels that no object can have, before anything is claimed for it.

    The rules are those of
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and
    https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/.

    Raises
    ------
    RefusedError
        Raised with reason ``Invalid``; the message says what to write instead.
    """
    name = wish.name
    if name is not None and not _is_name(name):
        raise RefusedError(
            RejectionReason.INVALID,
            f"{name[:64]!r} cannot be the name of an entry: use lower-case letters, digits, '-' and '.'",
        )
    for key, value in wish.labels.items():
        prefix, slash, label = key.rpartition("/")
        if (slash and not _is_name(prefix)) or not _is_label(label) or (value and not _is_label(value)):
            raise RefusedError(
                RejectionReason.INVALID,
                f"labels: {key[:64]}={value[:64]!r} cannot be a label: "
                f"use letters, digits, '-', '_' and '.', at most {_MAX_LABEL} characters",
            )


def _is_name(text: str) -> bool:
    return len(text) <= _MAX_NAME and _NAME.fullmatch(text) is not None


def _is_label(text: str) -> bool:
    return len(text) <= _MAX_LABEL and _LABEL.fullmatch(text) is not None


def _name_of(url: str) -> str:
    """Make a name from a reference: ``autosd-cs9`` for ``quay.io/org/autosd:cs9``."""
    reference = Reference.parse(url)
    repository = reference.repository.rsplit("/", 1)[-1]
    text = f"{repository}-{reference.tag}" if reference.tag else repository
    name = re.sub(r"[^a-z0-9.-]+", "-", text.lower())
    return re.sub(r"([.-])[.-]+", r"\1", name)[:_MAX_NAME].strip(".-")
