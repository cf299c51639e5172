"""What a simulated world lets its invariants see: everything that happened, in the order in which it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from image_catalog.local.knative import CloudEvent

__all__ = [
    "AttemptSeen",
    "ChangeSeen",
    "DeliverySeen",
    "EventSeen",
    "LetterSeen",
    "Object",
    "Quiet",
    "RequestSeen",
    "Truth",
    "Violation",
]

Object: TypeAlias = Mapping[str, Any]
"""An object as the API server stores it."""


class Violation(AssertionError):  # noqa: N818 - what it is called everywhere; it is a finding and no error of a caller
    """A promise was broken.

    Parameters
    ----------
    name
        Name of the invariant.
    text
        What was seen, as a sentence.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSeen:
    """A change that the API server has committed.

    Attributes
    ----------
    at
        When, by everybody's clock.
    actor
        ServiceAccount of the function that made it; ``person`` for what people
        do, ``operator`` for builds, ``server`` for the API server itself; `None`
        where that cannot be seen, as from outside a real stack.
    delivery
        Number of the delivery in which a function made it.
    plural
        The kind: ``catalogimages``, ``imagebuilds`` or ``leases``.
    kind
        What happened.
    before, after
        The object before and after it; `None` where there was none.
    """

    at: datetime
    actor: str | None
    plural: str
    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    before: Object | None
    after: Object | None
    delivery: int | None = None

    @property
    def object(self) -> Object:
        """The object as it is now, or was last."""
        found = self.after if self.after is not None else self.before
        if found is None:
            raise ValueError("a change of nothing")
        return found

    @property
    def by_function(self) -> bool:
        """Whether a function of the catalog made it."""
        return self.actor in {"publish", "verify", "reverify", "cleanup", "audit"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSeen:
    """A delivery that begins: an event is given to a function.

    Attributes
    ----------
    number
        Counts all deliveries.
    at
        When it began.
    function
        Who gets it.
    event
        What it gets.
    attempt
        How often this function was given this event, counted from 1.
    """

    number: int
    at: datetime
    function: str
    event: CloudEvent
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySeen:
    """A delivery that has ended.

    Attributes
    ----------
    number, function, event, attempt
        As in the `AttemptSeen` before.
    at
        When it ended.
    status
        What the function answered; `None` when it died, or was given up.
    calls
        How often it asked the API server.
    """

    number: int
    at: datetime
    function: str
    event: CloudEvent
    attempt: int = 1
    status: int | None = None
    calls: int = 0

    @property
    def acknowledged(self) -> bool:
        """Whether the broker need not deliver it again."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - what HTTP calls success


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSeen:
    """An event that a function has sent to the broker.

    Attributes
    ----------
    at
        When.
    function, delivery
        Who sent it, while it was given what.
    event
        The event.
    taken
        Whether the broker has it, also where the function never heard of that.
    """

    at: datetime
    function: str
    delivery: int | None
    event: CloudEvent
    taken: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSeen:
    """A request to a registry, or to its token server.

    Attributes
    ----------
    at
        When.
    function, delivery
        Who asked, while it was given what.
    method, host, path
        What was asked.
    status
        What was answered; `None` for no answer.
    digest
        What the answer said that its content is, where it said so.
    """

    at: datetime
    function: str
    delivery: int | None
    method: str
    host: str
    path: str
    status: int | None = 200
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSeen:
    """An event that the broker has given up for one function.

    Attributes
    ----------
    at
        When.
    function
        Who could not take it.
    event
        The event.
    statuses
        What it answered, attempt by attempt; `None` for no answer.
    """

    at: datetime
    function: str
    event: CloudEvent
    statuses: Sequence[int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a registry would say about a reference at this moment.

    Attributes
    ----------
    trouble
        Reasons (`image_catalog.models.events.PhaseReason`) of which one must be
        given, because the registry cannot be asked or denies; empty where it answers.
    tag_digest
        Content of the tag; `None` where there is none.
    pinned_there
        Whether the pinned content can be had.
    blobs_missing
        Whether a config or layer of it is gone.
    """

    trouble: frozenset[str] = frozenset()
    tag_digest: str | None = None
    pinned_there: bool = True
    blobs_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """A world in which nothing has gone wrong, and nobody has done anything, for longer than one interval.

    Attributes
    ----------
    now
        The time.
    objects
        Returns every object of a kind by its plural.
    truth
        Returns what a registry says about an entry's ``registryUrl`` and pin.
    quiet_since
        When the last thing went wrong, or was done by a person.
    """

    now: datetime
    quiet_since: datetime
    objects: Callable[[str], Sequence[Object]]
    truth: Callable[[str, str | None], Truth]
