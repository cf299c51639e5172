"""One image, one entry; and what people took out stays out."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from image_catalog.models.names import ANNOTATION_PUBLISH
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.causes import Causes
from image_catalog.testing.simulation.invariants.reading import (
    annotation,
    canonical,
    is_deleting,
    is_duplicate,
    moment,
    publication,
    subject,
    uid,
)
from image_catalog.testing.simulation.invariants.records import AttemptSeen, ChangeSeen, Object, Quiet

__all__ = ["LivingEntriesHoldTheirClaim", "OneEntryPerImage", "OptedOutStaysOut", "RemovedStaysAway"]

_Identity = tuple[str, str]

_TOMBSTONE_LIFETIME = timedelta(days=30)


class OneEntryPerImage(Invariant):
    """In a namespace at most one entry stands for an image, however many publish it at once.

    docs/reliability.md, "One image, one entry". What people type by hand may
    stand for what is there already; then one of the two, and only one, says
    `DuplicateReference` as soon as it was looked at, and the functions never
    make such a second one themselves. An entry that somebody has deleted, and
    that waits for its finalizer, stands for nothing any more: its claim is a
    tombstone already.
    """

    name = "one-entry-per-image"
    outside = True

    def __init__(self) -> None:
        self._living: dict[_Identity, dict[str, str]] = defaultdict(dict)
        self._published: dict[str, _Identity] = {}

    def on_change(self, change: ChangeSeen) -> None:
        """See entries come and go."""
        if change.plural != "catalogimages":
            return
        number, identity = uid(change.object), canonical(change.object)
        if change.before is not None and (was := canonical(change.before)) is not None:
            self._living[was].pop(number, None)
        if change.after is None or identity is None or is_deleting(change.after):
            return
        if change.kind == "ADDED" and change.actor == "publish":
            self._published[number] = identity
            for other, name in self._living[identity].items():
                if self._published.get(other) == identity:
                    self.broken(f"publish made {subject(change.object)} beside {name} for {identity[1]}")
        self._living[identity][number] = subject(change.object)

    def at_quiet(self, quiet: Quiet) -> None:
        """Count who stands for what."""
        by_identity: dict[_Identity, list[Object]] = defaultdict(list)
        for entry in quiet.objects("catalogimages"):
            identity = canonical(entry)
            if identity is not None and not is_deleting(entry):
                by_identity[identity].append(entry)
        for identity, entries in by_identity.items():
            good = [subject(entry) for entry in entries if not is_duplicate(entry)]
            if len(good) != 1:
                told = f"{len(good)} of {', '.join(map(subject, entries))}"
                self.broken(f"{told} stand for {identity[1]} without saying DuplicateReference")


class LivingEntriesHoldTheirClaim(Invariant):
    """An entry that stands for an image holds its claim, so that nobody can make a second one.

    docs/reliability.md, "One image, one entry": the claim is created before
    the entry, verify claims for entries made by hand, and a tombstone is what
    is left of an entry that is gone, never of one that lives. A tombstone does
    not outlive its 30 days by more than the sweep needs.
    """

    name = "living-entries-hold-their-claim"
    outside = True

    def at_quiet(self, quiet: Quiet) -> None:
        """Compare entries with claims."""
        claims: dict[_Identity, tuple[str, str | None]] = {}
        for lease in quiet.objects("leases"):
            namespace = lease["metadata"].get("namespace", "")
            reference = annotation(lease, f"{_GROUP}/reference")
            if reference is None:
                continue
            removed = annotation(lease, f"{_GROUP}/removed-at")
            claims[namespace, reference] = (lease["spec"].get("holderIdentity", ""), removed)
            at = moment(removed)
            if at is not None and quiet.now - at > _TOMBSTONE_LIFETIME + _SWEPT_WITHIN:
                self.broken(f"the tombstone of {reference} in {namespace} is of {at}, and still there at {quiet.now}")
        for entry in quiet.objects("catalogimages"):
            identity = canonical(entry)
            if identity is None or is_deleting(entry) or is_duplicate(entry):
                continue
            holder, removed = claims.get(identity, ("nobody", None))
            if removed is not None:
                self.broken(f"{subject(entry)} lives, and the claim of {identity[1]} is a tombstone")
            if holder != entry["metadata"]["name"]:
                self.broken(f"{subject(entry)} stands for {identity[1]}, which {holder} has claimed")


_GROUP = "automotive.sdv.cloud.redhat.com"
_SWEPT_WITHIN = timedelta(hours=1)


class RemovedStaysAway(Invariant):
    """What a person removed is not brought back by a build that had completed by then.

    docs/reliability.md, "One image, one entry": for 30 days build events and
    the sweep do not bring back what a person removed. An explicit request, or
    a build that completed after the removal, does.
    """

    name = "removed-stays-away"

    def __init__(self) -> None:
        self._causes = Causes()
        self._removed: dict[_Identity, datetime] = {}
        self._living: dict[_Identity, set[str]] = defaultdict(set)

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn which causes are requests of somebody."""
        self._causes.add(attempt)

    def on_change(self, change: ChangeSeen) -> None:
        """See what people remove, and what publish makes."""
        if change.plural != "catalogimages":
            return
        identity, number = canonical(change.object), uid(change.object)
        if change.before is not None and (was := canonical(change.before)) is not None:
            self._living[was].discard(number)
        if identity is None:
            return
        if change.after is not None:
            self._living[identity].add(number)
        gone = change.after is None or is_deleting(change.after)
        began = change.before is not None and not is_deleting(change.before)
        others = self._living[identity] - {number}
        if change.actor == "person" and gone and began and not others:
            # Whoever removes a duplicate has not removed the image.
            self._removed[identity] = change.at.replace(microsecond=0)
        if change.kind == "ADDED" and change.actor == "publish":
            self._judge(change, identity)

    def _judge(self, change: ChangeSeen, identity: _Identity) -> None:
        removed, record = self._removed.get(identity), publication(change.object)
        cause = record.get("cause")
        if removed is None or change.at - removed >= _TOMBSTONE_LIFETIME:
            return
        if not self._causes.is_known(cause) or self._causes.request(cause) is not None:
            return
        completed = moment((record.get("build") or {}).get("completionTime"))
        if completed is not None and completed <= removed:
            self.broken(
                f"{subject(change.object)} was removed at {removed}, "
                f"and its build of {completed} brought it back at {change.at}"
            )


class OptedOutStaysOut(Invariant):
    """A build that says ``publish: "false"`` from its completion on never becomes an entry by itself.

    docs/reliability.md, "One image, one entry": ignore when the build carries the annotation. A
    build that says so only afterwards may have been published before.
    """

    name = "opted-out-stays-out"

    def __init__(self) -> None:
        self._causes = Causes()
        self._in: set[str] = set()
        self._out: set[str] = set()

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn which causes are requests of somebody."""
        self._causes.add(attempt)

    def on_change(self, change: ChangeSeen) -> None:
        """See what builds say, and what publish makes of them."""
        if change.plural == "imagebuilds" and change.after is not None:
            said = (annotation(change.after, ANNOTATION_PUBLISH) or "").lower() == "false"
            (self._out if said else self._in).add(uid(change.after))
        if change.plural != "catalogimages" or change.actor != "publish" or change.after is None:
            return
        record = publication(change.after)
        if record == publication(change.before):
            return
        build = (record.get("build") or {}).get("uid")
        asked_for = self._causes.request(record.get("cause")) is not None
        if build in self._out - self._in and not asked_for:
            self.broken(f"{subject(change.object)} was published from a build that has opted out")
