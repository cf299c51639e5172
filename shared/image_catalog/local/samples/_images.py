"""Images that are in the local registry from the start, so that there is something to publish."""

from __future__ import annotations

from image_catalog.local.registry import Sample, SampleArtifact, SampleImage, SampleIndex

__all__ = ["PRIVATE_REFERENCE", "PRIVATE_REPOSITORY", "PRIVATE_USER", "push_samples"]

_AUTOSD = "centos-automotive/autosd"
_DISK = "centos-automotive/autosd-disk"
"""What the build of a container image exported beside it: the files that a board is flashed with."""

PRIVATE_REPOSITORY = "automotive"
"""The repository that asks for a password."""

PRIVATE_USER = "myuser"
"""Whose password that is."""

_PRIVATE_TAG = "v1.0.0"

PRIVATE_REFERENCE = f"private-registry.example.com/{PRIVATE_REPOSITORY}:{_PRIVATE_TAG}"
"""How people name its image."""


async def push_samples(registry_url: str, *, password: str | None = None) -> list[str]:
    """Push the samples and return the references of the public ones, as people name them.

    Parameters
    ----------
    registry_url
        Where the registry that answers for quay.io listens.
    password
        What the private repository asks `PRIVATE_USER` for; its image is left out when absent.
    """
    for (repository, tag), sample in _public().items():
        await sample.push(registry_url, repository, tag)
    if password is not None:
        auth = (PRIVATE_USER, password)
        await SampleImage(name=PRIVATE_REPOSITORY).push(registry_url, PRIVATE_REPOSITORY, _PRIVATE_TAG, auth=auth)
    return [f"quay.io/{repository}:{tag}" for repository, tag in _public()]


def _public() -> dict[tuple[str, str], Sample]:
    """Return the images, each with content of its own: one digest for two of them would tell nothing apart."""
    platforms = {
        (_AUTOSD, "cs9-rpi4"): "arm64",
        (_AUTOSD, "cs9-qemu"): "amd64",
        (_AUTOSD, "cs9-reference"): "amd64",
        (_AUTOSD, "cs9-developer"): "arm64",
        (_AUTOSD, "cs9-nightly"): "amd64",
        (_AUTOSD, "cs9-minimal"): "arm64",
        ("my-org/custom-build", "v1.0.0"): "arm64",
        ("my-org/release", "v2.0.0"): "arm64",
        ("my-org/automotive-image", "v1.0.0"): "arm64",
    }
    images = {at: SampleImage(architecture=platform, name=":".join(at)) for at, platform in platforms.items()}
    both = (SampleImage(architecture="arm64", name="multi"), SampleImage(architecture="amd64", name="multi"))
    disk = SampleArtifact(distro="cs9", target="raspberry-pi", name="autosd-disk")
    return {**images, (_AUTOSD, "cs9-multi"): SampleIndex(both), (_DISK, "cs9-rpi4"): disk}
