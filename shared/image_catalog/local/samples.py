"""Images that are in the local registry from the start, so that there is something to publish."""

from __future__ import annotations

from image_catalog.local.registry import SampleImage, SampleIndex

__all__ = ["push_samples"]

_REPOSITORY = "centos-automotive/autosd"


async def push_samples(registry_url: str) -> list[str]:
    """Push the samples and return their references, as people name them.

    Parameters
    ----------
    registry_url
        Where the registry that answers for quay.io listens.
    """
    samples = {
        "cs9-rpi4": SampleImage(architecture="arm64"),
        "cs9-qemu": SampleImage(architecture="amd64"),
        "cs9-multi": SampleIndex((SampleImage(architecture="arm64"), SampleImage(architecture="amd64"))),
    }
    for tag, sample in samples.items():
        await sample.push(registry_url, _REPOSITORY, tag)
    return [f"quay.io/{_REPOSITORY}:{tag}" for tag in samples]
