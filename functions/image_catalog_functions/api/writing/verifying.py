"""Has entries checked and references explained, by calling the verify function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.models.events import ImageVerified, VerificationReason, VerificationRequest
from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.bodies import read_json
from image_catalog_functions.api.http.documents import body_of, needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.writing.asking import Asker, check_reference, request_event
from image_catalog_functions.api.writing.bodies import ReferenceToExplain, VerifyQuery
from image_catalog_functions.api.writing.documents import Verification
from image_catalog_functions.api.writing.written import refresh

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services
    from image_catalog_functions.api.writing.outcome import Outcome

__all__ = ["explain_reference", "found_by", "router", "verify_image"]


async def verify_image(
    services: Services, asker: Asker, *, namespace: str, name: str, deep: bool = False
) -> Verification:
    """Have an entry checked now, due or not.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to update entries there.
    namespace, name
        The entry.
    deep
        Whether every blob is asked for.

    Raises
    ------
    Problem
        401 and 403 as the guard says; 404 for no such entry, 409 for one that
        is being removed, 502 to 504 when the function could not do it. A
        registry in trouble is a finding, and no problem.
    """
    caller = await services.guard.require(asker.authorization, "update", namespace)
    request = VerificationRequest(
        name=name, namespace=namespace, reason=VerificationReason.MANUAL, deep=deep, actor=caller.username
    )
    outcome = await services.functions.verify(request_event(request, clock=services.clock, asker=asker))
    await refresh(services, namespace, name)
    return found_by(services, outcome, namespace=namespace, name=name)


async def explain_reference(
    services: Services, asker: Asker, body: ReferenceToExplain, *, namespace: str | None = None
) -> Verification:
    """Say what a check of a reference would find, writing nothing.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to create entries there, and where the Secret is.
    body
        The reference.
    namespace
        Where an entry of it would be. When absent that is where the Secret is,
        or the configured namespace.

    Raises
    ------
    Problem
        400 for what is no reference; the others as `verify_image` says.
    """
    secret = body.auth_secret_ref
    lives = secret.namespace if secret is not None else None
    namespace = namespace or lives or services.settings.default_namespace
    caller = await services.guard.require(asker.authorization, "create", namespace)
    if lives not in {None, namespace}:
        await services.guard.require(asker.authorization, "create", lives)
    check_reference(body.registry_url, "registryUrl")
    request = VerificationRequest(
        namespace=namespace,
        reference=body.registry_url,
        auth_secret_ref=secret,
        deep=body.deep,
        actor=caller.username,
    )
    outcome = await services.functions.verify(request_event(request, clock=services.clock, asker=asker))
    return found_by(services, outcome, namespace=namespace, name=None)


def found_by(services: Services, outcome: Outcome, *, namespace: str, name: str | None) -> Verification:
    """Return what a check found.

    Raises
    ------
    Problem
        404, 409 or 502 where it found nothing: as `verify_image` says.
    """
    found = outcome.verified
    if found is not None:
        return _told(found)
    if name is not None:
        if services.index.get(namespace, name) is None:
            raise no_such_image(namespace, name)
        message = f'catalog image "{name}" in namespace "{namespace}" was not checked: it is being removed'
        raise Problem(409, ProblemReason.CONFLICT, message, details={"name": name, "namespace": namespace})
    message = "the verify function did not say what it found"
    raise Problem(502, ProblemReason.FUNCTION_REFUSED, message)


def router(services: Services) -> APIRouter:
    """Return the routes of checks."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    default = services.settings.default_namespace

    @routes.post(
        "/images/{name}/verify",
        operation_id="verifyImage",
        summary="Check an entry now",
        response_model=Verification,
        response_description="What the check found, good or bad.",
        responses=problems(400, 401, 403, 404, 409, 422, 502, 503, 504),
        openapi_extra=needs("update catalogimages"),
    )
    async def verify(request: Request, name: EntryName, query: Annotated[VerifyQuery, Query()]) -> Response:
        """Ask the registry now, due or not; its word becomes the entry's phase."""
        asker, namespace = Asker.of(request), query.namespace or default
        return _answer(await verify_image(services, asker, namespace=namespace, name=name, deep=query.deep))

    @routes.post(
        "/verify",
        operation_id="explainReference",
        summary="Explain a reference that is not in the catalog",
        response_model=Verification,
        responses=problems(400, 401, 403, 408, 413, 415, 422, 502, 503, 504),
        response_description="What a check would find, good or bad.",
        openapi_extra=needs("create catalogimages") | body_of(ReferenceToExplain, examples.EXPLAIN),
    )
    async def explain(request: Request, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Ask the registry step by step, and write nothing."""
        body = await read_json(request, ReferenceToExplain)
        return _answer(await explain_reference(services, Asker.of(request), body, namespace=query.namespace))

    return routes


def _told(found: ImageVerified) -> Verification:
    return Verification(
        message=found.message,
        steps=found.steps,
        phase=found.phase,
        reason=found.reason,
        registry_url=found.registry_url,
        resolved_digest=found.resolved_digest,
        size_bytes=found.size_bytes,
        layer_count=found.layer_count,
        last_verified=found.last_verified,
    )


def _answer(found: Verification) -> Response:
    return uncached(orjson.dumps(found.to_dict()))
