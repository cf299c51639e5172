"""Watches the cluster from outside, as ``kubectl get -w`` does, and what the broker tells of its deliveries."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, LEASE, Changed, KubernetesAPI, Relisted, ResourceKind
from image_catalog.events import PREFIX
from image_catalog.local.knative import CloudEvent, DeliveryRecord, Outcome
from image_catalog.testing.simulation.invariants import ChangeSeen, EventSeen, Invariant, Violation

__all__ = ["Chronicle", "Post"]

_KINDS = (CATALOG_IMAGE, IMAGE_BUILD, LEASE)
_LINES = 60
"""Of each object's story, the last ones."""


class Chronicle:
    """The story of every object, and what of it breaks a promise on the way.

    Parameters
    ----------
    api
        A connection of its own to the cluster.
    invariants
        Promises that are held against every change.
    """

    def __init__(self, api: KubernetesAPI, invariants: Iterable[Invariant]) -> None:
        self.violations: list[str] = []
        self.changes = 0
        self.missed = 0
        """Lists that replaced changes: what happened in between was not seen."""
        self.gone: dict[str, tuple[datetime, Mapping[str, Any]]] = {}
        """When an entry was gone, by its uid, and its last state."""
        self.stories: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_LINES))
        """What happened to an entry, by its name."""
        self.owed: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
        """Status writes that owe events, by the entry's uid and the cause: the entry's name, and the write."""
        self._api = api
        self._invariants = tuple(invariants)
        self._objects: dict[str, dict[str, Mapping[str, Any]]] = {kind.plural: {} for kind in _KINDS}
        self._listed: dict[str, set[str]] = {}
        self._filled = {kind.plural: asyncio.Event() for kind in _KINDS}

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as watches:
            for kind in _KINDS:
                watches.create_task(self._watch(kind))

    async def wait_filled(self) -> None:
        """Wait until every watch has begun."""
        for filled in self._filled.values():
            await filled.wait()

    def entries(self) -> list[Mapping[str, Any]]:
        """Return the entries as they were seen last."""
        return list(self._objects["catalogimages"].values())

    def choose(self, rng: random.Random) -> Mapping[str, Any] | None:
        """Return any entry that nobody has deleted."""
        living = [entry for entry in self.entries() if "deletionTimestamp" not in entry["metadata"]]
        return rng.choice(living) if living else None

    async def _watch(self, kind: ResourceKind) -> None:
        async with aclosing(self._api.watch(kind)) as items:
            async for item in items:
                if isinstance(item, Changed):
                    self._see(kind.plural, item.type.value, item.object)
                elif isinstance(item, Relisted):
                    self._relist(kind.plural, item)

    def _relist(self, plural: str, page: Relisted) -> None:
        if page.first:
            self._listed[plural] = set()
        for listed in page.objects:
            uid = listed["metadata"]["uid"]
            self._listed[plural].add(uid)
            known = self._objects[plural].get(uid)
            if known is None or known["metadata"]["resourceVersion"] != listed["metadata"]["resourceVersion"]:
                self._see(plural, "ADDED" if known is None else "MODIFIED", listed)
        if page.last:
            for uid in set(self._objects[plural]) - self._listed[plural]:
                self._see(plural, "DELETED", self._objects[plural][uid])
            self.missed += self._filled[plural].is_set()
            self._filled[plural].set()

    def _see(self, plural: str, change: str, item: Mapping[str, Any]) -> None:
        uid = item["metadata"]["uid"]
        before = self._objects[plural].pop(uid, None)
        now = datetime.now(UTC)
        if change == "DELETED":
            after, before = None, before or item
            if plural == "catalogimages":
                self.gone[uid] = (now, item)
        else:
            after = self._objects[plural][uid] = item
        self.changes += 1
        if plural == "catalogimages":
            self._tell(item["metadata"]["name"], f"{now:%H:%M:%S.%f}", f"{change} {summary(item)}")
            for write in (item.get("status") or {}).get("recentChanges") or ():
                self.owed[uid, write["cause"]] = item["metadata"]["name"], write
        seen = ChangeSeen(
            at=now,
            actor=None,
            plural=plural,
            kind="DELETED" if after is None else ("ADDED" if before is None else "MODIFIED"),
            before=before,
            after=after,
        )
        for invariant in self._invariants:
            try:
                invariant.on_change(seen)
            except Violation as e:
                self.violations.append(f"{e}\n{self.story(item['metadata']['name'])}")

    def _tell(self, name: str, when: str, what: str) -> None:
        # Of checks that find what the one before found the first is told.
        if not self.stories[name] or self.stories[name][-1].partition(" ")[2] != what:
            self.stories[name].append(f"{when} {what}")

    def story(self, name: str) -> str:
        """Return what happened to an entry, a line each."""
        return "\n".join(f"      {line}" for line in self.stories[name])


