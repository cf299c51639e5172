"""Whether the namespace that an entry is to go to is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_catalog.catalog.index import Query
from image_catalog.cluster import NAMESPACE
from image_catalog.errors import ForbiddenError
from image_catalog_functions.api.http.problems import Problem, ProblemReason

if TYPE_CHECKING:
    from image_catalog_functions.api.services import Services

__all__ = ["require_namespace"]


async def require_namespace(services: Services, namespace: str) -> None:
    """Make sure that a namespace is there, before a registry is asked for what is to go into it.

    Parameters
    ----------
    services
        What the API works with.
    namespace
        The namespace; the caller may make entries there.

    Raises
    ------
    Problem
        404 naming it.
    """
    if services.index.find(Query(namespace=namespace, limit=1)).total:
        return
    try:
        found = await services.api.get(NAMESPACE, namespace)
    except ForbiddenError:
        # Roles of an earlier version lack this right. The write itself then says that the namespace is not there.
        return
    if found is None:
        raise Problem(404, ProblemReason.NOT_FOUND, f'namespace "{namespace}" not found', details={"name": namespace})
