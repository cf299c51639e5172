"""Recalls a content of an entry, and takes a recall back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from image_catalog.catalog.recalling import MAX_RECALLS, is_of, recalled, restored, reworded
from image_catalog.catalog.recalls import contents_of
from image_catalog.models import CatalogImage, CatalogImageStatus, Recall, Restoration
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.recalling.reporting import Reported, report
from image_catalog_functions.api.writing.asking import Asker
from image_catalog_functions.api.writing.written import refresh

if TYPE_CHECKING:
    from image_catalog_functions.api.recalling.bodies import ToRecall, ToRestore
    from image_catalog_functions.api.services import Services

__all__ = ["recall_image", "restore_image"]

_SHOWN: Final = 32
"""Contents of an entry that a refusal names."""


async def recall_image(services: Services, asker: Asker, body: ToRecall, *, namespace: str, name: str) -> Reported:
    """Say that a content of an entry must not be used any more.

    The recall is written to this entry first, in one write, and is in force from
    then on. Everything that follows from it, the marks on other entries and the
    events, is the keeper's, who goes by what the entries show: should this
    process die here, the next one finds it owed, and tells it under the same id.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to update entries there.
    body
        What is recalled, and why.
    namespace, name
        The entry.

    Raises
    ------
    Problem
        401 and 403 as the guard says; 404 for no such entry, 422
        ``DigestUnknown`` for what it never had, 400 without a reason, 409 where
        there is room for no more recalls.
    """
    caller = await services.guard.require(asker.authorization, "update", namespace)
    decision = _Recalling(services.clock(), caller.username, body, str(uuid.uuid4()))
    image = await services.images.apply_status(namespace, name, decision)
    if image is None:
        raise no_such_image(namespace, name)
    return await _settled(services, asker, image, body.digest, changed=decision.changed)


async def restore_image(services: Services, asker: Asker, body: ToRestore, *, namespace: str, name: str) -> Reported:
    """Say that a recalled content of an entry may be used again.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to update entries there.
    body
        What is restored, and why.
    namespace, name
        The entry: the one at which the content was recalled, or any where that one is gone.

    Raises
    ------
    Problem
        409 ``RecalledElsewhere`` naming the entry at which the content was
        recalled; the others as `recall_image` says.
    """
    caller = await services.guard.require(asker.authorization, "update", namespace)
    image = await services.images.get(namespace, name)
    if image is None:
        raise no_such_image(namespace, name)
    decision = _Restoring(services.clock(), caller.username, body, await _orphans(services, image, body.digest))
    image = await services.images.apply_status(namespace, name, decision, start=image)
    if image is None:
        raise no_such_image(namespace, name)
    return await _settled(services, asker, image, body.digest, changed=decision.changed)


@dataclass(slots=True)
class _Recalling:
    """Decides on a fresh entry what recalling writes to it."""

    now: datetime
    actor: str
    body: ToRecall
    id: str
    changed: bool = False

    def __call__(self, image: CatalogImage) -> CatalogImageStatus | None:
        digest, reason, self.changed = self.body.digest, self.body.reason, False
        _refuse_unknown(image, digest)
        if any(recall.digest == digest for recall in image.status.recalls):
            # What was recalled elsewhere has its reason from there.
            again = None if reason is None else reworded(image, digest, reason, by=self.actor, now=self.now)
            self.changed = again is not None
            return again
        if reason is None:
            message = "reason: say why it must not be used any more; it is shown to everybody who asks for the image"
            violations = [{"path": "reason", "message": "is missing"}]
            raise Problem(400, ProblemReason.INVALID_BODY, message, details={"violations": violations})
        meta = image.metadata
        recall = Recall(
            id=self.id,
            digest=digest,
            parts=_platforms(image, digest),
            reason=reason,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            recalled_by=self.actor,
            recalled_at=self.now,
        )
        status = recalled(image, recall, now=self.now)
        if status is None:
            message = f"{image.subject} has {MAX_RECALLS} recalls already, each of a content that it still has"
            raise Problem(409, ProblemReason.TOO_MANY_RECALLS, message, details=_names(image))
        self.changed = True
        return status


@dataclass(slots=True)
class _Restoring:
    """Decides on a fresh entry what restoring writes to it."""

    now: datetime
    actor: str
    body: ToRestore
    orphans: frozenset[str]
    changed: bool = False

    def __call__(self, image: CatalogImage) -> CatalogImageStatus | None:
        digest, self.changed = self.body.digest, False
        _refuse_unknown(image, digest)
        known = [recall for recall in image.status.recalls if recall.digest == digest]
        if not known:
            _refuse_part(image, digest)
        ours = [recall for recall in known if is_of(recall, image) or recall.id in self.orphans]
        if known and not ours:
            raise _elsewhere(image, known)
        if not ours:
            return None
        self.changed = True
        meta = image.metadata
        return restored(
            image,
            [
                Restoration(
                    recall=recall,
                    reason=self.body.reason,
                    namespace=meta.namespace,
                    name=meta.name,
                    restored_by=self.actor,
                    restored_at=self.now,
                )
                for recall in ours
            ],
            now=self.now,
        )


async def _orphans(services: Services, image: CatalogImage, digest: str) -> frozenset[str]:
    """Return the recalls of a content whose own entry is gone: somebody else has to be able to take them back."""
    found = set()
    for recall in image.status.recalls:
        if recall.digest != digest or is_of(recall, image):
            continue
        origin = await services.images.get(recall.namespace, recall.name)
        if origin is None or origin.metadata.uid != recall.uid:
            found.add(recall.id)
    return frozenset(found)


async def _settled(services: Services, asker: Asker, image: CatalogImage, digest: str, *, changed: bool) -> Reported:
    """Have done what follows from a write, and report it."""
    namespace, name = image.metadata.namespace, image.metadata.name
    await refresh(services, namespace, name)
    await services.recalls.settle_soon(image)
    entry = services.index.get(namespace, name)
    if entry is None:
        raise no_such_image(namespace, name)
    return await report(services, asker, entry, digest, changed=changed)


def _refuse_unknown(image: CatalogImage, digest: str) -> None:
    contents = contents_of(image)
    if digest in contents:
        return
    known = [{"digest": each, "what": what} for each, what in list(contents.items())[:_SHOWN]]
    named = ", ".join(f"{each['digest']} ({each['what']})" for each in known[:3])
    said = f"it has {named}" + (f" and {len(contents) - 3} more" if len(contents) > len(known[:3]) else "")
    message = f"{image.subject} has no content {digest}: {said if contents else 'nothing of it is known yet'}"
    raise Problem(422, ProblemReason.DIGEST_UNKNOWN, message, details={**_names(image), "known": known})


def _platforms(image: CatalogImage, digest: str) -> list[str]:
    """Return the platforms of a content, the current one or an earlier index."""
    registry = image.status.registry_metadata
    if registry is not None and registry.resolved_digest == digest:
        platforms = [variant.digest for variant in registry.platform_variants]
    else:
        # The same content may have been a version twice, the first time before its platforms were kept.
        versions = [version.platforms for version in image.status.history if version.digest == digest]
        platforms = next((platforms for platforms in versions if platforms), [])
    return [platform for platform in platforms if platform != digest]


def _refuse_part(image: CatalogImage, digest: str) -> None:
    """Refuse to restore a platform alone of what was recalled as a whole.

    Raises
    ------
    Problem
        409 ``Recalled`` naming the index.
    """
    whole = next((recall.digest for recall in image.status.recalls if digest in recall.parts), None)
    if whole is not None:
        message = f"{digest} is a platform of {whole}, which was recalled as a whole: restore that"
        raise Problem(409, ProblemReason.RECALLED, message, details={**_names(image), "digest": whole})


def _elsewhere(image: CatalogImage, known: list[Recall]) -> Problem:
    origins = list(dict.fromkeys((recall.namespace, recall.name) for recall in known))
    where = " and ".join(f"{namespace}/{name}" for namespace, name in origins)
    message = f"{known[0].digest} was recalled at {where}, and is restored there; {image.subject} has it from there"
    entries = [{"namespace": namespace, "name": name} for namespace, name in origins]
    return Problem(409, ProblemReason.RECALLED_ELSEWHERE, message, details={**_names(image), "recalledAt": entries})


def _names(image: CatalogImage) -> dict[str, Any]:
    return {"name": image.metadata.name, "namespace": image.metadata.namespace}
