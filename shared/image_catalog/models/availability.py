"""For which share of time an image was there, as its entry's status keeps it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel, Time

__all__ = ["Availability", "AvailabilityState", "AvailabilityWindow"]

_SPAN = r"[0-9]{1,2}(-[0-9]{1,2})?:([0-9]{1,5}[MU?])+"
_LOSSES = rf"^({_SPAN}( {_SPAN})*)?$"
"""How many whole hours or days ago, from 0 for the one under way, and how many seconds of it were what."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, from 0 to 1."""


class AvailabilityState(StrEnum):
    """What a check found out about the content that an entry stands for."""

    AVAILABLE = "Available"
    MISSING = "Missing"
    UNREACHABLE = "Unreachable"
    UNKNOWN = "Unknown"


class AvailabilityWindow(StrEnum):
    """The time that availability is counted over."""

    DAY = "24h"
    MONTH = "30d"


class Availability(KubernetesModel):
    """For which share of time the image was there, counted up to the entry's last check."""

    last24h: Annotated[Share | None, Field(alias="last24h")] = None
    """Of the last 24 whole hours and the one under way, the share of known time; absent while none is known."""
    last30d: Annotated[Share | None, Field(alias="last30d")] = None
    """The same of the last 30 whole days (UTC) and the one under way."""
    known24h: Annotated[Share | None, Field(alias="known24h")] = None
    """Which share of the last 24 hours is known at all."""
    known30d: Annotated[Share | None, Field(alias="known30d")] = None
    """Which share of the last 30 days is known at all."""
    since: Time | None = None
    """When counting began."""
    as_of: Time | None = None
    """The check up to which time is counted."""
    state: AvailabilityState | None = None
    """What that check found."""
    held_until: Time | None = None
    """Up to when that counts should no other check come; from then on nothing is known."""
    hours: Annotated[str, Field(pattern=_LOSSES, max_length=512)] | None = None
    """Seconds that were Missing, Unreachable or unknown (?), by how many hours ago; the rest was Available."""
    days: Annotated[str, Field(pattern=_LOSSES, max_length=768)] | None = None
    """The same by how many days ago."""
