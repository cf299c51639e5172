"""What the reading calls take as parameters, and what they ask the index."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from image_catalog.catalog.index import Position, Query, Sort
from image_catalog.errors import InvalidReferenceError
from image_catalog.models import AvailabilityWindow, Phase, Reference
from image_catalog.models.reference import DIGEST_PATTERN, MAX_REFERENCE_LENGTH
from image_catalog_functions.api.http.names import LABEL_PATTERN, NAME_PATTERN
from image_catalog_functions.api.http.parameters import QueryFlag, QueryModel, QueryNumber, QueryShare
from image_catalog_functions.api.reading.moments import QueryMoment
from image_catalog_functions.api.reading.tokens import MAX_TOKEN

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "BuildsQuery",
    "LabelValue",
    "ListQuery",
    "NamespaceQuery",
    "Order",
    "PageQuery",
    "Text",
]

DEFAULT_LIMIT = 20
MAX_LIMIT = 500

_LABEL_VALUE = r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
_NAME = NAME_PATTERN[1:-1]
_TAG_LIST = r"^ *[^, ]+ *(, *[^, ]+ *)*$"
_PRINTED = r"^[^\x00-\x1f\x7f]*$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=_PRINTED)]
LabelValue = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=_LABEL_VALUE)]
_Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=LABEL_PATTERN)]


class Order(StrEnum):
    """Which way a list is sorted."""

    ASCENDING = "asc"
    DESCENDING = "desc"


class NamespaceQuery(QueryModel):
    """Where an entry lives."""

    namespace: _Namespace | None = Field(None, description="Namespace of the entry; the configured one when absent.")


class PageQuery(NamespaceQuery):
    """A part of a longer answer."""

    limit: QueryNumber = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="How many items a page holds at most.")
    continue_: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)] | None = Field(
        None, alias="continue", description="`metadata.continue` of the page before, with the same other parameters."
    )


class BuildsQuery(PageQuery):
    """Which builds are asked for."""

    all_namespaces: QueryFlag = Field(default=False, description="Every namespace; `namespace` is then not looked at.")

    def scope(self, default_namespace: str) -> str | None:
        """Return the namespace that is asked about; `None` for all of them."""
        return None if self.all_namespaces else self.namespace or default_namespace


class ListQuery(BuildsQuery):
    """Which entries are asked for."""

    architecture: Literal["amd64", "arm64", "x86_64", "aarch64"] | None = Field(
        None, description="Processor architecture; `aarch64` and `arm64` mean the same, as do `x86_64` and `amd64`."
    )
    distro: LabelValue | None = Field(None, description="Distribution, `cs9` for example.")
    distro_version: Text | None = Field(None, description="Version of the distribution, `9.4` for example.")
    target: LabelValue | None = Field(None, description="One of the boards that an image is for.")
    phase: Phase | None = Field(None, description="Where an entry stands in its life.")
    tags: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=_TAG_LIST)] | None = Field(
        None, description="Comma list; an entry carries all of them."
    )
    bootc_capable: QueryFlag | None = Field(None, description="Whether bootc can run the image.")
    recalled: QueryFlag | None = Field(None, description="Whether the current content, or a part of it, is recalled.")
    min_availability: QueryShare | None = Field(
        None,
        description="Least share of known time that the image was there for, as of its last check, `0.995` for "
        "example; an entry of which nothing is known has none.",
    )
    availability_window: AvailabilityWindow = Field(
        AvailabilityWindow.DAY, description="Time that `minAvailability` and `sort=availability` count over."
    )
    build_mode: Literal["bootc", "image", "package"] | None = Field(
        None, description="How automotive-image-builder built the image."
    )
    digest: Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)] | None = Field(
        None, description="Digest that the entry is pinned to or was found to have."
    )
    registry_url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE_LENGTH)] | None = Field(
        None, description="Reference of the image, as written in the entry or any other spelling of the same."
    )
    kernel_version: Text | None = Field(None, description="Version of the kernel in the image.")
    source_image_build: (
        Annotated[str, StringConstraints(max_length=317, pattern=rf"^(?:{LABEL_PATTERN[1:-1]}/)?{_NAME}$")] | None
    ) = Field(None, description="ImageBuild that made the image: `name` or `namespace/name`.")
    schedule: LabelValue | None = Field(None, description="Schedule that made the image's build.")
    q: Text | None = Field(None, description="Part of the name, the reference or a tag, in any case.")
    latest: QueryFlag = Field(
        default=False,
        description="Only the newest of what the other filters leave, of each schedule or else of each distro, "
        "architecture and target: the one published last, and within one second the one built last.",
    )
    as_of: QueryMoment | None = Field(
        None,
        description="The catalog as it was at that time, as far as the audit knew it then: a time of RFC 3339, or an "
        "age such as `7d`.",
    )
    sort: Sort = Field(Sort.PUBLISHED, description="What the entries are sorted by.")
    order: Order | None = Field(
        None, description="Absent: `asc` for `name`, else `desc` (newest, largest or most available first)."
    )

    @field_validator("registry_url")
    @classmethod
    def _is_a_reference(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                Reference.parse(value)
            except InvalidReferenceError as e:
                raise ValueError(e.message) from e
        return value

    def to_index(self, namespace: str | None, after: Position | None) -> Query:
        """Return what the index is asked.

        Parameters
        ----------
        namespace
            Where to look; `None` for everywhere.
        after
            Where the page before ended.
        """
        return Query(
            namespace=namespace,
            architecture=self.architecture,
            distro=self.distro,
            distro_version=self.distro_version,
            target=self.target,
            phase=None if self.phase is None else self.phase.value,
            build_mode=self.build_mode,
            digest=self.digest,
            registry_url=self.registry_url,
            kernel_version=self.kernel_version,
            source_image_build=self.source_image_build,
            schedule=self.schedule,
            q=self.q,
            tags=tuple([tag.strip(" ") for tag in self.tags.split(",")]) if self.tags else (),
            bootc_capable=self.bootc_capable,
            recalled=self.recalled,
            min_availability=self.min_availability,
            availability_window=self.availability_window,
            latest=self.latest,
            sort=self.sort,
            descending=None if self.order is None else self.order is Order.DESCENDING,
            limit=self.limit,
            after=after,
        )
