"""The faults that wait for their moment, and the recognition of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from image_catalog.events import EventType
from image_catalog.local.knative import CloudEvent
from image_catalog.models.names import PING_SWEEP
from image_catalog.testing.cluster_faults import Call, Effect, Fault
from image_catalog.testing.simulation.actions import Action
from image_catalog.testing.simulation.journal import Journal
from image_catalog.testing.simulation.troubles import CallTrouble, EventTrouble, Frozen, Killed, SinkTrouble

__all__ = ["Ambushes", "label"]

_RESOURCE = "dev.knative.apiserver.resource."


def label(event: CloudEvent) -> str:
    """Name what an event is: ``CatalogImage update``, ``image.published`` or ``tick reverify``."""
    attributes = event.attributes
    if event.type.startswith(_RESOURCE):
        return f"{attributes['kind']} {event.type.removeprefix(_RESOURCE)}"
    if event.type == "dev.knative.sources.ping":
        return "tick sweep" if attributes["source"] == PING_SWEEP else "tick reverify"
    return EventType(event.type).short


class Ambushes:
    """Tells for each thing that happens whether a fault was waiting for it.

    Parameters
    ----------
    actions
        A plan's actions, of which those count that have no time.
    journal
        Learns what struck.
    """

    def __init__(self, actions: Iterable[Action], *, journal: Journal) -> None:
        self._journal = journal
        self.armed = True
        """Whether faults strike (still)."""
        self._calls: list[tuple[CallTrouble, Fault]] = []
        self._deaths: dict[tuple[str, int], list[Killed | Frozen]] = {}
        self._events: dict[tuple[str, int], list[EventTrouble]] = {}
        self._sinks: dict[tuple[str, int], SinkTrouble] = {}
        self._emitted: Counter[str] = Counter()
        for action in actions:
            match action:
                case CallTrouble():
                    self._calls.append((action, _fault(action)))
                case Killed() | Frozen():
                    self._deaths.setdefault((action.function, action.delivery), []).append(action)
                case EventTrouble():
                    self._events.setdefault((action.event, action.nth), []).append(action)
                case SinkTrouble():
                    self._sinks[action.function, action.nth] = action
                case _:
                    pass

    def call(self, call: Call) -> Effect | None:
        """Return how a call of the API server fails, if it does; each fault counts it."""
        if not self.armed:
            return None
        struck = [(action, fault) for action, fault in self._calls if fault.strikes(call)]
        if not struck:
            return None
        action, fault = struck[0]
        effect = fault.effect
        assert isinstance(effect, Effect)  # noqa: S101 - made so below
        place = "/".join(part for part in (call.resource, call.namespace, call.name, call.subresource) if part)
        self._journal.struck(action, f"{call.actor}: {call.verb} {place} meets {effect.value}")
        return effect

    def death(self, function: str, delivery: int, request: int, *, after: bool) -> Killed | Frozen | None:
        """Return how a function ends at one of its requests, or stops for a while, if it does."""
        waiting = self._deaths.get((function, delivery), ()) if self.armed else ()
        for action in waiting:
            if (action.request, action.after) == (request, after):
                return action
        return None

    def event(self, name: str, nth: int) -> tuple[EventTrouble, ...]:
        """Return what befalls an event, if anything does."""
        return tuple(self._events.get((name, nth), ())) if self.armed else ()

    def sink(self, function: str) -> SinkTrouble | None:
        """Return what befalls the next event that a function emits, if anything does; it is counted."""
        self._emitted[function] += 1
        return self._sinks.get((function, self._emitted[function])) if self.armed else None


def _fault(action: CallTrouble) -> Fault:
    return Fault(
        Effect[action.effect],
        verb=action.verb,
        resource=action.resource,
        subresource=action.subresource,
        actor=action.actor,
        nth=action.nth,
        times=action.times,
    )
