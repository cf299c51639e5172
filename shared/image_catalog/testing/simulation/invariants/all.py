"""All invariants, and a fresh set of them for each run."""

from __future__ import annotations

from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.builds import (
    EveryBuildHasItsEntry,
    NeverBackToAnOlderBuild,
    PublishedOnce,
)
from image_catalog.testing.simulation.invariants.events import (
    EventsAreEmitted,
    EventsTellOfWrites,
    LettersAreTheLastResort,
    OneIdOneFact,
    PhaseChangesAreOwed,
    RemovalsAreTold,
)
from image_catalog.testing.simulation.invariants.history import GenerationsAreTrue, HistoryIsMonotone, MetadataIsKept
from image_catalog.testing.simulation.invariants.identity import (
    LivingEntriesHoldTheirClaim,
    OneEntryPerImage,
    OptedOutStaysOut,
    RemovedStaysAway,
)
from image_catalog.testing.simulation.invariants.people import PeopleAreHeard
from image_catalog.testing.simulation.invariants.truth import (
    DeletedEntriesAreGone,
    NothingIsLeftWaiting,
    PhaseIsTheTruth,
    ReasonsAreWitnessed,
)
from image_catalog.testing.simulation.invariants.work import (
    ChecksAreSpaced,
    NothingLoops,
    RegistryIsAskedLittle,
    WorkPerEventIsBounded,
)

__all__ = ["INVARIANTS", "make_invariants"]

INVARIANTS: tuple[type[Invariant], ...] = (
    OneEntryPerImage,
    LivingEntriesHoldTheirClaim,
    RemovedStaysAway,
    OptedOutStaysOut,
    EveryBuildHasItsEntry,
    NeverBackToAnOlderBuild,
    PublishedOnce,
    PhaseIsTheTruth,
    ReasonsAreWitnessed,
    NothingIsLeftWaiting,
    DeletedEntriesAreGone,
    PeopleAreHeard,
    HistoryIsMonotone,
    MetadataIsKept,
    GenerationsAreTrue,
    EventsAreEmitted,
    EventsTellOfWrites,
    PhaseChangesAreOwed,
    OneIdOneFact,
    RemovalsAreTold,
    LettersAreTheLastResort,
    RegistryIsAskedLittle,
    ChecksAreSpaced,
    WorkPerEventIsBounded,
    NothingLoops,
)
"""Every promise, in the order of docs/reliability.md."""


def make_invariants(*, outside: bool = False) -> tuple[Invariant, ...]:
    """Make the invariants of one run.

    Parameters
    ----------
    outside
        Only those that can be held against a real stack, of which one sees
        objects and events, and not who did what in which delivery.
    """
    return tuple(kind() for kind in INVARIANTS if kind.outside or not outside)
