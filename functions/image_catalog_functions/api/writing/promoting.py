"""Promotes an image: the same content becomes an entry of another namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.index import Query as IndexQuery
from image_catalog.catalog.recalls import recall_of, recall_of_current
from image_catalog.catalog.tested import vouched_metadata
from image_catalog.models import CatalogImage, Phase, Reference
from image_catalog.models.events import (
    EntryRef,
    PromotionSource,
    PublishRequest,
    RejectionReason,
    RequestedMetadata,
)
from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.bodies import read_json
from image_catalog_functions.api.http.documents import body_of, needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.writing.asking import Asker, request_event
from image_catalog_functions.api.writing.bodies import ToPromote
from image_catalog_functions.api.writing.documents import WrittenImage
from image_catalog_functions.api.writing.namespaces import require_namespace
from image_catalog_functions.api.writing.publishing import UNCHANGED, written_by
from image_catalog_functions.api.writing.written import Written

if TYPE_CHECKING:
    from image_catalog.events import CatalogEvent
    from image_catalog.models import AuthSecretRef
    from image_catalog_functions.api.services import Services

__all__ = ["promote_image", "router"]

_STAGES: Final = 16
"""Stages that an entry remembers."""


async def promote_image(services: Services, asker: Asker, body: ToPromote, *, namespace: str, name: str) -> Written:
    """Make the current content of an entry the content of an entry in another namespace.

    The publish function does it, as for any other publication; it asks the
    registry for the content itself, wherever its tag points to by then.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to get entries here, and to create them there,
        or to update the one that is there.
    body
        Where it goes.
    namespace, name
        The entry that it comes from.

    Raises
    ------
    Problem
        401 and 403 as the guard says; 404 for no such entry, or no such
        namespace; 400 for its own; 409 ``NotAvailable`` or ``Recalled`` for what must not be
        passed on, or for what is in the way there; 422 with the registry's
        reason, 502 to 504 when the function could not do it.
    """
    require = services.guard.require
    await require(asker.authorization, "get", namespace)
    caller = await require(asker.authorization, "create", body.namespace)
    if body.namespace == namespace:
        message = f"namespace: {namespace} is where the image is; promote it to another one"
        violations = [{"path": "namespace", "message": "must be another namespace"}]
        raise Problem(400, ProblemReason.INVALID_BODY, message, details={"violations": violations})
    # Read, and not taken from the index: what was recalled a moment ago must not be passed on.
    image = await services.images.get(namespace, name)
    if image is None:
        raise no_such_image(namespace, name)
    request = _request(image, body, actor=caller.username)
    await require_namespace(services, body.namespace)
    _refuse_recalled_there(services, request)
    updating = _is_there(services, request)
    if updating:
        await require(asker.authorization, "update", body.namespace)
    outcome = await services.functions.publish(_event(services, asker, request, new=not updating))
    rejected = outcome.rejected
    if not updating and rejected is not None and rejected.reason is RejectionReason.ALREADY_EXISTS:
        # It came to be since it was looked for; whoever may only create must not change it.
        await require(asker.authorization, "update", body.namespace)
        outcome = await services.functions.publish(_event(services, asker, request, new=False))
    return await written_by(services, outcome)


def router(services: Services) -> APIRouter:
    """Return the route of promotions."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    default = services.settings.default_namespace

    @routes.post(
        "/images/{name}/promote",
        operation_id="promoteImage",
        summary="Promote an image to another namespace",
        status_code=201,
        response_model=WrittenImage,
        responses=UNCHANGED | problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 502, 503, 504),
        response_description="The entry there, made or with a new version, and the steps that led there.",
        openapi_extra=needs("get catalogimages", "create catalogimages") | body_of(ToPromote, examples.PROMOTE),
    )
    async def promote(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Pin the very same content there, and keep where it came from: a recall here holds there, too.

        The second right is needed in the other namespace; an entry that is there already needs `update` in its place.
        """
        body = await read_json(request, ToPromote)
        namespace = query.namespace or default
        return (await promote_image(services, Asker.of(request), body, namespace=namespace, name=name)).response()

    return routes


def _request(image: CatalogImage, body: ToPromote, *, actor: str) -> PublishRequest:
    """Return what the publish function is asked for.

    Raises
    ------
    Problem
        409 for what must not be passed on.
    """
    registry = image.status.registry_metadata
    if image.status.phase is not Phase.AVAILABLE or registry is None:
        phase = image.status.phase or Phase.PENDING
        message = f"{image.subject} is {phase}; what is promoted must be Available, so that its content is known"
        raise Problem(409, ProblemReason.NOT_AVAILABLE, message, details=_names(image) | {"phase": phase})
    recalled = recall_of_current(image)
    if recalled is not None:
        _, what, recall = recalled
        message = (
            f"{what} of {image.subject} ({recall.digest}) was recalled at {recall.namespace}/{recall.name} "
            f"by {recall.recalled_by}: {recall.reason}"
        )
        details = _names(image) | {"recall": recall.to_dict()}
        raise Problem(409, ProblemReason.RECALLED, message, details=details)
    said = vouched_metadata(image)
    return PublishRequest(
        name=body.name or image.metadata.name,
        namespace=body.namespace,
        registry_url=_place(image, registry.resolved_digest),
        digest=registry.resolved_digest,
        tags=body.tags,
        metadata=None if said is None else RequestedMetadata.model_validate(said.to_dict()),
        auth_secret_ref=_secret(image, body),
        promoted_from=PromotionSource(
            name=image.metadata.name,
            namespace=image.metadata.namespace,
            uid=image.metadata.uid,
            earlier=_stages(image)[:_STAGES],
        ),
        actor=actor,
    )


def _stages(image: CatalogImage) -> list[EntryRef]:
    """Return where the entry had its content from, and so on, the last stage first."""
    came = image.status.promoted_from
    if came is None:
        return []
    last = EntryRef(name=came.name, namespace=came.namespace)
    return [last, *(EntryRef(name=stage.name, namespace=stage.namespace) for stage in came.earlier)]


def _refuse_recalled_there(services: Services, request: PublishRequest) -> None:
    """Refuse what the other namespace has recalled itself: nobody there wants it back.

    Raises
    ------
    Problem
        409 ``Recalled`` naming the entry that says so.
    """
    there = services.index.recaller(request.namespace or "", request.digest or "")
    if there is None:
        return
    recall = recall_of(there.object, request.digest) or {}
    message = (
        f"{request.digest} was recalled in {request.namespace} itself, at {recall.get('name')}: {recall.get('reason')}"
    )
    details = {"name": there.name, "namespace": there.namespace, "recall": recall}
    raise Problem(409, ProblemReason.RECALLED, message, details=details)


def _place(image: CatalogImage, digest: str) -> str:
    """Return the reference without the digest that a tag had once; without a tag the digest is what names it."""
    url = image.spec.registry_url
    reference = Reference.parse(url)
    if reference.digest is None:
        return url
    bare = url.partition("@")[0]
    return f"{bare}@{digest}" if reference.tag is None else bare


def _secret(image: CatalogImage, body: ToPromote) -> AuthSecretRef | None:
    """Return the Secret to ask the registry with: as the caller says, else the entry's own, where that lives."""
    if body.auth_secret_ref is not None or image.spec.auth_secret_ref is None:
        return body.auth_secret_ref
    named = image.spec.auth_secret_ref
    return named.model_copy(update={"namespace": named.namespace or image.metadata.namespace})


def _is_there(services: Services, request: PublishRequest) -> bool:
    """Tell whether the namespace has an entry of this image; under which name does not matter."""
    query = IndexQuery(namespace=request.namespace, registry_url=request.registry_url, limit=1)
    return bool(services.index.find(query).entries)


def _event(services: Services, asker: Asker, request: PublishRequest, *, new: bool) -> CatalogEvent:
    asked = request.model_copy(update={"if_exists": "fail" if new else "update"})
    return request_event(asked, clock=services.clock, asker=asker)


def _names(image: CatalogImage) -> dict[str, Any]:
    return {"name": image.metadata.name, "namespace": image.metadata.namespace}
