"""What somebody wants of an image for a board."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Wish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an image must be; `None` where anything will do.

    Attributes
    ----------
    target
        The board.
    namespace
        Where to look; `None` for every namespace.
    distro, distro_version, build_mode, bootc_capable
        What must hold of the image.
    architecture
        OCI name of the platform that the board runs.
    tags
        All of which the entry carries.
    verified_only
        Whether the image must be known to work on the board.
    min_availability
        Share of time, from 0 to 1, that it must have been there; unknown is not enough.
    published_since
        When it must have been published at the earliest.
    """

    target: str
    namespace: str | None = None
    distro: str | None = None
    distro_version: str | None = None
    architecture: str | None = None
    tags: tuple[str, ...] = ()
    build_mode: str | None = None
    bootc_capable: bool | None = None
    verified_only: bool = False
    min_availability: float | None = None
    published_since: datetime | None = None
