"""ImageBuilds, read only: they belong to the build operator."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog
from pydantic import ValidationError

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import IMAGE_BUILD
from image_catalog.cluster._lists import PARSED_PAGE_SIZE
from image_catalog.cluster._transport import JSON
from image_catalog.errors import InvalidObjectError
from image_catalog.models import ImageBuild

__all__ = ["ImageBuilds"]

logger = structlog.get_logger(__name__)


class ImageBuilds:
    """Reads builds.

    Parameters
    ----------
    api
        Speaks to the API server.
    """

    def __init__(self, *, api: KubernetesAPI) -> None:
        self._api = api

    async def get(self, namespace: str, name: str) -> ImageBuild | None:
        """Read one build; `None` when it is absent, or the build operator is not installed.

        Raises
        ------
        InvalidObjectError
            When it has neither shape that the catalog reads.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.get` says.
        """
        found = await self._api.get(IMAGE_BUILD, name, namespace)
        if found is None:
            return None
        try:
            return ImageBuild.model_validate(found)
        except ValidationError as e:
            raise InvalidObjectError(f"the ImageBuild {namespace}/{name} cannot be read") from e

    async def completed(self, namespace: str | None = None) -> AsyncIterator[tuple[ImageBuild, ...]]:
        """List the completed builds page by page; one that cannot be read is logged and left out.

        Parameters
        ----------
        namespace
            One namespace; `None` for all of them.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.pages` says; the latter too when the build operator is not installed.
        """
        async for page in self._api.pages(IMAGE_BUILD, namespace, at_most=PARSED_PAGE_SIZE):
            builds = (_read_or_skip(found) for found in page.objects)
            yield tuple(build for build in builds if build is not None and build.is_completed)


def _read_or_skip(found: JSON) -> ImageBuild | None:
    try:
        return ImageBuild.model_validate(found)
    except ValidationError as e:
        meta = found.get("metadata") or {}
        logger.warning(
            "build not read",
            build=f"{meta.get('namespace')}/{meta.get('name')}",
            paths=[".".join(map(str, error["loc"])) for error in e.errors(include_url=False, include_input=False)],
        )
        return None
