"""What is on the local stack from the start: images in its registry, and builds in its cluster."""

from image_catalog.local.samples._builds import SAMPLE_BUILDS, create_builds
from image_catalog.local.samples._images import PRIVATE_REFERENCE, PRIVATE_REPOSITORY, PRIVATE_USER, push_samples

__all__ = [
    "PRIVATE_REFERENCE",
    "PRIVATE_REPOSITORY",
    "PRIVATE_USER",
    "SAMPLE_BUILDS",
    "create_builds",
    "push_samples",
]
