"""What a simulated world is made of: a few images, two registries, two namespaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from image_catalog.local.registry import SampleImage

__all__ = ["FUNCTIONS", "HOSTS", "IMAGES", "NAMESPACES", "PRIVATE_HOST", "Image", "sample"]

NAMESPACES = ("team-a", "team-b")
"""Where builds and entries are."""

FUNCTIONS = ("publish", "verify", "reverify", "cleanup")
"""What has something to do in every world."""

PRIVATE_HOST = "registry.acme.example"
"""The registry that shows its images to nobody without a credential."""

HOSTS = ("quay.io", PRIVATE_HOST)
"""The registries."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a tag names.

    Attributes
    ----------
    host, repository, tag
        The parts of its reference.
    """

    host: str
    repository: str
    tag: str

    @property
    def reference(self) -> str:
        """The whole of it."""
        return f"{self.host}/{self.repository}:{self.tag}"


IMAGES = (
    Image("quay.io", "acme/autosd", "cs9"),
    Image("quay.io", "acme/autosd", "nightly"),
    Image("quay.io", "acme/ivi", "1.0"),
    Image(PRIVATE_HOST, "vehicles/adas", "stable"),
    Image("quay.io", "vehicles/gateway", "2.1"),
    Image("quay.io", "acme/cockpit", "main"),
)
"""The images, by the numbers that actions name them with."""


@cache
def sample(content: int) -> SampleImage:
    """Return the content of a number; the same everywhere, and for ever."""
    return SampleImage(name=f"content-{content}")
