"""What the audit keeps of events and of changes of entries: who did what, when, and how it ended."""

from image_catalog.catalog.chronicle.changes import records_of_change
from image_catalog.catalog.chronicle.events import record_of_event
from image_catalog.catalog.chronicle.kinds import KINDS

__all__ = ["KINDS", "record_of_event", "records_of_change"]
