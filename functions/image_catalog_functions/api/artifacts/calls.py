"""Answers which files belong to an image, with URLs that open them.

A URL that opens a file in an object store is made for this answer, by the
verify function: it may read the Secret that this takes. Such a URL is a secret,
so the answer is kept by nobody, and whatever keeps the URLs away, the files are
told without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from image_catalog.catalog.index import Entry
from image_catalog.catalog.plain import content_of
from image_catalog.catalog.recalls import recall_of
from image_catalog.models import Reference, format_time
from image_catalog.models.artifact_events import ArtifactsLocated, ArtifactsRequest
from image_catalog_functions.api.artifacts.documents import ArtifactList
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.parameters import QueryFlag
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute, is_head, require
from image_catalog_functions.api.reading.details import Details
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.recording import GivenImage
from image_catalog_functions.api.writing.asking import Asker, request_event

if TYPE_CHECKING:
    from image_catalog.cluster import Caller
    from image_catalog_functions.api.services import Services

__all__ = ["ArtifactsQuery", "router"]

_NAME_LENGTH = 1024
"""Longest name of a file: keys of S3 are no longer."""


class ArtifactsQuery(NamespaceQuery):
    """Which files, and what for."""

    artifact: Annotated[str, StringConstraints(min_length=1, max_length=_NAME_LENGTH)] | None = Field(
        None, description="Only the file of this name."
    )
    download: QueryFlag = Field(
        default=False, description="Whether the caller is going to download the files, which the audit keeps."
    )


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    details = Details(services)

    @routes.get(
        "/images/{name}/artifacts",
        operation_id="listArtifacts",
        summary="List the files that belong to an image",
        response_model=ArtifactList,
        response_description="The files; none for an image that is only in its registry.",
        responses=problems(400, 401, 403, 404, 503),
        openapi_extra=needs("get catalogimages"),
    )
    async def list_artifacts(request: Request, name: EntryName, query: Annotated[ArtifactsQuery, Query()]) -> Response:
        """Tell checksum, size and a URL of each that opens it; those of an object store expire after some minutes."""
        namespace = details.scope(query)
        caller = await require(request, services.guard, "get", namespace)
        entry = details.find(namespace, name)
        located, trouble = (None, None) if is_head(request) else await _locate(services, entry, request, caller)
        items = _items(entry.object, located)
        if query.artifact is not None:
            items = [item for item in items if item.get("name") == query.artifact]
            if not items:
                raise _no_such_artifact(entry, query.artifact)
        if query.download and not is_head(request):
            _note(services, caller, entry, items)
        answer = {"items": items, "metadata": _owner(entry)} | ({"unavailable": trouble} if trouble else {})
        return uncached(orjson.dumps(answer))

    return routes


async def _locate(
    services: Services, entry: Entry, request: Request, caller: Caller
) -> tuple[ArtifactsLocated | None, dict[str, str] | None]:
    """Have URLs made for the files of the build's object store, or say why there are none."""
    if not _status(entry.object).get("artifactStore"):
        return None, None
    asked = ArtifactsRequest(name=entry.name, namespace=entry.namespace, actor=caller.username)
    event = request_event(asked, clock=services.clock, asker=Asker.of(request))
    try:
        located = (await services.functions.verify(event)).located
    except Problem as e:
        return None, {"reason": str(e.reason), "message": e.detail}
    if located is None:
        # Its entry has gone since; what the index knows of it is answered.
        return None, {"reason": ProblemReason.NOT_FOUND, "message": "the entry is being removed"}
    trouble = {"reason": located.reason, "message": located.message} if located.reason else None
    return located, trouble


def _items(obj: dict[str, Any], located: ArtifactsLocated | None) -> list[dict[str, Any]]:
    refs = list(_status(obj).get("artifactRefs") or ())
    opened = {item.url: item for item in located.items} if located else {}
    known = {ref["url"] for ref in refs}
    # What the publication could not list, and has been listed now.
    refs += [
        {"type": "s3"} | item.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"download_url"})
        for item in opened.values()
        if item.url not in known
    ]
    items = [_item(obj, ref) for ref in refs]
    for item in items:
        found = opened.get(item["url"])
        if found is not None and located is not None and located.expires_at is not None:
            item["downloadUrl"] = found.download_url.get_secret_value()
            item["expiresAt"] = format_time(located.expires_at)
    return items


def _item(obj: dict[str, Any], ref: dict[str, Any]) -> dict[str, Any]:
    item, digest = dict(ref), ref.get("digest")
    if digest:
        item["checksum"] = digest
        algorithm, _, value = digest.partition(":")
        if algorithm == "sha256":
            item["sha256"] = value
        if recall := recall_of(obj, digest):
            item["recall"] = recall
    if ref["type"] != "s3":
        item["downloadUrl"] = ref["url"]
    if ref["type"] == "oci" and (repository := _repository(ref.get("reference") or obj["spec"]["registryUrl"])):
        item["repository"] = repository
    return item


def _repository(reference: str) -> str | None:
    parsed = Reference.try_parse(reference)
    return parsed.name if parsed else None


def _owner(entry: Entry) -> dict[str, Any]:
    obj, digest = entry.object, content_of(entry.object)
    owner = {
        "name": entry.name,
        "namespace": entry.namespace,
        "resourceVersion": entry.resource_version,
        "registryUrl": obj["spec"]["registryUrl"],
    }
    recall = recall_of(obj, digest)
    return owner | ({"digest": digest} if digest else {}) | ({"recall": recall} if recall else {})


def _note(services: Services, caller: Caller, entry: Entry, items: list[dict[str, Any]]) -> None:
    for item in items:
        services.recorder.downloaded(
            caller,
            GivenImage(
                namespace=entry.namespace,
                name=entry.name,
                digest=content_of(entry.object),
                registry_url=entry.object["spec"]["registryUrl"],
                data={"checksum": item["checksum"]} if "checksum" in item else {},
            ),
            artifact=item.get("name"),
        )


def _no_such_artifact(entry: Entry, artifact: str) -> Problem:
    detail = f'catalog image "{entry.name}" has no artifact "{artifact}"'
    return Problem(404, ProblemReason.NOT_FOUND, detail, details={"name": entry.name, "namespace": entry.namespace})


def _status(obj: dict[str, Any]) -> dict[str, Any]:
    return obj.get("status") or {}
