"""The labels that entries are found by; an index, never the proof."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from image_catalog.catalog.held import Held
from image_catalog.models import CatalogImage, Reference, RegistryType
from image_catalog.models.names import (
    LABEL_ARCHITECTURE,
    LABEL_ARCHITECTURE_PREFIX,
    LABEL_BOOTC_CAPABLE,
    LABEL_DISTRO,
    LABEL_REFERENCE_HASH,
    LABEL_REGISTRY_TYPE,
    LABEL_SCHEDULE,
    LABEL_SOURCE_TYPE,
    LABEL_TARGET,
    LABEL_TARGET_PREFIX,
)

__all__ = ["Origin", "SourceType", "changed_labels", "reference_hash", "registry_type", "wanted_labels"]

_OPENSHIFT_HOSTS = ("image-registry.openshift-image-registry.svc", "default-route-openshift-image-registry.")


class SourceType(StrEnum):
    """How an image came into the catalog."""

    IMAGE_BUILD = "imagebuild"
    EXTERNAL = "external"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an entry comes from, for its labels."""

    source_type: SourceType
    schedule: str | None = None


def reference_hash(reference: Reference) -> str:
    """Return the part of an identity's hash that a label and a claim's name carry."""
    return reference.identity_hash[:40]


def registry_type(host: str) -> RegistryType:
    """Return what kind of registry a host name belongs to.

    Parameters
    ----------
    host
        Host of a reference, without its port.
    """
    host = host.lower()
    if host.startswith(_OPENSHIFT_HOSTS):
        return RegistryType.OPENSHIFT_INTERNAL
    if host == "quay.io" or host.startswith("quay."):
        return RegistryType.QUAY
    if host == "docker.io":
        return RegistryType.DOCKER_HUB
    if host == "ghcr.io":
        return RegistryType.GHCR
    if host == "public.ecr.aws" or (".dkr.ecr." in host and ".amazonaws." in host):
        return RegistryType.ECR
    return RegistryType.GENERIC


def wanted_labels(
    reference: Reference, held: Held, *, kind: RegistryType | None = None, origin: Origin | None = None
) -> dict[str, str]:
    """Return the labels that an entry shall carry.

    Parameters
    ----------
    reference
        The entry's reference.
    held
        What holds true of the image. One label has one value, so that what there
        may be several of has a label for each too.
    kind
        What a CatalogRegistry says about the host; `None` goes by the host's name.
    origin
        Where the entry comes from; `None` leaves the labels for it as they are.
    """
    labels = {
        LABEL_REGISTRY_TYPE: str(kind or registry_type(reference.host)),
        LABEL_REFERENCE_HASH: reference_hash(reference),
    }
    if held.architectures:
        labels[LABEL_ARCHITECTURE] = held.architectures[0]
        labels |= {f"{LABEL_ARCHITECTURE_PREFIX}{architecture}": "true" for architecture in held.architectures}
    if held.distro:
        labels[LABEL_DISTRO] = held.distro
    if held.targets:
        labels[LABEL_TARGET] = held.targets[0]
        labels |= {f"{LABEL_TARGET_PREFIX}{target}": "true" for target in held.targets}
    if held.bootc_capable is not None:
        labels[LABEL_BOOTC_CAPABLE] = str(held.bootc_capable).lower()
    if origin is not None:
        labels[LABEL_SOURCE_TYPE] = str(origin.source_type)
        if origin.schedule:
            labels[LABEL_SCHEDULE] = origin.schedule
    return labels


def changed_labels(image: CatalogImage, wanted: dict[str, str]) -> dict[str, str]:
    """Return an entry's labels with the wanted ones.

    Labels of ours that no longer hold, targets' above all, are left out, the
    schedule where another origin is wanted; everybody else's stay.
    """
    ours = {LABEL_ARCHITECTURE, LABEL_DISTRO, LABEL_TARGET, LABEL_BOOTC_CAPABLE}
    if LABEL_SOURCE_TYPE in wanted:
        ours.add(LABEL_SCHEDULE)
    kept = {
        key: value
        for key, value in image.metadata.labels.items()
        if key not in ours and not key.startswith((LABEL_ARCHITECTURE_PREFIX, LABEL_TARGET_PREFIX))
    }
    return kept | wanted
