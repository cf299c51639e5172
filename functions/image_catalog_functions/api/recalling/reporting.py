"""What a recall has come to: which entries it holds for, who was told, and who has the content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson
from starlette.responses import Response

from image_catalog.catalog.index import Entry
from image_catalog.catalog.recall_events import untold
from image_catalog.errors import AuditUnavailableError
from image_catalog.models import CatalogImage, Recall, Restoration
from image_catalog.models.events import EntryRef
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.problems import Problem
from image_catalog_functions.api.recalling.bodies import Consumer, RecallReport

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services
    from image_catalog_functions.api.writing.asking import Asker

__all__ = ["MAX_CONSUMERS", "Reported", "report"]

MAX_CONSUMERS: Final = 500
"""Consumers in one answer; the audit has every one of them."""

_NO_AUDIT: Final = (
    "nobody keeps who resolved or downloaded images: no database is configured (IMAGE_CATALOG_DATABASE_URL)"
)


@dataclass(frozen=True, slots=True)
class Reported:
    """An entry as it is after a call, and what has come of it."""

    entry: Entry
    report: RecallReport

    def response(self) -> Response:
        """Answer with the object, as it was prepared for reads, and the report beside it."""
        # Null says more than nothing: that nobody knows, and not that there is nobody.
        report = {"consumers": None, **self.report.to_dict()}
        return uncached(self.entry.json[:-1] + b',"recall":' + orjson.dumps(report) + b"}")


async def report(services: Services, asker: Asker, entry: Entry, digest: str, *, changed: bool) -> Reported:
    """Report what holds of a content of an entry now.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asked; is told of no namespace that it may not look into.
    entry
        The entry.
    digest
        The content.
    changed
        Whether the call has changed anything.
    """
    image = CatalogImage.from_object(entry.object)
    recalls = [recall for recall in image.status.recalls if recall.digest == digest]
    restorations = [each for each in image.status.restorations if each.recall.digest == digest]
    others = services.recalls.holders({recall.id for recall in recalls}, apart_from=(entry.namespace, entry.name))
    namespaces = await _visible(services, asker, {namespace for namespace, _ in others})
    marked = [EntryRef(name=name, namespace=namespace) for namespace, name in others if namespace in namespaces]
    hidden = len(others) - len(marked)
    consumers, more, why = await _consumers(services, _akin(image, digest), {entry.namespace, *namespaces})
    if hidden and consumers is not None:
        why = "what was given away through entries of namespaces that you may not look into is not listed"
    owed = [telling for telling in untold(image) if telling[1] in _ids(recalls, restorations)]
    told = services.sink is not None and not owed and bool(recalls or restorations)
    return Reported(
        entry,
        RecallReport(
            digest=digest,
            recalled=bool(recalls),
            changed=changed,
            recalls=recalls,
            told=told,
            message=_message(image, digest, recalls, restorations, sink=services.sink is not None, told=told),
            marked=marked,
            marked_elsewhere=hidden,
            consumers=consumers,
            consumers_remaining=more,
            consumers_message=why,
        ),
    )


def _ids(recalls: list[Recall], restorations: list[Restoration]) -> set[str]:
    return {recall.id for recall in recalls} | {restoration.recall.id for restoration in restorations}


def _message(
    image: CatalogImage,
    digest: str,
    recalls: list[Recall],
    restorations: list[Restoration],
    *,
    sink: bool,
    told: bool,
) -> str:
    if not recalls and not restorations:
        return f"{digest} of {image.subject} was never recalled"
    state = "is recalled" if recalls else "is restored"
    if told:
        return f"{digest} of {image.subject} {state}"
    if not sink:
        return f"{digest} of {image.subject} {state}; nobody was told, because there is no broker (K_SINK is not set)"
    return f"{digest} of {image.subject} {state}; the broker has not taken the event yet, and is told until it does"


def _akin(image: CatalogImage, digest: str) -> set[str]:
    """Return the digests under which a content may have been given away: of the index, and of a platform."""
    registry = image.status.registry_metadata
    if registry is None:
        return {digest}
    platforms = {variant.digest for variant in registry.platform_variants}
    files = {file.digest for file in image.status.artifact_refs}
    if digest == registry.resolved_digest:
        return {digest, *platforms}
    return {digest, registry.resolved_digest} if digest in platforms | files else {digest}


async def _visible(services: Services, asker: Asker, namespaces: set[str]) -> set[str]:
    """Return the namespaces whose entries a caller may look at."""
    visible = set()
    for namespace in sorted(namespaces):
        try:
            await services.guard.require(asker.authorization, "get", namespace)
        except Problem:
            continue
        visible.add(namespace)
    return visible


async def _consumers(
    services: Services, digests: set[str], namespaces: set[str]
) -> tuple[list[Consumer] | None, bool, str]:
    """Return who was given a content, whether there are more, and why they are not known."""
    if services.audit is None:
        return None, False, _NO_AUDIT
    try:
        await services.recorder.flush()
        found = await services.audit.consumers(digests, namespaces=namespaces, limit=MAX_CONSUMERS + 1)
    except AuditUnavailableError as e:
        return None, False, f"the recall holds; who has the content is not known just now: {e.message}"
    listed = [
        Consumer(actor=each.actor, kind=each.kind, first=each.first, last=each.last, count=each.count)
        for each in found[:MAX_CONSUMERS]
    ]
    return listed, len(found) > MAX_CONSUMERS, ""
