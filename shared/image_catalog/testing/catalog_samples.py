"""CatalogImages as a catalog in use holds them, any number, the same ones for the same seed.

They are the objects that a watch delivers once publish and verify are done
with them: about 3 KB of JSON each, with labels, conditions, what the
registry said and the version before. Tests, benchmarks and fuzzing fill a
catalog with them; nothing stands behind their references.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from image_catalog.models import Reference, format_time, normalise_architecture
from image_catalog.models.names import (
    ANNOTATION_DIGEST_PINNED_BY,
    API_VERSION,
    FINALIZER,
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
    PINNED_BY_PUBLISH,
)

__all__ = ["ARCHITECTURES", "DISTROS", "NAMESPACES", "PHASES", "TAGS", "TARGETS", "sample_image", "sample_images"]

NAMESPACES = ("automotive", "cockpit", "adas", "gateway", "infotainment", "qa", "releases", "sandbox")
"""Namespaces of the samples; the first have the most entries."""
ARCHITECTURES = ("arm64", "arm64", "aarch64", "amd64", "x86_64")
"""Architectures as people write them, in the shares that they have."""
DISTROS = ("autosd9", "autosd10", "cs9", "cs10", "eln", "f43", "rhivos1", "rhivos2")
"""Distributions of the samples."""
TARGETS = (
    "raspberry-pi4",
    "rcar_s4",
    "ride4_sa8775p_sx",
    "j784s4evm",
    "qemu",
    "abootqemu",
    "beagleplay",
    "s32g_vnp_rdb3",
)
"""Boards of the samples."""
PHASES = ("Available",) * 17 + ("Unavailable", "Failed", "Verifying")
"""Phases in the shares that they have."""
TAGS = ("production", "staging", "nightly", "qualified", "demo", "lts")
"""Tags of the samples."""

_HOSTS = (
    ("quay.io", "quay"),
    ("image-registry.openshift-image-registry.svc:5000", "openshift-internal"),
    ("ghcr.io", "ghcr"),
    ("registry.example.com", "generic"),
)
_SCHEDULED, _REPUBLISHED, _TESTED = 0.3, 0.25, 0.1
"""Shares: of entries that a schedule made, of those with a version before, of targets that somebody tested."""
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_CONDITIONS = (
    ("Available", "RegistryAnswered", "the registry has the image"),
    ("Verified", "Verified", "every manifest is there"),
    ("DigestMatched", "Pinned", "the digest is the one that is pinned"),
    ("MetadataConsistent", "Consistent", "person and registry say the same"),
    ("Ready", "Available", "the image can be used"),
)


def sample_images(
    count: int, *, seed: int = 0, first: int = 0, namespaces: Sequence[str] = NAMESPACES
) -> Iterator[dict[str, Any]]:
    """Give entries, one after another, each as the API server would.

    Parameters
    ----------
    count
        How many.
    seed
        Another seed gives other entries; the same gives the same ones.
    first
        Number of the first, to add to what an earlier call gave. Entries with
        the same number have the same name, whatever the seed.
    namespaces
        Namespaces that the entries are in.
    """
    for number in range(first, first + count):
        yield sample_image(number, seed=seed, namespaces=namespaces)


def sample_image(number: int, *, seed: int = 0, namespaces: Sequence[str] = NAMESPACES) -> dict[str, Any]:
    """Give the entry with a number, as the API server would.

    Parameters
    ----------
    number
        Which one, from 0. It is part of the name, and greater ones have a
        greater resource version.
    seed
        Seed of everything else.
    namespaces
        Namespaces that the entries are in; the first ones get more.
    """
    # Seeded by a number and not by a tuple: that works without hashing, which differs between processes.
    chance = random.Random((seed << 40) + number)  # noqa: S311 - samples, not secrets
    distro, architecture = chance.choice(DISTROS), chance.choice(ARCHITECTURES)
    targets = chance.sample(TARGETS, k=chance.choice((1, 1, 1, 2, 3)))
    name = f"{distro}-{targets[0].replace('_', '-')}-{architecture.replace('_', '-')}-{number}"
    namespace = namespaces[min(chance.randrange(len(namespaces)), chance.randrange(len(namespaces)))]
    published = _EPOCH + timedelta(seconds=chance.randrange(300 * 86_400))
    host, kind = chance.choice(_HOSTS)
    url = f"{host}/{namespace}/{distro}-{targets[0]}:{published:%Y%m%d}.{number}"
    digest = _digest(seed, number, 0)
    phase, mode = chance.choice(PHASES), chance.choice(("bootc", "image", "package"))
    schedule = f"nightly-{distro}-{targets[0]}" if chance.random() < _SCHEDULED else None
    metadata = _metadata(chance, distro, architecture, targets=targets, mode=mode)
    build = {
        "name": f"build-{distro}-{number}",
        "namespace": namespace,
        "uid": _uid(seed, number, 1),
        "completionTime": format_time(published - timedelta(seconds=4)),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "CatalogImage",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": _uid(seed, number, 0),
            "resourceVersion": str(1000 + number),
            "generation": 2,
            "creationTimestamp": format_time(published - timedelta(seconds=1)),
            "labels": _labels(metadata, targets, url=url, kind=kind, schedule=schedule),
            "annotations": {ANNOTATION_DIGEST_PINNED_BY: PINNED_BY_PUBLISH},
            "finalizers": [FINALIZER],
            "managedFields": [{"manager": "image-catalog", "operation": "Update", "fieldsType": "FieldsV1"}],
        },
        "spec": {
            "registryUrl": url,
            "digest": digest,
            "tags": sorted(chance.sample(TAGS, k=chance.randrange(4))),
            "authSecretRef": {"name": f"{kind}-pull"},
            "verificationInterval": "1h",
            "verifyBlobs": False,
            "driftPolicy": "alert",
            "metadata": metadata,
        },
        "status": _status(chance, metadata, phase=phase, digest=digest, published=published)
        | {
            "sourceImageBuild": build,
            "history": [_version(seed, number, published)] if chance.random() < _REPUBLISHED else [],
            "accessCount": chance.randrange(50),
        },
    }


def _metadata(
    chance: random.Random, distro: str, architecture: str, *, targets: list[str], mode: str
) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "distro": distro,
        "distroVersion": f"{distro[-1]}.{chance.randrange(8)}",
        "kernelVersion": f"6.{chance.randrange(6, 18)}.0-{chance.randrange(40)}.{distro}",
        "targets": [{"name": target, "verified": chance.random() < _TESTED} for target in targets],
        "bootcCapable": mode == "bootc",
        "buildMode": mode,
        "exportFormat": chance.choice(("qcow2", "raw", "simg")),
    }


def _labels(
    metadata: dict[str, Any], targets: list[str], *, url: str, kind: str, schedule: str | None
) -> dict[str, str]:
    architecture = normalise_architecture(metadata["architecture"])
    return {
        LABEL_ARCHITECTURE: architecture,
        f"{LABEL_ARCHITECTURE_PREFIX}{architecture}": "true",
        LABEL_DISTRO: metadata["distro"],
        LABEL_TARGET: targets[0],
        LABEL_BOOTC_CAPABLE: str(metadata["bootcCapable"]).lower(),
        LABEL_REGISTRY_TYPE: kind,
        LABEL_SOURCE_TYPE: "scheduled" if schedule else "imagebuild",
        LABEL_REFERENCE_HASH: Reference.parse(url).identity_hash[:40],
        **{f"{LABEL_TARGET_PREFIX}{target}": "true" for target in targets},
        **({LABEL_SCHEDULE: schedule} if schedule else {}),
    }


def _status(
    chance: random.Random, metadata: dict[str, Any], *, phase: str, digest: str, published: datetime
) -> dict[str, Any]:
    verified = published + timedelta(seconds=chance.randrange(1, 86_400))
    good, size = phase == "Available", chance.randrange(200_000_000, 4_000_000_000)
    return {
        "observedGeneration": 2,
        "phase": phase,
        "conditions": [
            {
                "type": condition,
                "status": "True" if good else "False",
                "reason": reason if good else "RegistryUnavailable",
                "message": message if good else "the registry did not answer",
                "lastTransitionTime": format_time(verified),
                "observedGeneration": 2,
            }
            for condition, reason, message in _CONDITIONS
        ],
        "registryMetadata": {
            "resolvedDigest": digest,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "sizeBytes": size,
            "layerCount": chance.randrange(1, 60),
            "platform": {"architecture": normalise_architecture(metadata["architecture"]), "os": "linux"},
            "createdAt": format_time(published - timedelta(minutes=20)),
            "isMultiArch": False,
            "platformVariants": [],
            "annotations": {},
            "lastVerified": format_time(verified),
        },
        "effectiveMetadata": {
            "architecture": normalise_architecture(metadata["architecture"]),
            "distro": metadata["distro"],
            "targets": [target["name"] for target in metadata["targets"]],
            "bootcCapable": metadata["bootcCapable"],
            "exportFormat": metadata["exportFormat"],
        },
        "lastVerificationTime": format_time(verified),
        "nextVerificationTime": format_time(verified + timedelta(hours=1)),
        "verificationFailures": 0 if good else 3,
        "verifiedInputs": digest[-32:],
        "publishedAt": format_time(published),
        "recentChanges": [],
    }


def _version(seed: int, number: int, published: datetime) -> dict[str, Any]:
    return {
        "digest": _digest(seed, number, 1),
        "publishedAt": format_time(published - timedelta(days=7)),
        "supersededAt": format_time(published),
    }


def _digest(*parts: int) -> str:
    return f"sha256:{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def _uid(*parts: int) -> str:
    text = hashlib.sha256(repr(parts).encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"
