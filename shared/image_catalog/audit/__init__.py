"""The durable history of who did what, in a database; the only code that speaks SQL.

`records` and `letters` are what is kept, `chain` what proves that it is as it
was, `store` the door. The modules with an underscore need SQLAlchemy, which a
store loads with its first use: to import this package costs next to nothing.
"""

from image_catalog.audit.chain import Break, BreakKind, Link, Verification, read_links, subject_of
from image_catalog.audit.letters import DeadLetter, LetterState, NewDeadLetter
from image_catalog.audit.records import (
    CARRIED,
    CONFIRMATION,
    CONSUMING,
    PRUNED,
    Consumer,
    NewRecord,
    Outcome,
    Prunable,
    Pruned,
    Record,
    RecordPage,
    RecordQuery,
    State,
    StateChange,
)
from image_catalog.audit.store import AuditStore

__all__ = [
    "CARRIED",
    "CONFIRMATION",
    "CONSUMING",
    "PRUNED",
    "AuditStore",
    "Break",
    "BreakKind",
    "Consumer",
    "DeadLetter",
    "LetterState",
    "Link",
    "NewDeadLetter",
    "NewRecord",
    "Outcome",
    "Prunable",
    "Pruned",
    "Record",
    "RecordPage",
    "RecordQuery",
    "State",
    "StateChange",
    "Verification",
    "read_links",
    "subject_of",
]
