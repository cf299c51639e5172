"""What every invariant is: a promise that looks on, and says when it is broken."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from image_catalog.testing.simulation.invariants.records import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    LetterSeen,
    Quiet,
    RequestSeen,
    Violation,
)

__all__ = ["Invariant"]


class Invariant:
    """A promise, held against everything that happens in one run.

    It keeps what it has to know in its own attributes, so each run needs a
    new one. It looks at nothing but what it is shown, and shares no decision
    with the code that it judges.

    Attributes
    ----------
    name
        What it is called where it is broken.
    outside
        Whether it holds without knowing who did what: from outside a real
        stack changes are seen without their actors, and no deliveries at all.
    """

    name: ClassVar[str]
    outside: ClassVar[bool] = False

    def on_change(self, change: ChangeSeen) -> None:
        """See a change that was committed."""

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """See a delivery begin."""

    def on_event(self, event: EventSeen) -> None:
        """See an event on its way to the broker."""

    def on_request(self, request: RequestSeen) -> None:
        """See a request to a registry."""

    def on_delivery(self, delivery: DeliverySeen) -> None:
        """See a delivery end."""

    def on_letter(self, letter: LetterSeen) -> None:
        """See an event given up."""

    def at_quiet(self, quiet: Quiet) -> None:
        """Look at a world that has come to rest."""

    def broken(self, text: str) -> NoReturn:
        """Say how the promise was broken.

        Raises
        ------
        Violation
            Always.
        """
        raise Violation(self.name, text)
