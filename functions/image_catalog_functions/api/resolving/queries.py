"""What ``GET /resolve`` takes as parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from image_catalog.catalog.resolution import Wish
from image_catalog.models import normalise_architecture
from image_catalog.models.durations import AGE_PATTERN, parse_age
from image_catalog_functions.api.http.parameters import QueryFlag, QueryNumber, QueryShare
from image_catalog_functions.api.reading.queries import MAX_LIMIT, LabelValue, NamespaceQuery, Text

__all__ = ["DEFAULT_REJECTED", "ResolveQuery"]

DEFAULT_REJECTED = 20
"""How many that lost are told of: as many as people read."""


class ResolveQuery(NamespaceQuery):
    """Which image is wanted for a board."""

    target: LabelValue = Field(description="The board.", examples=["raspberry-pi"])
    distro: LabelValue | None = Field(None, description="Distribution, `cs9` for example.")
    distro_version: Text | None = Field(None, description="Version of the distribution, `9.4` for example.")
    architecture: Literal["amd64", "arm64", "x86_64", "aarch64"] | None = Field(
        None, description="Processor architecture of the board; which one of a multi-arch image is taken."
    )
    tag: list[Text] = Field([], max_length=64, description="May be repeated; an entry carries all of them.")
    build_mode: Literal["bootc", "image", "package"] | None = Field(
        None, description="How automotive-image-builder built the image."
    )
    bootc_capable: QueryFlag | None = Field(None, description="Whether bootc can run the image.")
    all_namespaces: QueryFlag = Field(default=False, description="Every namespace; `namespace` is then not looked at.")
    min_availability: QueryShare | None = Field(
        None,
        description="Share of time that the image was there, over 30 days or else 24 hours; unknown is not enough.",
    )
    verified_only: QueryFlag = Field(
        default=False,
        description="Only an image whose last test on the board passed; without a test, of which a person says so.",
    )
    max_age: Annotated[str, StringConstraints(min_length=2, max_length=64, pattern=AGE_PATTERN)] | None = Field(
        None, description="How long ago it was published at most: `30d`, `12h`, `1h30m`, `P30D` or `PT12H`."
    )
    limit: QueryNumber = Field(
        DEFAULT_REJECTED, ge=0, le=MAX_LIMIT, description="How many of those that lost are told of at most."
    )

    def scope(self, default_namespace: str) -> str | None:
        """Return the namespace that is asked about; `None` for all of them."""
        return None if self.all_namespaces else self.namespace or default_namespace

    def to_wish(self, namespace: str | None, now: datetime) -> Wish:
        """Return what is wanted.

        Parameters
        ----------
        namespace
            Where to look; `None` for everywhere.
        now
            The time that ages are counted back from.
        """
        since = None if self.max_age is None else now - parse_age(self.max_age)
        return Wish(
            target=self.target,
            namespace=namespace,
            distro=self.distro,
            distro_version=self.distro_version,
            architecture=None if self.architecture is None else normalise_architecture(self.architecture),
            tags=tuple(dict.fromkeys(self.tag)),
            build_mode=self.build_mode,
            bootc_capable=self.bootc_capable,
            verified_only=self.verified_only,
            min_availability=self.min_availability,
            published_since=since,
        )
