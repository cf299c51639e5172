"""How a call's request becomes its answer.

FastAPI reads what an endpoint declares for the OpenAPI document. A call then
takes its query straight from the query string, once, and answers bytes that are
ready: FastAPI's own handler would validate the parameters field by field and
serialize the answer again, which costs twice the whole call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from image_catalog_functions.api.http.answers import Answer, accepts_gzip, matches, send_answer
from image_catalog_functions.api.http.asgi import Receive, Scope, Send, header
from image_catalog_functions.api.http.names import check_name
from image_catalog_functions.api.http.parameters import QueryModel, read_query

if TYPE_CHECKING:
    from image_catalog.cluster import Caller
    from image_catalog_functions.api.services import Access

__all__ = ["IMAGES", "CatalogRoute", "PreparedResponse", "answer_response", "is_head", "require"]

IMAGES: Final = "catalogimages"
"""The resource that almost every right is about."""


class PreparedResponse(Response):
    """Sends a prepared answer, or that the client has it already.

    Parameters
    ----------
    answer
        What is answered.
    known
        Whether the client has it already.
    """

    def __init__(self, answer: Answer, *, known: bool) -> None:
        self.answer = answer
        self.known = known
        self.status_code = 304 if known else 200
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        del scope, receive
        await send_answer(send, self.answer, known=self.known)


class CatalogRoute(APIRoute):
    """A call whose names and query are checked by the catalog's own rules, once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what reads the request's names and query and gives them to the endpoint."""
        endpoint: Callable[..., Coroutine[Any, Any, Response]] = self.endpoint
        hints = get_type_hints(endpoint)
        model: type[QueryModel] = hints.get("query", QueryModel)
        named, queried = "name" in hints, "query" in hints

        async def handle(request: Request) -> Response:
            declared: dict[str, Any] = {"name": check_name(request.path_params["name"])} if named else {}
            # Read also where the call takes none: a parameter that is not known is never passed over.
            query = read_query(model, request.scope["query_string"])
            if queried:
                declared["query"] = query
            return await endpoint(request, **declared)

        return handle


async def require(request: Request, guard: Access, verb: str, namespace: str | None, resource: str = IMAGES) -> Caller:
    """Return the caller of a request, or raise the problem that says what they lack.

    Parameters
    ----------
    request
        The request.
    guard
        Says who may do what.
    verb
        What is done, as RBAC names it: ``list`` for example.
    namespace
        Where; `None` for all namespaces.
    resource
        What it is done to, as RBAC names it.

    Raises
    ------
    Problem
        401, 403 or 503.
    """
    sent = header(request.scope["headers"], b"authorization")
    return await guard.require(None if sent is None else sent.decode("latin-1"), verb, namespace, resource)


def answer_response(request: Request, prepare: Callable[[bool], Answer]) -> PreparedResponse:
    """Answer a read with what the client takes and does not have yet.

    Parameters
    ----------
    request
        The request.
    prepare
        Makes the answer; told whether the client takes gzip.
    """
    headers = request.scope["headers"]
    answer = prepare(accepts_gzip(header(headers, b"accept-encoding")))
    return PreparedResponse(answer, known=matches(header(headers, b"if-none-match"), answer.etag))


def is_head(request: Request) -> bool:
    """Return whether the client asks for the header fields alone; endpoints see a GET."""
    return bool(request.scope.get("catalog.head"))
