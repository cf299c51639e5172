"""Bodies and answers that the OpenAPI document shows; the tests send and read each of them."""

from __future__ import annotations

from typing import Any, Final

from image_catalog.events import EventType

__all__ = [
    "ADD",
    "EDIT",
    "EXPLAIN",
    "FLAT_ADD",
    "FLAT_PUBLISH",
    "PROMOTE",
    "PUBLISH",
    "RECALL",
    "RESTORE",
    "STRUCTURED",
    "batch",
]

ADD: Final[dict[str, Any]] = {
    "name": "reference-cs9",
    "spec": {
        "registryUrl": "quay.io/acme/autosd:cs9-qemu",
        "tags": ["reference"],
        "metadata": {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "qemu"}]},
    },
    "labels": {"team": "platform"},
}

EDIT: Final[dict[str, Any]] = {
    "spec": {
        "registryUrl": "quay.io/acme/autosd:cs9-qemu",
        "tags": ["reference", "production"],
        "verificationInterval": "6h",
    },
    "resourceVersion": "4711",
}

PUBLISH: Final[dict[str, Any]] = {
    "imageBuildName": "nightly-4102",
    "imageBuildNamespace": "default",
    "catalogImageName": "autosd-cs9-rpi4",
    "tags": ["nightly"],
}

_DIGEST: Final = "sha256:9b74c9897bac770ffc029102a200c5de3c4a4a5f6a1f9a3f0f6d1f9c0c6e2a51"

RECALL: Final[dict[str, Any]] = {"digest": _DIGEST, "reason": "the brake controller does not answer on CAN bus 2"}

RESTORE: Final[dict[str, Any]] = {"digest": _DIGEST, "reason": "it was the test bench's cable"}

PROMOTE: Final[dict[str, Any]] = {"namespace": "production", "name": "autosd-cs9-rpi4", "tags": ["production"]}

EXPLAIN: Final[dict[str, Any]] = {"registryUrl": "quay.io/acme/autosd:cs9-qemu", "deep": False}

FLAT_ADD: Final[dict[str, Any]] = {
    "name": "reference-cs9",
    "registryUrl": "quay.io/acme/autosd:cs9-qemu",
    "architecture": "arm64",
    "distro": "cs9",
    "targets": [{"name": "qemu"}],
    "tags": ["reference"],
}

FLAT_PUBLISH: Final[dict[str, Any]] = {"imageBuildName": "nightly-4102", "tags": ["nightly"]}

STRUCTURED: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "run-4711",
    "source": "/ci/nightly",
    "type": str(EventType.PUBLISH_REQUESTED),
    "datacontenttype": "application/json",
    "data": {"registryUrl": "quay.io/acme/autosd:nightly", "tags": ["nightly"]},
}


def batch() -> list[dict[str, Any]]:
    """Return a batch of two events."""
    check = {
        "id": "run-4712",
        "type": str(EventType.VERIFICATION_REQUESTED),
        "data": {"name": "autosd-cs9-rpi4", "namespace": "default"},
    }
    return [STRUCTURED, STRUCTURED | check]
