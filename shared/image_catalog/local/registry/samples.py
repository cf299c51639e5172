"""Sample images made on the spot: small, deterministic, and real enough for every tool that reads images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from image_catalog.local.registry._digest import digest_of
from image_catalog.local.registry._media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from image_catalog.local.registry._sample import Blob, Sample, dump
from image_catalog.local.registry._sample_content import AUTOMOTIVE, disk_layer, file_layer

__all__ = [
    "SAMPLE_CREATED",
    "Blob",
    "Sample",
    "SampleArtifact",
    "SampleAttestation",
    "SampleImage",
    "SampleIndex",
    "disk_layer",
    "file_layer",
]

SAMPLE_CREATED = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
"""When samples say that they were built."""

_IN_TOTO = "application/vnd.in-toto+json"
_DISK_TYPE = "application/vnd.automotive.disk"


class SampleImage(Sample):
    """A container image for one platform.

    Parameters
    ----------
    architecture, os, variant
        The platform, in OCI names.
    created
        Goes into the config.
    labels
        Go into the config.
    annotations
        Go into the manifest.
    layers
        One layer with an ``os-release`` by default.
    name
        Anything: images of different names have different digests.
    docker
        Docker's schema 2 media types instead of OCI's.
    artifact_type
        For an image manifest that says what it is.
    subject
        What this refers to.
    """

    def __init__(
        self,
        *,
        architecture: str = "arm64",
        os: str = "linux",
        variant: str | None = None,
        created: datetime = SAMPLE_CREATED,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        layers: Sequence[Blob] | None = None,
        name: str = "sample",
        docker: bool = False,
        artifact_type: str | None = None,
        subject: Sample | None = None,
    ) -> None:
        self.created = created
        platform = {"architecture": architecture, "os": os} | ({"variant": variant} if variant else {})
        if layers is None:
            release = f'ID=autosd\nVERSION_ID="9"\nIMAGE_ID={name}\n'.encode()
            layers = (file_layer({"etc/os-release": release}, media_type=DOCKER_LAYER if docker else OCI_LAYER),)
        self.config = _config(platform, created, labels or {}, layers)
        content = Blob(content=dump(self.config), media_type=DOCKER_CONFIG if docker else OCI_CONFIG)
        media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        document = _manifest(
            media_type, content, layers, annotations=annotations, artifact_type=artifact_type, subject=subject
        )
        super().__init__(document, media_type=media_type, blobs=(content, *layers), platform=platform)


class SampleAttestation(Sample):
    """What buildx puts beside an image in an index: provenance, under the platform ``unknown/unknown``.

    Parameters
    ----------
    subject
        The image that it attests.
    """

    def __init__(self, subject: Sample) -> None:
        statement = Blob(
            content=dump({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": subject.digest}]}),
            media_type=_IN_TOTO,
            annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"},
        )
        config = Blob(content=dump(_unknown_config(statement)), media_type=OCI_CONFIG)
        document = _manifest(OCI_MANIFEST, config, (statement,))
        platform = {"architecture": "unknown", "os": "unknown"}
        super().__init__(document, media_type=OCI_MANIFEST, blobs=(config, statement), platform=platform)
        self._subject = subject.digest

    @property
    def is_attestation(self) -> bool:
        """Whether an index carries this beside its images rather than as one of them."""
        return True

    def descriptor(self) -> dict[str, Any]:
        """Return the descriptor with the annotations that tell an attestation from an image."""
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": self._subject,
        }
        return super().descriptor() | {"annotations": annotations}


class SampleIndex(Sample):
    """A multi-arch image.

    Parameters
    ----------
    images
        An arm64 and an amd64 image by default. Any sample may be a child,
        another index too.
    annotations
        Go into the index.
    attestations
        Add what buildx adds for each image.
    name
        Anything: indexes of different names have different digests.
    docker
        Docker's manifest list instead of OCI's index.
    subject
        What this refers to.
    """

    def __init__(
        self,
        images: Sequence[Sample] | None = None,
        *,
        annotations: Mapping[str, str] | None = None,
        attestations: bool = False,
        name: str = "sample",
        docker: bool = False,
        subject: Sample | None = None,
    ) -> None:
        if images is None:
            images = [
                SampleImage(architecture=architecture, name=name, docker=docker) for architecture in ("arm64", "amd64")
            ]
        self.images = tuple(images)
        extra = [SampleAttestation(image) for image in images] if attestations else []
        children = (*images, *extra)
        media_type = DOCKER_LIST if docker else OCI_INDEX
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [child.descriptor() for child in children],
        }
        if annotations:
            document["annotations"] = dict(annotations)
        if subject is not None:
            document["subject"] = subject.descriptor()
        super().__init__(document, media_type=media_type, children=children)


class SampleArtifact(Sample):
    """An OCI artifact: a disk image by default, with the annotations that the build operator writes.

    Parameters
    ----------
    distro, target, architecture
        Go into the manifest's annotations.
    partitions
        One layer each, named ``<partition>.img``; an empty sequence gives
        one layer that is the whole disk.
    disk_format
        ``raw``, ``qcow2`` or ``simg``.
    annotations
        More annotations of the manifest; they win over the operator's.
    layers
        Instead of the disk's layers.
    artifact_type
        What it is.
    name
        Anything: artifacts of different names have different digests.
    subject
        What this refers to, for a signature or an SBOM.
    """

    def __init__(
        self,
        *,
        distro: str = "autosd",
        target: str = "qemu",
        architecture: str = "arm64",
        partitions: Sequence[str] = ("boot", "system"),
        disk_format: str = "raw",
        annotations: Mapping[str, str] | None = None,
        layers: Sequence[Blob] | None = None,
        artifact_type: str = _DISK_TYPE,
        name: str = "sample",
        subject: Sample | None = None,
    ) -> None:
        told: dict[str, str] = {}
        if layers is None:
            layers = _disk_layers(name, partitions, disk_format)
            told = _disk_annotations(distro, target, architecture, partitions, disk_format)
        config = Blob(content=b"{}", media_type=OCI_EMPTY)
        document = _manifest(
            OCI_MANIFEST,
            config,
            layers,
            annotations=told | dict(annotations or {}),
            artifact_type=artifact_type,
            subject=subject,
        )
        super().__init__(document, media_type=OCI_MANIFEST, blobs=(config, *layers))


def _manifest(
    media_type: str,
    config: Blob,
    layers: Sequence[Blob],
    *,
    annotations: Mapping[str, str] | None = None,
    artifact_type: str | None = None,
    subject: Sample | None = None,
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    if artifact_type is not None:
        document["artifactType"] = artifact_type
    if annotations:
        document["annotations"] = dict(annotations)
    if subject is not None:
        document["subject"] = subject.descriptor()
    return document


def _config(
    platform: Mapping[str, str], created: datetime, labels: Mapping[str, str], layers: Sequence[Blob]
) -> dict[str, Any]:
    moment = created.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {
        **platform,
        "created": moment,
        "config": {"Labels": dict(labels)} if labels else {},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id or layer.digest for layer in layers]},
        "history": [{"created": moment, "created_by": "image-catalog sample"} for _ in layers],
    }


def _unknown_config(statement: Blob) -> dict[str, Any]:
    rootfs = {"type": "layers", "diff_ids": [digest_of(statement.content)]}
    return {"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}


def _disk_layers(name: str, partitions: Sequence[str], disk_format: str) -> tuple[Blob, ...]:
    def disk(part: str) -> bytes:
        return f"{name}/{part}\n".encode().ljust(4096, b"\0")

    if not partitions:
        return (disk_layer(disk("disk"), name=f"disk.{disk_format}.gz", disk_format=disk_format),)
    return tuple(
        disk_layer(disk(part), name=f"{part}.img.gz", partition=part, disk_format=disk_format) for part in partitions
    )


def _disk_annotations(
    distro: str, target: str, architecture: str, partitions: Sequence[str], disk_format: str
) -> dict[str, str]:
    told = {
        "distro": distro,
        "target": target,
        "arch": architecture,
        "multi-layer": "true" if partitions else "false",
        "export-format": disk_format,
        "aib-version": "1.0.0",
        "builder-image": "quay.io/centos-sig-automotive/automotive-image-builder:latest",
    }
    if partitions:
        told |= {"parts": ",".join(partitions), "default-partitions": ",".join(partitions)}
    return {f"{AUTOMOTIVE}{key}": value for key, value in told.items()}
