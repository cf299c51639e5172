"""Conditions as Kubernetes keeps them: a transition time that moves only with the status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from image_catalog.models import Condition

__all__ = ["ConditionType", "Finding", "merge_conditions"]

ConditionType = Literal["Available", "Verified", "DigestMatched", "MetadataConsistent", "Ready", "Recalled"]

_Type = TypeVar("_Type", bound=str)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one condition shall say."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def merge_conditions(
    current: Iterable[Condition], findings: Mapping[_Type, Finding], *, generation: int, now: datetime
) -> list[Condition]:
    """Bring conditions up to date.

    Parameters
    ----------
    current
        The conditions as they are.
    findings
        What each condition shall say; a type that is not named keeps what it
        says, stamped with the new generation: `kubectl wait` ignores a
        condition whose generation is behind.
    generation
        Generation of the spec that the conditions speak of.
    now
        Time of the change.

    Returns
    -------
    list of Condition
        Every condition, those that were there first and in their order.
    """
    merged: dict[str, Condition] = {}
    for condition in current:
        merged[condition.type] = condition.model_copy(update={"observed_generation": generation})
    for name, finding in findings.items():
        before = merged.get(name)
        merged[name] = Condition(
            type=name,
            status=finding.status,
            reason=finding.reason,
            message=finding.message,
            last_transition_time=before.last_transition_time if before and before.status == finding.status else now,
            observed_generation=generation,
        )
    return list(merged.values())
