"""CatalogImages, typed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pydantic import ValidationError

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import CATALOG_IMAGE
from image_catalog.cluster._lists import PARSED_PAGE_SIZE, TableRow
from image_catalog.cluster._merge import merge_patch
from image_catalog.cluster._retry import retry_on_conflict
from image_catalog.cluster._transport import JSON
from image_catalog.errors import InvalidObjectError
from image_catalog.models import CatalogImage, CatalogImageStatus, DueAt, LaterNames, Phase, parse_time
from image_catalog.models.durations import parse_age
from image_catalog.models.violations import violations_of

__all__ = ["CatalogImages", "ImagePage", "ImageRow"]

logger = structlog.get_logger(__name__)

# What a write of metadata may touch; everything else of an object's metadata belongs to the API server.
METADATA_FIELDS: Final = ("labels", "annotations", "finalizers")


_OUTLINE: Final = ("observedGeneration", "verifiedInputs", "nextVerificationTime", "due", "sourceImageBuild")


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A part of a list of entries.

    Attributes
    ----------
    images
        The entries of this part that can be read.
    first
        Whether the list starts here, or starts again because it expired.
    last
        Whether the list is complete.
    """

    images: tuple[CatalogImage, ...]
    first: bool
    last: bool


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An entry's printer columns: enough to find what is due.

    Attributes
    ----------
    namespace, name
        The entry.
    registry_url
        The reference that it stands for.
    phase
        Its phase; `None` before the first check.
    next_verification
        When it is to be checked; `None` counts as due.
    is_deleted
        Whether somebody has deleted it, and it waits for its finalizers; `None`
        where an older version of the kind does not say.
    age
        How old it is, as roughly as the API server tells people: in whole hours
        from eight on, in days from eight on; `None` where it does not say, and
        of one with a time to be checked at.
    """

    namespace: str
    name: str
    registry_url: str
    phase: Phase | None
    next_verification: datetime | None
    is_deleted: bool | None = None
    age: timedelta | None = None


class CatalogImages:
    """Reads and writes entries.

    Metadata (with the spec) and status are two different writes, each with the
    resource version that it was decided on. A change is decided anew on every
    fresh object, so it must not remember the one before.

    Parameters
    ----------
    api
        Speaks to the API server.
    """

    def __init__(self, *, api: KubernetesAPI) -> None:
        self._api = api

    async def get(self, namespace: str, name: str) -> CatalogImage | None:
        """Read one entry; `None` when it is absent.

        Raises
        ------
        InvalidObjectError
            When the stored entry breaks the schema of this version.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.get` says.
        """
        found = await self._api.get(CATALOG_IMAGE, name, namespace)
        return None if found is None else read_image(found)

    async def create(self, image: CatalogImage) -> CatalogImage:
        """Create an entry without its status.

        Raises
        ------
        AlreadyExistsError
            When an entry of that name is there.
        InvalidObjectError
            When the API server refuses it.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.create` says.
        """
        whole = image.to_dict()
        metadata = {key: whole["metadata"][key] for key in ("name", *METADATA_FIELDS) if whole["metadata"].get(key)}
        body = {"metadata": metadata, "spec": whole["spec"]}
        return read_image(await self._api.create(CATALOG_IMAGE, body, image.metadata.namespace))

    async def pages(
        self,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        outlined: bool = False,
    ) -> AsyncIterator[ImagePage]:
        """List entries page by page; one that cannot be read is logged and left out.

        Parameters
        ----------
        namespace
            One namespace; `None` for all of them.
        label_selector
            Such as ``automotive.sdv.cloud.redhat.com/reference-hash=…``.
        field_selector
            Such as ``status.phase=Available``.
        outlined
            Whether what tells if an entry was looked at will do, a fifth of
            the work: the rest of its spec and status is left out, so that it
            is nothing to write from.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.pages` says.
        """
        pages = self._api.pages(
            CATALOG_IMAGE,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            at_most=PARSED_PAGE_SIZE,
        )
        async for page in pages:
            found = map(_outline, page.objects) if outlined else page.objects
            images = tuple(image for image in map(_read_or_skip, found) if image is not None)
            yield ImagePage(images=images, first=page.first, last=page.last)

    async def rows(self, namespace: str | None = None, *, without: LaterNames | None = None) -> AsyncIterator[ImageRow]:
        """List what is needed to find the entries that are due, without transferring them.

        Parameters
        ----------
        namespace
            One namespace; `None` for all of them.
        without
            Leaves out the entries that have one of these names. An API server
            that cannot (its CatalogImage is of another version) sends them all.

        Raises
        ------
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.pages` says.
        """
        selector = ",".join(f"{path}!={name}" for path, name in without.terms()) if without is not None else None
        try:
            async for rows in self._api.table_pages(
                CATALOG_IMAGE, namespace, field_selector=selector, remembered=selector is not None
            ):
                for row in rows:
                    yield _image_row(row)
        except InvalidObjectError as e:
            if selector is None:
                raise
            logger.warning("every entry is listed", reason="its names cannot be selected", error=e.message)
            async for each in self.rows(namespace):
                yield each

    async def apply_metadata(
        self,
        namespace: str,
        name: str,
        change: Callable[[CatalogImage], CatalogImage | None],
        *,
        start: CatalogImage | None = None,
    ) -> CatalogImage | None:
        """Change labels, annotations, finalizers or the spec of an entry.

        Parameters
        ----------
        namespace, name
            The entry.
        change
            Returns the entry as it shall be, `None` when nothing is to be done, or
            raises to abandon.
        start
            The entry as read a moment ago, to save a read.

        Returns
        -------
        CatalogImage or None
            The entry afterwards; `None` when it is absent.

        Raises
        ------
        WriteConflictError
            When other writers came between every time.
        InvalidObjectError
            When the API server refuses the result.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.patch` says.
        """

        def decide(image: CatalogImage) -> JSON | None:
            wanted = change(image)
            return None if wanted is None else _metadata_patch(image, wanted) or None

        async def write(image: CatalogImage, patch: JSON) -> CatalogImage | None:
            meta = image.metadata
            written = await self._api.patch(
                CATALOG_IMAGE, name, namespace, patch, resource_version=meta.resource_version, uid=meta.uid
            )
            return None if written is None else read_image(written)

        return await retry_on_conflict(
            read=lambda: self.get(namespace, name), change=decide, write=write, start=start, rng=self._api.rng
        )

    async def apply_status(
        self,
        namespace: str,
        name: str,
        change: Callable[[CatalogImage], CatalogImageStatus | None],
        *,
        start: CatalogImage | None = None,
    ) -> CatalogImage | None:
        """Change the status of an entry.

        Parameters
        ----------
        namespace, name
            The entry.
        change
            Returns the status as it shall be, `None` when nothing is to be done, or
            raises to abandon.
        start
            The entry as read a moment ago, to save a read.

        Returns
        -------
        CatalogImage or None
            The entry afterwards; `None` when it is absent.

        Raises
        ------
        WriteConflictError
            When other writers came between every time.
        InvalidObjectError
            When the API server refuses the result.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.patch_status` says.
        """

        def decide(image: CatalogImage) -> JSON | None:
            wanted = change(image)
            return None if wanted is None else merge_patch(image.status.to_dict(), _named(wanted).to_dict()) or None

        async def write(image: CatalogImage, patch: JSON) -> CatalogImage | None:
            version = image.metadata.resource_version
            written = await self._api.patch_status(CATALOG_IMAGE, name, namespace, patch, resource_version=version)
            return None if written is None else read_image(written)

        return await retry_on_conflict(
            read=lambda: self.get(namespace, name), change=decide, write=write, start=start, rng=self._api.rng
        )

    async def delete(self, image: CatalogImage) -> bool:
        """Delete this very entry, not a later one of the same name; false when it is gone already.

        Raises
        ------
        WriteConflictError
            When another entry has taken its name.
        ForbiddenError, ClusterUnavailableError
            As `KubernetesAPI.delete` says.
        """
        meta = image.metadata
        return await self._api.delete(CATALOG_IMAGE, meta.name, meta.namespace, uid=meta.uid or None)


def read_image(found: JSON) -> CatalogImage:
    """Read an entry as the API server gave it.

    Raises
    ------
    InvalidObjectError
        When it breaks the schema of this version.
    """
    try:
        return CatalogImage.from_object(found)
    except ValidationError as e:
        meta = found.get("metadata") or {}
        raise InvalidObjectError(
            f"the entry {meta.get('namespace')}/{meta.get('name')} cannot be read", violations=violations_of(e)
        ) from e


def _named(status: CatalogImageStatus) -> CatalogImageStatus:
    """Return a status that says by names, too, when its entry is due."""
    due = status.next_verification_time
    return status.model_copy(update={"due": None if due is None else DueAt.of(due)})


def _read_or_skip(found: JSON) -> CatalogImage | None:
    try:
        return read_image(found)
    except InvalidObjectError as e:
        logger.warning("entry not read", error=e.message, paths=[v.path for v in e.violations])
        return None


def _outline(found: JSON) -> JSON:
    spec, status = found.get("spec") or {}, found.get("status") or {}
    return {
        "metadata": found["metadata"],
        "spec": {field: value for field, value in spec.items() if field != "metadata"},
        "status": {field: status[field] for field in _OUTLINE if field in status},
    }


def _metadata_patch(before: CatalogImage, after: CatalogImage) -> JSON:
    old, new = before.to_dict(), after.to_dict()
    patch: JSON = {}
    if spec := merge_patch(old["spec"], new["spec"]):
        patch["spec"] = spec
    if metadata := merge_patch(_ours(old["metadata"]), _ours(new["metadata"])):
        patch["metadata"] = metadata
    return patch


def _ours(metadata: dict[str, Any]) -> dict[str, Any]:
    return {field: metadata[field] for field in METADATA_FIELDS if field in metadata}


def _image_row(row: TableRow) -> ImageRow:
    cells = row.cells
    due = parse_time(cells.get("Next verification"))
    phase = cells.get("Phase")
    return ImageRow(
        namespace=str(cells.get("Namespace") or ""),
        name=str(cells.get("Name") or ""),
        registry_url=str(cells.get("Registry") or ""),
        phase=Phase(phase) if phase in set(Phase) else None,
        next_verification=due if isinstance(due, datetime) else None,
        is_deleted=cells["Deleted"] is not None if "Deleted" in cells else None,
        age=_age(cells.get("Age")) if due is None else None,
    )


def _age(cell: object) -> timedelta | None:
    try:
        return parse_age(str(cell))
    except ValueError:
        return None
