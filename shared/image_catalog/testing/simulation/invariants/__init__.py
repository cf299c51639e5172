"""The promises of docs/reliability.md, each an invariant that looks on while the whole catalog runs.

::

    invariants = make_invariants()
    for invariant in invariants:
        invariant.on_change(change)  # raises Violation where a promise is broken
    ...
    for invariant in invariants:
        invariant.at_quiet(quiet)

They share no decision with the code that they judge: tables are written down
a second time, objects are read as they stand on the wire.
"""

from image_catalog.testing.simulation.invariants.all import INVARIANTS, make_invariants
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.records import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    LetterSeen,
    Object,
    Quiet,
    RequestSeen,
    Truth,
    Violation,
)

__all__ = [
    "INVARIANTS",
    "AttemptSeen",
    "ChangeSeen",
    "DeliverySeen",
    "EventSeen",
    "Invariant",
    "LetterSeen",
    "Object",
    "Quiet",
    "RequestSeen",
    "Truth",
    "Violation",
    "make_invariants",
]
