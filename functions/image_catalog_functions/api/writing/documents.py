"""What the writing calls answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from image_catalog.models import CatalogImage, Phase, TestedTarget
from image_catalog.models.events import Step
from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.reasons import PhaseReason

__all__ = ["EventOutcome", "EventOutcomeList", "Verification", "WrittenImage"]


class WrittenImage(CatalogImage):
    """An entry as it is after a write."""

    steps: list[Step]
    """What was done, step by step; nothing when the answer is about a call that was made again."""


class Verification(KubernetesModel):
    """What a check found."""

    message: str
    """What was found, as a sentence for people."""
    triggered: bool = True
    """That the registry was asked now."""
    steps: list[Step]
    """How each step went."""
    phase: Phase
    """Phase of the entry after the check, or the phase that it would have."""
    reason: PhaseReason
    """Why it is in that phase."""
    registry_url: str
    """The reference that was asked for."""
    resolved_digest: str | None = None
    """Content that the registry has."""
    size_bytes: int | None = None
    """Its size in bytes."""
    layer_count: int | None = None
    """Its layers."""
    last_verified: Time | None = None
    """When the registry was last asked and answered."""


class EventOutcome(KubernetesModel):
    """What became of an event."""

    id: str
    """Id of the event, as its sender gave it; empty for what is no event."""
    type: str
    """Type of the event; empty for what is no event."""
    status: int
    """What the same event alone would have been answered with."""
    outcome: str
    """``published``, ``unchanged``, ``verified``, ``recorded``, ``nothing`` or ``refused``."""
    events: list[dict[str, Any]]
    """The events that it led to, in the JSON format of CloudEvents."""
    target: TestedTarget | None = None
    """What holds of the board now, after the report of a test."""
    problem: dict[str, Any] | None = None
    """Why it was refused: ``reason``, ``detail`` and ``details``."""


class EventOutcomeList(KubernetesModel):
    """What became of each event of a batch, in their order."""

    items: list[EventOutcome]
    """One outcome for each event."""
