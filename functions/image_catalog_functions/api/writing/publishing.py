"""Adds images and publishes builds, by calling the publish function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from image_catalog.models.events import BuildRef, PublishRequest, RequestedMetadata
from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.bodies import read_json
from image_catalog_functions.api.http.documents import body_of, needs, problems
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.writing.asking import Asker, check_reference, request_event
from image_catalog_functions.api.writing.bodies import BuildToPublish, EditableMetadata, NewImage
from image_catalog_functions.api.writing.documents import WrittenImage
from image_catalog_functions.api.writing.namespaces import require_namespace
from image_catalog_functions.api.writing.written import Written, refresh, refused

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services
    from image_catalog_functions.api.writing.outcome import Outcome

__all__ = ["UNCHANGED", "add_image", "publish_build", "router", "written_by"]

UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": WrittenImage, "description": "The entry, which has this version already: nothing changed."}
}


async def add_image(
    services: Services, asker: Asker, body: NewImage, *, namespace: str, verify: bool = True
) -> Written:
    """Make an entry for an external image.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to create entries there.
    body
        The entry.
    namespace
        Where.
    verify
        Whether the registry is asked first.

    Raises
    ------
    Problem
        401 and 403 as the guard says; 400 for what cannot be an entry, 404 for
        no such namespace, 409 when the image or the name has one, 422 with the registry's reason, 502 to 504
        when the function could not do it.
    """
    caller = await services.guard.require(asker.authorization, "create", namespace)
    spec, said = body.spec, body.spec.model_fields_set
    check_reference(spec.registry_url, "spec.registryUrl")
    await require_namespace(services, namespace)
    request = PublishRequest(
        name=body.name,
        namespace=namespace,
        registry_url=spec.registry_url,
        tags=spec.tags,
        labels=body.labels,
        metadata=_said_of(spec.metadata),
        auth_secret_ref=spec.auth_secret_ref,
        digest=spec.digest,
        verification_interval=spec.verification_interval if "verification_interval" in said else None,
        verify_blobs=spec.verify_blobs if "verify_blobs" in said else None,
        drift_policy=spec.drift_policy if "drift_policy" in said else None,
        if_exists="fail",
        verify=verify,
        actor=caller.username,
    )
    outcome = await services.functions.publish(request_event(request, clock=services.clock, asker=asker))
    return await written_by(services, outcome)


async def publish_build(services: Services, asker: Asker, body: BuildToPublish) -> Written:
    """Make an entry, or a new version of one, of a completed build.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to read the build and to create entries.
    body
        The build, and what is said of its image.

    Raises
    ------
    Problem
        404 when there is no such build, or no such namespace, 400 for one that is not completed or
        pushed nothing, 409 for one that is older than the entry's; the others
        as `add_image` says.
    """
    build_namespace = body.image_build_namespace or services.settings.default_namespace
    namespace = body.catalog_image_namespace or build_namespace
    await services.guard.require(asker.authorization, "get", build_namespace, "imagebuilds")
    caller = await services.guard.require(asker.authorization, "create", namespace)
    if namespace != build_namespace:
        await require_namespace(services, namespace)
    request = PublishRequest(
        name=body.catalog_image_name,
        namespace=namespace,
        image_build=BuildRef(name=body.image_build_name, namespace=build_namespace),
        tags=body.tags,
        metadata=_said_of(body.metadata),
        auth_secret_ref=body.auth_secret_ref,
        actor=caller.username,
    )
    outcome = await services.functions.publish(request_event(request, clock=services.clock, asker=asker))
    return await written_by(services, outcome)


async def written_by(services: Services, outcome: Outcome) -> Written:
    """Return what a publication left behind.

    Raises
    ------
    Problem
        As the publication was refused; 409 when the entry is gone already, 502
        for an outcome that says nothing.
    """
    if outcome.rejected is not None:
        raise refused(outcome.rejected)
    published = outcome.published
    if published is None:
        message = "the publish function did not say what became of the request; look at the entry"
        raise Problem(502, ProblemReason.FUNCTION_REFUSED, message)
    entry = await refresh(services, published.namespace, published.name)
    if entry is None:
        message = f'catalog image "{published.name}" was removed as soon as it was published'
        raise Problem(409, ProblemReason.CONFLICT, message)
    return Written(200 if published.change == "unchanged" else 201, entry, outcome.steps)


def router(services: Services) -> APIRouter:
    """Return the route of publications."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])

    @routes.post(
        "/publish",
        operation_id="publishBuild",
        summary="Publish a completed build",
        status_code=201,
        response_model=WrittenImage,
        responses=UNCHANGED | problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 502, 503, 504),
        response_description="The entry, made or with a new version, and the steps that led there.",
        openapi_extra=needs("get imagebuilds", "create catalogimages") | body_of(BuildToPublish, examples.PUBLISH),
    )
    async def publish(request: Request) -> Response:
        """Ask the registry for the build's image, then make its entry, or a new version of the entry that it has."""
        body = await read_json(request, BuildToPublish)
        return (await publish_build(services, Asker.of(request), body)).response()

    return routes


def _said_of(metadata: EditableMetadata | None) -> RequestedMetadata | None:
    """Return what was said, without defaults: they would win over what the build and the registry say."""
    if metadata is None:
        return None
    return RequestedMetadata.model_validate(metadata.model_dump(by_alias=True, exclude_unset=True))
