"""An entry's past only grows, and what was learnt once is not forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.reading import digest_of, moment, status, subject
from image_catalog.testing.simulation.invariants.records import ChangeSeen, Object

__all__ = ["GenerationsAreTrue", "HistoryIsMonotone", "MetadataIsKept"]

_VERSIONS = 10
"""Versions that a status keeps."""


class HistoryIsMonotone(Invariant):
    """A new version puts the one before at the head of the history, and nothing else ever changes it.

    docs/reliability.md, "History": newest first, at most 10. With it go the times:
    neither ``publishedAt`` nor ``lastVerificationTime`` ever goes back, so
    that what was seen earlier never overwrites what was seen later.
    """

    name = "history-is-monotone"
    outside = True

    def on_change(self, change: ChangeSeen) -> None:
        """Compare the versions before and after."""
        if change.plural != "catalogimages" or change.kind != "MODIFIED":
            return
        before, after = status(change.before), status(change.after)
        for field in ("publishedAt", "lastVerificationTime"):
            was, now = moment(before.get(field)), moment(after.get(field))
            if was is not None and (now is None or now < was):
                self.broken(f"{field} of {subject(change.object)} went from {was} back to {now}")
        was_history, history = list(before.get("history") or ()), list(after.get("history") or ())
        digest = digest_of(change.before)
        if digest is None or digest_of(change.after) == digest:
            if history != was_history:
                self.broken(f"the history of {subject(change.object)} changed without a new version")
            return
        if [version["digest"] for version in history[:1]] != [digest] or history[1:] != was_history[: _VERSIONS - 1]:
            told = [version["digest"][7:15] for version in history]
            self.broken(f"{subject(change.object)} left {digest[7:15]}, and its history is {told}")
        if history[0].get("sourceImageBuild") != before.get("sourceImageBuild"):
            self.broken(f"the past version of {subject(change.object)} names another build than when it was current")


class MetadataIsKept(Invariant):
    """What the registry once said of a content is never replaced by less.

    docs/reliability.md, "History": metadata that could not be read never replaces
    metadata that was read before; what a digest says never changes.
    """

    name = "metadata-is-kept"
    outside = True

    _FACTS = ("mediaType", "artifactType", "sizeBytes", "layerCount", "platform", "createdAt", "platformVariants")

    def on_change(self, change: ChangeSeen) -> None:
        """Compare what is known before and after."""
        if change.plural != "catalogimages" or change.kind != "MODIFIED":
            return
        known = status(change.before).get("registryMetadata")
        if known is None:
            return
        now, name = status(change.after).get("registryMetadata"), subject(change.object)
        if not now or not now.get("resolvedDigest"):
            self.broken(f"{name} knew {known['resolvedDigest']}, and knows nothing now")
        if now["resolvedDigest"] != known["resolvedDigest"]:
            if not now.get("mediaType"):
                self.broken(f"{name} has a new content {now['resolvedDigest']} that nobody has read")
            return
        lost = [fact for fact in self._FACTS if known.get(fact) and not now.get(fact)]
        lost += [key for key in known.get("annotations") or () if key not in (now.get("annotations") or {})]
        lost += [fact for fact in ("sourceImageBuild", "buildManifestRef") if _is_lost(change, fact)]
        if lost:
            self.broken(f"{name} forgot {', '.join(lost)} of {known['resolvedDigest']}")


def _is_lost(change: ChangeSeen, field: str) -> bool:
    return bool(status(change.before).get(field)) and not status(change.after).get(field)


class GenerationsAreTrue(Invariant):
    """A status speaks of a generation that there was, all of it of the same, and never of an earlier one again.

    docs/reliability.md, "History": `kubectl wait` ignores every condition
    that is behind, so that the status' and the conditions' move together.
    """

    name = "generations-are-true"
    outside = True

    def on_change(self, change: ChangeSeen) -> None:
        """Compare the generations of spec, status and conditions."""
        if change.plural != "catalogimages" or change.after is None:
            return
        generation, name = change.after["metadata"].get("generation", 0), subject(change.after)
        observed = status(change.after).get("observedGeneration")
        if observed is None:
            return
        if observed > generation:
            self.broken(f"{name} says that it has seen generation {observed} of {generation}")
        before = status(change.before).get("observedGeneration")
        if before is not None and observed < before:
            self.broken(f"{name} went from generation {before} back to {observed}")
        behind = {said["type"]: said.get("observedGeneration") for said in _conditions(change.after)}
        if any(seen != observed for seen in behind.values()):
            self.broken(f"{name} has seen generation {observed}, its conditions speak of {behind}")


def _conditions(entry: Object) -> list[Mapping[str, Any]]:
    return list(status(entry).get("conditions") or ())
