"""The block of facts below the steps: labels to the left, values in one column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from image_catalog.cli.output import size_text
from image_catalog.cli.steps import one_line

__all__ = ["check_facts", "image_facts", "summary"]

Facts = list[tuple[str, str]]


def summary(facts: Iterable[tuple[str, str]]) -> str:
    """Return facts as aligned lines; those without a value are left out.

    Parameters
    ----------
    facts
        Label and value, in order.
    """
    known = [(f"{label}:", one_line(value)) for label, value in facts if value]
    width = max((len(label) for label, _ in known), default=0) + 2
    return "\n".join(f"{label:<{width}}{value}" for label, value in known)


def image_facts(image: Mapping[str, Any]) -> Facts:
    """Return what is shown of an entry that was just written.

    Parameters
    ----------
    image
        The entry as the API answered with it.
    """
    spec, status = image.get("spec") or {}, image.get("status") or {}
    metadata = spec.get("metadata") or {}
    return [
        ("Catalog Image", str((image.get("metadata") or {}).get("name", ""))),
        ("Registry URL", spec.get("registryUrl", "")),
        ("Architecture", _architectures(metadata, status.get("registryMetadata") or {})),
        ("Distro", metadata.get("distro") or ""),
        ("Target", ", ".join(target["name"] for target in metadata.get("targets") or ())),
        ("Status", _status(status)),
    ]


def check_facts(answer: Mapping[str, Any]) -> Facts:
    """Return what is shown of a check.

    Parameters
    ----------
    answer
        The API's answer to a verification, or to a reference that was to be explained.
    """
    size, layers = answer.get("sizeBytes"), answer.get("layerCount")
    return [
        ("Registry URL", answer.get("registryUrl") or ""),
        ("Resolved Digest", answer.get("resolvedDigest") or ""),
        ("Size", "" if size is None else size_text(size)),
        ("Layers", "" if layers is None else str(layers)),
        ("Last Verified", answer.get("lastVerified") or ""),
        ("Status", _with_reason(answer.get("phase"), answer.get("reason"))),
    ]


def _architectures(metadata: Mapping[str, Any], registry: Mapping[str, Any]) -> str:
    """Return every architecture that the registry has, else what was said of the image."""
    platforms = registry.get("platformVariants") or [registry.get("platform") or {}]
    found = [platform.get("architecture") for platform in platforms]
    return ", ".join(dict.fromkeys(filter(None, found))) or metadata.get("architecture") or ""


def _status(status: Mapping[str, Any]) -> str:
    conditions = status.get("conditions") or ()
    reason = next((c.get("reason") for c in conditions if c.get("type") == "Available"), None)
    return _with_reason(status.get("phase"), reason)


def _with_reason(phase: str | None, reason: str | None) -> str:
    shown = phase or "Pending"
    return f"{shown} ({reason})" if reason and shown in {"Unavailable", "Failed"} else shown
