"""Adds and edits entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from image_catalog.catalog.signing import sign
from image_catalog.catalog.steps import StepLog
from image_catalog.models import CatalogImage, CatalogImageSpec
from image_catalog.models.names import ANNOTATION_CHANGED_BY, ANNOTATION_DIGEST_PINNED_BY, GROUP
from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.bodies import read_json
from image_catalog_functions.api.http.documents import body_of, needs, problems
from image_catalog_functions.api.http.names import EntryName
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.http.routes import CatalogRoute
from image_catalog_functions.api.reading.details import no_such_image
from image_catalog_functions.api.reading.queries import NamespaceQuery
from image_catalog_functions.api.writing.asking import Asker, check_reference
from image_catalog_functions.api.writing.bodies import AddQuery, Edit, NewImage
from image_catalog_functions.api.writing.documents import WrittenImage
from image_catalog_functions.api.writing.publishing import add_image
from image_catalog_functions.api.writing.written import Written, refresh

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["replace_image", "router"]


async def replace_image(services: Services, asker: Asker, body: Edit, *, namespace: str, name: str) -> Written:
    """Replace what an entry is asked to stand for.

    Parameters
    ----------
    services
        What the API works with.
    asker
        Who asks; needs the right to update entries there.
    body
        What the entry shall be.
    namespace, name
        The entry.

    Raises
    ------
    Problem
        401 and 403 as the guard says; 404 for no such entry, 400 for what cannot
        be one, 409 for one that has moved on or is being deleted.
    """
    caller = await services.guard.require(asker.authorization, "update", namespace)
    signed = sign(caller, now=services.clock())
    check_reference(body.spec.registry_url, "spec.registryUrl")
    steps = StepLog()
    written = await services.images.apply_metadata(namespace, name, lambda image: _edited(image, body, signed))
    steps.add("Catalog image", f"{namespace}/{name} updated")
    # Read, and not taken from the answer: the index keeps the whole object, also what this version has no words for.
    entry = await refresh(services, namespace, name)
    if written is None or entry is None:
        raise no_such_image(namespace, name)
    return Written(200, entry, tuple(steps.done))


def router(services: Services) -> APIRouter:
    """Return the routes that change entries."""
    routes = APIRouter(route_class=CatalogRoute, tags=["images"])
    default = services.settings.default_namespace

    @routes.post(
        "/images",
        operation_id="createImage",
        summary="Add an external image",
        status_code=201,
        response_model=WrittenImage,
        responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 502, 503, 504),
        response_description="The new entry, and the steps that led there.",
        openapi_extra=needs("create catalogimages") | body_of(NewImage, examples.ADD),
    )
    async def create_image(request: Request, query: Annotated[AddQuery, Query()]) -> Response:
        """Ask the registry for the image, then make an entry for it."""
        body = await read_json(request, NewImage)
        namespace = query.namespace or default
        written = await add_image(services, Asker.of(request), body, namespace=namespace, verify=query.verify)
        return written.response()

    @routes.put(
        "/images/{name}",
        operation_id="replaceImage",
        summary="Replace an entry's spec",
        response_model=WrittenImage,
        responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 503),
        response_description="The entry as it is now, and the steps that led there.",
        openapi_extra=needs("update catalogimages") | body_of(Edit, examples.EDIT),
    )
    async def put_image(request: Request, name: EntryName, query: Annotated[NamespaceQuery, Query()]) -> Response:
        """Give what the body leaves out its default again. `resourceVersion` lets it happen to that version alone."""
        body = await read_json(request, Edit)
        namespace = query.namespace or default
        written = await replace_image(services, Asker.of(request), body, namespace=namespace, name=name)
        return written.response()

    return routes


def _edited(image: CatalogImage, body: Edit, signed: str) -> CatalogImage:
    """Return an entry as an edit leaves it; decided anew on every fresh one.

    Raises
    ------
    Problem
        409 for an entry that is being deleted or has moved on, 400 for a change
        of what the functions keep.
    """
    meta = image.metadata
    facts = {"name": meta.name, "namespace": meta.namespace, "resourceVersion": meta.resource_version}
    if meta.deletion_timestamp is not None:
        message = f'catalog image "{meta.name}" in namespace "{meta.namespace}" is being removed'
        raise Problem(409, ProblemReason.CONFLICT, message, details=facts)
    if body.resource_version not in {None, meta.resource_version}:
        message = (
            f'catalog image "{meta.name}" in namespace "{meta.namespace}" has changed since it was read: '
            f"it is at resourceVersion {meta.resource_version}, not {body.resource_version}; read it and edit again"
        )
        raise Problem(409, ProblemReason.CONFLICT, message, details=facts)
    update: dict[str, Any] = {}
    if body.labels is not None:
        update["labels"] = _relabelled(meta.labels, body.labels)
    annotations = dict(meta.annotations)
    if body.spec.digest != image.spec.digest:
        # What a person pins, or frees, is that person's: the publish function moves only its own pins.
        annotations.pop(ANNOTATION_DIGEST_PINNED_BY, None)
    spec = CatalogImageSpec.model_construct(**dict(body.spec))
    edited = image.model_copy(
        update={"metadata": meta.model_copy(update=update | {"annotations": annotations}), "spec": spec}
    )
    if edited.to_dict() == image.to_dict():
        return image
    annotations[ANNOTATION_CHANGED_BY] = signed
    return edited.model_copy(update={"metadata": edited.metadata.model_copy(update={"annotations": annotations})})


def _relabelled(known: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in known.items() if _is_ours(key)}
    changed = sorted(key for key, value in wanted.items() if _is_ours(key) and kept.get(key) != value)
    if changed:
        message = "is kept by the catalog itself, which makes it from the spec; leave it out or as it is"
        violations = [{"path": f"labels.{key}", "message": message} for key in changed]
        said = f"labels: {', '.join(changed)} {'is' if len(changed) == 1 else 'are'} kept by the catalog itself"
        raise Problem(400, ProblemReason.INVALID_BODY, said, details={"violations": violations})
    return wanted | kept


def _is_ours(label: str) -> bool:
    return label.split("/", maxsplit=1)[0].endswith(GROUP)
