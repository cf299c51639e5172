"""The kinds of records: what can have happened."""

from __future__ import annotations

from typing import Final

from image_catalog.audit import CONSUMING, PRUNED
from image_catalog.events.types import PUBLIC_TYPES

__all__ = ["ADDED", "CHANGED", "KINDS"]

ADDED: Final = "image.added"
"""Somebody made an entry by hand, or the audit has seen one for the first time."""

CHANGED: Final = "image.changed"
"""Somebody edited an entry."""

_NOT_EVENTS: Final = (ADDED, CHANGED, *CONSUMING, PRUNED)

KINDS: Final = tuple(sorted({*(event_type.short for event_type in PUBLIC_TYPES), *_NOT_EVENTS}))
"""Every kind: the short event types, what was done without an event, who was given an image, and what was pruned."""
