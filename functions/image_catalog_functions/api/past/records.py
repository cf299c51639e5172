"""``GET /audit``: who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.audit import AuditStore, RecordQuery
from image_catalog_functions.api.http.documents import needs, problems
from image_catalog_functions.api.http.routes import CatalogRoute, require
from image_catalog_functions.api.past.documents import RecordList, record_document
from image_catalog_functions.api.past.queries import AuditQuery
from image_catalog_functions.api.reading.pages import answer_list
from image_catalog_functions.api.reading.tokens import ContinueTokens

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["record_page", "router"]

_CALL: Final = "audit"


def router(services: Services) -> APIRouter:
    """Return the call's route."""
    routes = APIRouter(route_class=CatalogRoute, tags=["history"])
    tokens = ContinueTokens(clock=services.clock)

    @routes.get(
        "/audit",
        operation_id="listAudit",
        summary="List who did what",
        response_model=RecordList,
        response_description="A page of records.",
        responses=problems(304, 400, 401, 403, 410, 501, 503),
        openapi_extra=needs("list catalogimages"),
    )
    async def list_audit(request: Request, query: Annotated[AuditQuery, Query()]) -> Response:
        """Every filter narrows the answer; records stay when their entry is gone."""
        namespace = query.scope(services.settings.default_namespace)
        await require(request, services.guard, "list", namespace)
        audit = services.require_audit()
        asked = query.model_dump(exclude={"limit", "continue_"}) | {"in": namespace}
        before = None if query.continue_ is None else int(tokens.read(_CALL, asked, query.continue_)[0])
        wanted = query.to_store(
            namespace=namespace, name=query.name, kinds=query.kind, now=services.clock(), before=before
        )
        page, last = await record_page(audit, wanted)
        token = tokens.write(_CALL, asked, [last]) if last is not None else ""
        return answer_list(request, page, {"continue": token})

    return routes


async def record_page(audit: AuditStore, wanted: RecordQuery) -> tuple[list[dict[str, Any]], int | None]:
    """Return a page of records, and where the next one goes on; `None` for the last page.

    Parameters
    ----------
    audit
        The audit.
    wanted
        What is asked for.

    Raises
    ------
    AuditUnavailableError
        Raised when the database does not answer.
    """
    page = await audit.query(wanted)
    last = page.items[-1].seq if page.more and page.items else None
    return [record_document(record) for record in page.items], last
