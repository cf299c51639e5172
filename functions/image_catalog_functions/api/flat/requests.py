"""What the flat form's calls take."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from image_catalog.catalog.index import Position, Query, Sort
from image_catalog.models.reference import MAX_REFERENCE_LENGTH
from image_catalog.models.wording import Digest, LabelValue
from image_catalog_functions.api.http.names import LABEL_PATTERN, MAX_LABEL, MAX_NAME, NAME_PATTERN
from image_catalog_functions.api.http.parameters import QueryFlag
from image_catalog_functions.api.reading.queries import PageQuery

__all__ = ["FlatAdd", "FlatListQuery", "FlatPublish", "FlatSort"]

_TAG_LIST = r"^[^,]+(,[^,]+)*$"

_Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=NAME_PATTERN)]
_Namespace = Annotated[str, StringConstraints(min_length=1, max_length=MAX_LABEL, pattern=LABEL_PATTERN)]
_Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(max_length=64)]
_Architecture = Literal["amd64", "arm64", "x86_64", "aarch64"]


class FlatSort(StrEnum):
    """What a flat list is sorted by."""

    CREATED = "created"
    NAME = "name"


class FlatListQuery(PageQuery):
    """Which entries are asked for; by default those that can be used, and of those the newest."""

    architecture: _Architecture | None = Field(None, description="Processor architecture, under either of its names.")
    distro: LabelValue | None = Field(None, description="Distribution, `cs9` for example.")
    target: LabelValue | None = Field(None, description="One of the boards that an image is for.")
    phase: Literal["Pending", "Verifying", "Available", "Unavailable", "Failed", "all"] = Field(
        "Available", description="Where the entries stand in their lives; `all` for anywhere."
    )
    tags: Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=_TAG_LIST)] | None = Field(
        None, description="Comma list; an entry carries all of them."
    )
    latest: QueryFlag = Field(default=True, description="The newest per schedule, or per distro, architecture, target.")
    sort: FlatSort = Field(FlatSort.CREATED, description="`created` has the newest publication first.")

    def to_index(self, namespace: str, after: Position | None) -> Query:
        """Return what the index is asked.

        Parameters
        ----------
        namespace
            Where to look.
        after
            Where the page before ended.
        """
        return Query(
            namespace=namespace,
            architecture=self.architecture,
            distro=self.distro,
            target=self.target,
            phase=None if self.phase == "all" else self.phase,
            tags=tuple(tag.strip() for tag in self.tags.split(",")) if self.tags else (),
            latest=self.latest,
            sort=Sort.NAME if self.sort is FlatSort.NAME else Sort.PUBLISHED,
            limit=self.limit,
            after=after,
        )


class _Body(BaseModel):
    # The client is not ours: what a later one says beside this is for a later server.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class FlatBoard(_Body):
    """A board that an image is for."""

    name: LabelValue
    """Name of the board."""
    verified: bool = False
    """Whether somebody has verified the image on it."""
    notes: str | None = None
    """What somebody noted about it."""


class FlatAdd(_Body):
    """An external image."""

    name: _Name
    """Name of the entry."""
    registry_url: Annotated[str, StringConstraints(min_length=1, max_length=MAX_REFERENCE_LENGTH)]
    """Reference of the image, with an explicit host."""
    digest: Digest | None = None
    """Digest to pin the entry to."""
    tags: _Tags = []
    """Words to find the image by."""
    auth_secret_name: _Name | None = None
    """The Secret with the credential for the registry."""
    architecture: _Architecture | None = None
    """Processor architecture."""
    distro: LabelValue | None = None
    """Distribution."""
    distro_version: str | None = None
    """Version of the distribution."""
    targets: Annotated[list[FlatBoard], Field(max_length=64)] = []
    """Boards that the image is for."""
    bootc: bool = False
    """Whether bootc can run the image; false says nothing."""

    def to_entry(self) -> dict[str, Any]:
        """Return the body of the same request in the catalog's own form."""
        metadata = {
            "architecture": self.architecture,
            "distro": self.distro,
            "distroVersion": self.distro_version,
            "targets": [board.model_dump(exclude_none=True) for board in self.targets],
            # The client says false where its user said nothing, and that must not contradict the registry.
            "bootcCapable": self.bootc or None,
        }
        spec = {
            "registryUrl": self.registry_url,
            "digest": self.digest,
            "tags": self.tags,
            "authSecretRef": {"name": self.auth_secret_name} if self.auth_secret_name else None,
            "metadata": {name: value for name, value in metadata.items() if value},
        }
        return {"name": self.name, "spec": {name: value for name, value in spec.items() if value}}


class FlatPublish(_Body):
    """A build that is to be in the catalog."""

    image_build_name: _Name
    """Name of the ImageBuild."""
    image_build_namespace: _Namespace | None = None
    """Said by older clients; the configured namespace when absent."""
    catalog_image_name: _Name | None = None
    """Name of the entry; the build's when absent."""
    tags: _Tags = []
    """Words to find the image by."""
