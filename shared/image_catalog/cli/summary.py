"""The block of facts below the steps: labels to the left, values in one column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from image_catalog.cli.boards import board_text
from image_catalog.cli.output import size_text
from image_catalog.cli.steps import one_line

__all__ = ["available_condition", "check_facts", "image_facts", "is_in_trouble", "summary"]

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
    effective = status.get("effectiveMetadata") or _said(spec.get("metadata") or {})
    return [
        ("Catalog Image", str((image.get("metadata") or {}).get("name", ""))),
        ("Registry URL", spec.get("registryUrl", "")),
        ("Architecture", effective.get("architecture", "").replace(",", ", ")),
        ("Distro", effective.get("distro") or ""),
        ("Target", ", ".join(_boards(effective.get("targets") or (), status.get("targets") or ()))),
        ("Status", _with_reason(status.get("phase"), available_condition(status).get("reason"))),
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


def _boards(names: Iterable[str], told: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Return the boards that the image is for, each with what its tests say."""
    tested, now = {target["name"]: target for target in told}, datetime.now(UTC)
    return (board_text(tested.get(name, {"name": name}), now) for name in names)


def _said(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a person said of an image that the functions have not looked at yet, as its status will say it."""
    return {**metadata, "targets": [target["name"] for target in metadata.get("targets") or ()]}


def is_in_trouble(phase: str | None) -> bool:
    """Return whether a phase comes with the reason for it."""
    return phase in {"Unavailable", "Failed"}


def available_condition(status: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what an entry's status says of why it is available or not; nothing where it does not say."""
    return next((c for c in status.get("conditions") or () if c.get("type") == "Available"), {})


def _with_reason(phase: str | None, reason: str | None) -> str:
    shown = phase or "Pending"
    return f"{shown} ({reason})" if reason and is_in_trouble(shown) else shown
