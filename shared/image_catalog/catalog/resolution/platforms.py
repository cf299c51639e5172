"""Which of an entry's images a board is given."""

from __future__ import annotations

from collections.abc import Sequence

from image_catalog.catalog.resolution.candidate import Candidate, PlatformImage

__all__ = ["fitting_platforms"]


def fitting_platforms(candidate: Candidate, architecture: str | None) -> Sequence[PlatformImage]:
    """Return the images of an entry that are of the wanted platform: one, unless that is not said well enough.

    What is not asked for is taken from what a person declared of the entry. An
    index with one platform is that platform, whatever it says of itself.

    Parameters
    ----------
    candidate
        The entry.
    architecture
        OCI name; `None` for the declared one.
    """
    found: Sequence[PlatformImage] = candidate.platforms
    if len(found) <= 1:
        return found
    wanted = architecture or candidate.architecture
    if wanted is not None:
        found = [each for each in found if each.architecture == wanted]
    found = [each for each in found if each.os == candidate.os] or found
    if candidate.variant is not None:
        found = [each for each in found if each.variant == candidate.variant] or found
    return found
