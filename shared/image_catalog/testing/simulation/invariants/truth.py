"""A world at rest: every entry says what its registry says, and nothing waits."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from image_catalog.models.names import FINALIZER
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.reading import (
    canonical,
    checked_each,
    condition,
    digest_of,
    is_deleting,
    is_duplicate,
    moment,
    settled,
    spec,
    status,
    subject,
)
from image_catalog.testing.simulation.invariants.records import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    Object,
    Quiet,
    RequestSeen,
    Truth,
)

__all__ = ["DeletedEntriesAreGone", "NothingIsLeftWaiting", "PhaseIsTheTruth", "ReasonsAreWitnessed"]

_FAILED = {
    "AuthenticationFailed",
    "AccessDenied",
    "SecretNotFound",
    "SecretForbidden",
    "SecretInvalid",
    "TLSVerificationFailed",
    "HostNotAllowed",
    "InvalidReference",
    "ManifestInvalid",
    "DigestMismatch",
    "DuplicateReference",
}
"""Reasons of the phase Failed: the table in docs/phases.md."""


class PhaseIsTheTruth(Invariant):
    """Within one verification interval of quiet an entry's phase and reason are what its registry would say.

    docs/reliability.md, "The truth": the table of docs/phases.md, written down here
    a second time. With an Available entry goes its content: the one that is pinned, or
    the tag's.
    """

    name = "phase-is-the-truth"
    outside = True

    def at_quiet(self, quiet: Quiet) -> None:
        """Compare every entry with its registry."""
        identities = Counter(
            canonical(entry) for entry in quiet.objects("catalogimages") if canonical(entry) is not None
        )
        for entry in quiet.objects("catalogimages"):
            if is_deleting(entry):
                continue
            if is_duplicate(entry):
                if identities[canonical(entry)] < 2:  # noqa: PLR2004 - a duplicate needs two
                    self.broken(f"{subject(entry)} says DuplicateReference, and nothing else stands for its image")
                continue
            self._judge(quiet, entry)

    def _judge(self, quiet: Quiet, entry: Object) -> None:
        pin = _pin(entry)
        truth = quiet.truth(spec(entry)["registryUrl"], pin)
        expected, told = _expected(entry, truth, pin), settled(entry)
        if told not in expected:
            self.broken(f"{subject(entry)} says {told}, its registry says {sorted(expected)}")
        if told == ("Available", "RegistryAccessible"):
            content = pin or truth.tag_digest
            if digest_of(entry) != content:
                self.broken(f"{subject(entry)} has {digest_of(entry)}, and its registry has {content}")
            matched = condition(entry, "DigestMatched")
            moved = pin is not None and truth.tag_digest is not None and truth.tag_digest != pin
            if matched is None or (matched["status"] == "False") != moved:
                self.broken(f"{subject(entry)}: tag {truth.tag_digest}, pin {pin}, and DigestMatched is {matched}")


def _pin(entry: Object) -> str | None:
    return spec(entry).get("digest") or spec(entry)["registryUrl"].partition("@")[2] or None


def _expected(entry: Object, truth: Truth, pin: str | None) -> set[tuple[str, str]]:
    """Return what an entry may say, by the table."""
    if truth.trouble:
        return {("Failed" if reason in _FAILED else "Unavailable", reason) for reason in truth.trouble}
    if truth.tag_digest is None and _has_tag(entry):
        return {("Unavailable", "ImageNotFound")}
    policy = spec(entry).get("driftPolicy", "alert")
    moved = pin is not None and truth.tag_digest is not None and truth.tag_digest != pin
    if pin is not None and not truth.pinned_there and policy != "follow":
        return {("Unavailable", "PinnedDigestMissing" if moved else "ImageNotFound")}
    if spec(entry).get("verifyBlobs") and truth.blobs_missing:
        return {("Unavailable", "BlobMissing")}
    if moved and policy == "quarantine":
        return {("Unavailable", "Quarantined")}
    return {("Available", "RegistryAccessible")}


def _has_tag(entry: Object) -> bool:
    name, _, digest = spec(entry)["registryUrl"].partition("@")
    return not digest or ":" in name.rpartition("/")[2]


class NothingIsLeftWaiting(Invariant):
    """No entry is stuck: each was looked at as it is now, and is due again in time.

    docs/reliability.md, "The truth": reverify finds what fell through: no verification
    yet, observedGeneration behind, overdue. At rest no phase is left at
    Pending or Verifying, and the next check is not further away than one
    interval (longest wait of a failure: 20 % more).
    """

    name = "nothing-is-left-waiting"
    outside = True

    def at_quiet(self, quiet: Quiet) -> None:
        """Look at phases, generations and what is due."""
        for entry in quiet.objects("catalogimages"):
            if is_deleting(entry):
                continue
            said, name = status(entry), subject(entry)
            if said.get("phase") not in {"Available", "Unavailable", "Failed"}:
                self.broken(f"{name} is still {said.get('phase')}")
            if said.get("observedGeneration") != entry["metadata"].get("generation"):
                self.broken(
                    f"generation {entry['metadata'].get('generation')} of {name} was never looked at: "
                    f"{said.get('observedGeneration')}"
                )
            due = moment(said.get("nextVerificationTime"))
            interval = checked_each(entry)
            if due is None or due - quiet.now > interval * _SPREAD or quiet.now - due > _LATE:
                self.broken(f"{name} is due at {due}, it is {quiet.now} now, and its interval is {interval}")
            if FINALIZER not in entry["metadata"].get("finalizers", ()):
                self.broken(f"{name} lives without the finalizer, so that its end may go unnoticed")


_DENIALS = frozenset({401, 403})
_SPREAD = 1.2
_LATE = timedelta(minutes=15)
"""Ticks come each minute; a registry that has come back lets its entries through in portions."""


class ReasonsAreWitnessed(Invariant):
    """What an entry newly says of its registry the registry has said: nobody concludes from silence.

    docs/reliability.md, "The truth": only a 404 is `ImageNotFound`, only a 401 or 403 a
    denial, and no entry becomes Available without an answer. A registry that
    does not answer, or answers 5xx, says nothing of the image.
    """

    name = "reasons-are-witnessed"

    _WITNESSES: ClassVar[Mapping[str, frozenset[int]]] = {
        "ImageNotFound": frozenset({404}),
        "AuthenticationFailed": _DENIALS,
        "AccessDenied": _DENIALS,
        "RegistryAccessible": frozenset({200}),
    }

    def __init__(self) -> None:
        self._answers: dict[int, set[int]] = defaultdict(set)
        self._began: dict[int, datetime] = {}
        self._denied: deque[RequestSeen] = deque(maxlen=64)
        """Requests for tokens that were denied: deliveries to one function that need the same one share them."""

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn since when a delivery may share what another one asks."""
        self._began[attempt.number] = attempt.at

    def on_request(self, request: RequestSeen) -> None:
        """Remember what the registry has said."""
        if request.delivery is not None and request.status is not None:
            self._answers[request.delivery].add(request.status)
            if request.path.endswith("/token") and request.status in _DENIALS:
                self._denied.append(request)

    def on_delivery(self, delivery: DeliverySeen) -> None:
        """Forget what nobody can refer to any more; what the broker has given up may still be at work."""
        if delivery.status is not None:
            self._answers.pop(delivery.number, None)
            self._began.pop(delivery.number, None)

    def on_change(self, change: ChangeSeen) -> None:
        """Compare a new reason with what was said in its delivery."""
        if change.plural != "catalogimages" or change.delivery is None or change.after is None:
            return
        was, now = settled(change.before), settled(change.after)
        if now is None or now == was or status(change.after).get("phase") == "Verifying":
            return
        witnesses = self._WITNESSES.get(now[1])
        began = self._began.get(change.delivery, change.at)
        shared = {r.status for r in self._denied if r.status and r.function == change.actor and r.at >= began}
        answers = self._answers.get(change.delivery, set()) | shared
        if witnesses is not None and not witnesses & answers:
            self.broken(f"{subject(change.after)} says {now}, and all that its registry said was {sorted(answers)}")


class DeletedEntriesAreGone(Invariant):
    """What a person deleted is gone: no finalizer of ours is stuck, whatever the registry does.

    docs/reliability.md, "The truth": deletion never waits on a registry. Another's
    finalizer is not ours to remove.
    """

    name = "deleted-entries-are-gone"
    outside = True

    def at_quiet(self, quiet: Quiet) -> None:
        """Look for what waits."""
        for entry in quiet.objects("catalogimages"):
            if is_deleting(entry) and FINALIZER in entry["metadata"].get("finalizers", ()):
                self.broken(f"{subject(entry)} was deleted at {entry['metadata']['deletionTimestamp']} and is there")