def summary(entry: Mapping[str, Any]) -> str:
    """Return what of an entry a reader of its story wants to know."""
    status, spec, metadata = entry.get("status") or {}, entry["spec"], entry["metadata"]
    available = [c["reason"] for c in status.get("conditions") or () if c["type"] == "Available"]
    changes = status.get("recentChanges") or ()
    told = {
        "gen": f"{metadata.get('generation')}/{status.get('observedGeneration')}",
        "phase": "/".join([status.get("phase") or "-", *available]),
        "pin": (spec.get("digest") or "-")[7:15],
        "has": ((status.get("registryMetadata") or {}).get("resolvedDigest") or "-")[7:15],
        "build": (status.get("sourceImageBuild") or {}).get("name"),
        "tags": ",".join(spec.get("tags") or ()),
        "every": spec.get("verificationInterval"),
        "cause": changes[0]["cause"][:8] if changes else None,
        "deleted": metadata.get("deletionTimestamp"),
    }
    return " ".join(f"{key}={value}" for key, value in told.items() if value)


class Post:
    """What the broker tells of its deliveries; the observer of a stack.

    Attributes
    ----------
    kinds
        Type and subject of each catalog event by its id, as often as they differed.
    outcomes
        How deliveries ended, by event id and Trigger.
    letters
        Events that became dead letters: id and Trigger.
    violations
        Promises that events have broken.

    Parameters
    ----------
    invariants
        Promises that are held against every event.
    """

    def __init__(self, invariants: Iterable[Invariant]) -> None:
        self.violations: list[str] = []
        self._invariants = tuple(invariants)
        self.kinds: defaultdict[str, set[tuple[str, str | None]]] = defaultdict(set)
        self.outcomes: defaultdict[tuple[str, str], set[Outcome]] = defaultdict(set)
        self.taken: dict[tuple[str, str], datetime] = {}
        """When a delivery first came to a good end, by event id and Trigger."""
        self.letters: list[tuple[str, str]] = []
        self.deliveries = 0
        self.lost = 0
        self.retries = 0

    def __call__(self, record: DeliveryRecord) -> None:
        """Take up one delivery."""
        self.deliveries += 1
        self.retries += record.outcome is Outcome.RETRY
        self.lost += record.outcome is Outcome.DROPPED
        self.outcomes[record.event_id, record.trigger].add(record.outcome)
        if record.outcome is Outcome.DELIVERED:
            self.taken.setdefault((record.event_id, record.trigger), datetime.now(UTC))
        if record.outcome is Outcome.DEAD_LETTERED:
            self.letters.append((record.event_id, record.trigger))
        if record.event_type.startswith(PREFIX) and record.attempt <= 1:
            self.kinds[record.event_id].add((record.event_type, record.subject))
            self._hold(record)

    def _hold(self, record: DeliveryRecord) -> None:
        attributes = {"specversion": "1.0", "id": record.event_id, "type": record.event_type, "source": record.source}
        event = CloudEvent(attributes | ({"subject": record.subject} if record.subject else {}), record.data)
        seen = EventSeen(at=datetime.now(UTC), function="", delivery=None, event=event)
        for invariant in self._invariants:
            try:
                invariant.on_event(seen)
            except Violation as e:
                self.violations.append(str(e))

    def acknowledged(self, cause: str, *triggers: str) -> bool:
        """Whether one of these functions took an event for good, and nobody lost it on the way."""
        ends = [self.outcomes.get((cause, trigger), set()) for trigger in triggers]
        return any(Outcome.DELIVERED in end and Outcome.DROPPED not in end for end in ends)

    def taken_by(self, cause: str, *triggers: str) -> datetime:
        """Return when the first of these functions took an event that is `acknowledged`."""
        return min(at for (event_id, trigger), at in self.taken.items() if event_id == cause and trigger in triggers)
