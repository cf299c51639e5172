"""An entry in the flat form.

https://github.com/centos-automotive-suite/automotive-dev-operator/blob/main/internal/catalogcontract/models.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from image_catalog.catalog.held import Held
from image_catalog.models import Phase
from image_catalog.models.names import LABEL_SCHEDULE, LABEL_SOURCE_TYPE

__all__ = ["flatten"]

_TROUBLE: Final = (Phase.UNAVAILABLE, Phase.FAILED)
"""Phases that come with the reason for them."""

_TARGET: Final = ("name", "verified", "notes")
_ARTIFACT: Final = ("type", "url", "digest", "sizeBytes", "format")
_VARIANT: Final = ("architecture", "os", "variant", "digest", "sizeBytes")


def flatten(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry in one level, without the fields that have no value.

    Parameters
    ----------
    entry
        The object as the API answers it.
    """
    meta, spec, status = entry["metadata"], entry["spec"], entry.get("status") or {}
    told, labels = spec.get("metadata") or {}, meta.get("labels") or {}
    registry = status.get("registryMetadata") or {}
    artifacts = status.get("artifactRefs") or []
    held = Held.of_object(entry)
    flat = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "registryUrl": spec["registryUrl"],
        "digest": spec.get("digest") or registry.get("resolvedDigest"),
        "tags": spec.get("tags"),
        "phase": status.get("phase") or Phase.PENDING,
        "architecture": ",".join(held.architectures),
        "distro": held.distro,
        "distroVersion": told.get("distroVersion"),
        "targets": _targets(told.get("targets") or (), held, status.get("targets") or ()),
        "bootc": bool(held.bootc_capable),
        "sizeBytes": registry.get("sizeBytes"),
        "layerCount": registry.get("layerCount"),
        "lastVerified": status.get("lastVerificationTime"),
        "publishedAt": status.get("publishedAt"),
        "createdAt": meta["creationTimestamp"],
        "sourceImageBuild": (status.get("sourceImageBuild") or {}).get("name"),
        "sourceType": labels.get(LABEL_SOURCE_TYPE),
        "scheduleName": labels.get(LABEL_SCHEDULE),
        "buildMode": told.get("buildMode"),
        "exportFormat": held.export_format,
        "labels": labels,
        "artifactRefs": [_fields(artifact, _ARTIFACT) for artifact in artifacts],
        "downloadUrl": artifacts[0]["url"] if artifacts else spec["registryUrl"],
        "isMultiArch": registry.get("isMultiArch"),
        "platformVariants": [_fields(variant, _VARIANT) for variant in registry.get("platformVariants") or ()],
        "accessCount": status.get("accessCount"),
        **_trouble(status),
    }
    return {name: value for name, value in flat.items() if value or name in _ALWAYS}


_ALWAYS: Final = frozenset({"name", "namespace", "registryUrl", "phase", "bootc", "createdAt"})
"""Fields that are there without a value too; a Go program takes any other that is absent for empty."""


def _targets(
    told: Iterable[Mapping[str, Any]], held: Held, tested: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the boards that the image is for, each with what is said of it, and whether tests bear that out."""
    said = {target.get("name"): target for target in told}
    # Of an entry that no function has looked at yet, what somebody said is all there is.
    verified = {target["name"]: {"verified": target["verified"]} for target in tested}
    return [
        _fields({"name": name} | dict(said.get(name, {})) | verified.get(name, {}), _TARGET)
        for name in dict.fromkeys(held.targets)
    ]


def _fields(value: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value[name] for name in names if value.get(name) is not None}


def _trouble(status: Mapping[str, Any]) -> dict[str, Any]:
    """Say why an image cannot, or must not, be used, where that is so."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Recalled" and condition.get("status") == "True":
            return {"recalled": True, "statusReason": "Recalled", "statusMessage": condition.get("message")}
    if status.get("phase") not in _TROUBLE:
        return {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Available" and condition.get("status") == "False":
            return {"statusReason": condition.get("reason"), "statusMessage": condition.get("message")}
    return {}
