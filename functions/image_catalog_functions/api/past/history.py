"""``GET /images/{name}/history``: the versions of an entry, and all that happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.audit import Outcome
from image_catalog.catalog.index import Entry
from image_catalog.catalog.recalls import recall_of
from image_catalog.errors import AuditUnavailableError
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.routes import CatalogRoute, require
from image_catalog_functions.api.past.documents import HistoryList
from image_catalog_functions.api.past.queries import HistoryQuery
from image_catalog_functions.api.past.records import record_page
from image_catalog_functions.api.past.versions import Version, recorded_versions, shown_versions
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.reading.pages import answer_list
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["router"]

_log = structlog.get_logger(__name__)

_CALL: Final = "history"
_RECORDS: Final = "history-records"

_NO_AUDIT: Final = (
    "no history is kept, so that only the last versions are told, and not who published them; "
    "set IMAGE_CATALOG_DATABASE_URL"
)
_SILENT: Final = (
    "the history does not answer just now, so that only the last versions are told, and not who published them"
)


class _Calls:
    """Answers what happened to one entry."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tokens = ContinueTokens(clock=services.clock)

    async def records(self, request: Request, namespace: str, name: str, query: HistoryQuery) -> Response:
        """List the records of an entry, whether it is there or not."""
        audit, now = self._services.require_audit(), self._services.clock()
        asked = query.model_dump(exclude={"limit", "continue_"}) | {"in": namespace, "of": name}
        before = None if query.continue_ is None else int(self._tokens.read(_RECORDS, asked, query.continue_)[0])
        wanted = query.to_store(namespace=namespace, name=name, kinds=query.kinds, now=now, before=before)
        page, last = await record_page(audit, wanted)
        entry = self._services.index.get(namespace, name)
        if not page and before is None and entry is None:
            await self._require_past(namespace, name)
        token = self._tokens.write(_RECORDS, asked, [last]) if last is not None else ""
        return answer_list(request, page, {"continue": token, "resourceVersion": entry and entry.resource_version})

    async def versions(self, request: Request, namespace: str, name: str, query: HistoryQuery) -> Response:
        """List the versions of an entry: what it shows itself, and what the audit knows beside."""
        entry = self._services.index.get(namespace, name)
        versions, note = await self._versions(namespace, name, entry, query)
        wanted = [version for version in versions if self._is_wanted(version, query)]
        asked = query.model_dump(exclude={"limit", "continue_"}) | {"in": namespace, "of": name}
        if query.continue_ is not None:
            # What came before is told by time, so that a version which was published meanwhile moves nothing.
            (ended,) = self._tokens.read(_CALL, asked, query.continue_)
            wanted = [version for version in wanted if version.place < ended]
        page, rest = wanted[: query.limit], wanted[query.limit :]
        metadata = {
            "continue": self._tokens.write(_CALL, asked, [page[-1].place]) if rest else "",
            "remainingItemCount": len(rest),
            "resourceVersion": entry and entry.resource_version,
            "note": note,
        }
        obj = entry.object if entry is not None else {}
        return answer_list(request, [_document(version, obj) for version in page], metadata)

    async def _versions(
        self, namespace: str, name: str, entry: Entry | None, query: HistoryQuery
    ) -> tuple[list[Version], str | None]:
        shown = shown_versions(entry) if entry is not None else []
        audit = self._services.audit
        if audit is None:
            if entry is None:
                self._services.image_feed.require_filled()
                raise no_such_image(namespace, name)
            if query.actor is not None:
                self._services.require_audit()
            return shown, _NO_AUDIT
        try:
            versions = await recorded_versions(audit, namespace, name, shown)
        except AuditUnavailableError as e:
            if entry is None or query.actor is not None:
                raise
            _log.warning("history told without the audit", reason=e.reason, message=e.message)
            return shown, _SILENT
        if not versions:
            await self._require_past(namespace, name)
        return versions, None

    async def _require_past(self, namespace: str, name: str) -> None:
        """Raise the problem of an entry that neither is nor was."""
        if await self._services.require_audit().last_state(namespace, name) is None:
            self._services.image_feed.require_filled()
            raise no_such_image(namespace, name)

    def _is_wanted(self, version: Version, query: HistoryQuery) -> bool:
        since, until = query.between(self._services.clock())
        at = version.published_at
        return (
            query.outcome in {None, Outcome.SUCCEEDED}
            and (query.actor is None or version.published_by == query.actor)
            and (since is None or (at is not None and at >= since))
            and (until is None or (at is not None and at < until))
        )


def _document(version: Version, obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return a version as it is answered, with why it must not be used any more where that is so."""
    recall = recall_of(obj, version.digest)
    return version.document() if recall is None else version.document() | {"recall": recall}


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["history"])
    calls = _Calls(services)

    @routes.get(
        "/images/{name}/history",
        operation_id="listHistory",
        summary="List an entry's versions, or what happened to it",
        response_model=HistoryList,
        response_description="A page of versions, or of records.",
        responses=problems(304, 400, 401, 403, 404, 410, 501, 503),
        openapi_extra=needs("get catalogimages"),
    )
    async def list_history(request: Request, name: EntryName, query: Annotated[HistoryQuery, Query()]) -> Response:
        """Begin with the current one. What was removed keeps its history."""
        namespace = query.namespace or services.settings.default_namespace
        await require(request, services.guard, "get", namespace)
        answer: Any = calls.records if query.kind else calls.versions
        response: Response = await answer(request, namespace, name, query)
        return response

    return routes
