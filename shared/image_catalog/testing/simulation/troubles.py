"""What goes wrong in a simulated world.

Some faults come at a time. The others wait for their moment, which is named in
the terms of the story (the third patch that ``publish`` sends, the second
update of an entry), so that it stays the same moment when other actions are
left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from image_catalog.testing.simulation.actions import Action, Ambush, Deed

__all__ = [
    "EFFECTS",
    "FAULTS",
    "BrokerClosed",
    "CallTrouble",
    "CredentialRotated",
    "EventTrouble",
    "Frozen",
    "FunctionRestarted",
    "Killed",
    "RegistryTrouble",
    "SinkTrouble",
    "SourceStopped",
]

EFFECTS = ("CONFLICT", "TIMEOUT_BEFORE", "TIMEOUT_AFTER", "UNAVAILABLE", "INTERNAL", "THROTTLED", "GONE")
"""Names of the `image_catalog.testing.cluster_faults.Effect` that strike here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRotated(Deed):
    """A registry's password changes; the Secret learns of it so many seconds later."""

    mended_after: float

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return "credential rotated"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTrouble(Deed):
    """A registry misbehaves for some seconds.

    ``kind`` is ``down``, ``hangs``, ``slow``, ``cuts``, ``unavailable``, ``broken``,
    ``throttles``, ``denies`` or ``lies``.
    """

    KINDS: ClassVar[tuple[str, ...]] = (
        "down",
        "hangs",
        "slow",
        "cuts",
        "unavailable",
        "broken",
        "throttles",
        "denies",
        "lies",
    )

    host: str
    kind: str
    lasts: float

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return f"registry {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStopped(Deed):
    """The sources of cluster events are away for some seconds, and replay nothing."""

    lasts: float

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return "source stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerClosed(Deed):
    """The broker takes no events for some seconds."""

    lasts: float

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return "broker closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRestarted(Deed):
    """A function's process is killed, whatever it is doing, and starts anew with its next event."""

    function: str

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return "function restarted"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTrouble(Ambush):
    """Calls of the API server fail; the fields are those of `image_catalog.testing.cluster_faults.Fault`.

    ``effect`` is the name of an `image_catalog.testing.cluster_faults.Effect`.
    """

    effect: str
    actor: str
    verb: str
    resource: str
    subresource: str | None = None
    nth: int = 1
    times: int = 1

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return f"call {self.effect.lower().replace('_', ' ')}"

    def simpler(self) -> Iterator[Action]:
        """Yield what strikes once."""
        if self.times > 1:
            yield replace(self, times=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed(Ambush):
    """A function dies in one of its deliveries, before or after its so-many-th request to whomever.

    Attributes
    ----------
    function
        Its name.
    delivery
        Which of its deliveries in which it asks anybody anything, counted from 1.
    request
        Which of the requests that it makes in it, counted from 1.
    after
        Whether the request is carried out.
    gently
        Whether only this delivery is cancelled, which may clean up behind
        itself, as at the end of a graceful shutdown; else the process is gone.
    """

    function: str
    delivery: int
    request: int
    after: bool = False
    gently: bool = False

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return "delivery cancelled" if self.gently else "function killed"

    def simpler(self) -> Iterator[Action]:
        """Yield the plain death before the gentle end."""
        if self.gently:
            yield replace(self, gently=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen(Ambush):
    """A function's process is stopped before, or after, one of its requests, and wakes so many seconds later.

    The other fields are those of `Killed`.
    """

    function: str
    delivery: int
    request: int
    seconds: float
    after: bool = False

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return "function frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrouble(Ambush):
    """An event does not come as it should.

    Attributes
    ----------
    event
        What it is, ``CatalogImage update`` or ``image.published`` for example.
    nth
        Which of these, counted from 1.
    kind
        ``lost``, ``twice`` or ``late``.
    delay
        How many seconds later it comes, or comes again.
    function
        Whom it concerns; empty for everybody.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("lost", "twice", "late")

    event: str
    nth: int
    kind: str
    delay: float = 0.0
    function: str = ""

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        what = "tick" if self.event.startswith("tick") else "event"
        return f"{what} {self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkTrouble(Ambush):
    """The broker refuses an event that a function emits, or takes it and says nothing.

    ``kind`` is ``refused``, ``unheard`` (taken, but the answer is lost) or ``unreachable``.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("refused", "unheard", "unreachable")

    function: str
    nth: int
    kind: str

    @property
    def fault(self) -> str | None:
        """Which kind of fault this is."""
        return f"sink {self.kind}"


FAULTS: tuple[str, ...] = (
    "credential rotated",
    *(f"registry {kind}" for kind in RegistryTrouble.KINDS),
    "source stopped",
    "broker closed",
    "function restarted",
    *(f"call {effect.lower().replace('_', ' ')}" for effect in EFFECTS),
    "function killed",
    "function frozen",
    "delivery cancelled",
    *(f"event {kind}" for kind in EventTrouble.KINDS),
    *(f"tick {kind}" for kind in EventTrouble.KINDS),
    *(f"sink {kind}" for kind in SinkTrouble.KINDS),
)
"""Every kind of fault, as `Action.fault` names it."""
