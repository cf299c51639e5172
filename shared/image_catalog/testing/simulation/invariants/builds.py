"""Builds become entries, and the newest one counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from image_catalog.models import ImageBuild, Reference
from image_catalog.models.names import (
    ANNOTATION_CATALOG_NAME,
    ANNOTATION_DIGEST_PINNED_BY,
    ANNOTATION_PUBLISH,
    PINNED_BY_PUBLISH,
)
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.causes import Causes
from image_catalog.testing.simulation.invariants.reading import (
    annotation,
    canonical,
    is_deleting,
    is_duplicate,
    moment,
    publication,
    spec,
    status,
    subject,
    uid,
)
from image_catalog.testing.simulation.invariants.records import AttemptSeen, ChangeSeen, Object, Quiet

__all__ = ["EveryBuildHasItsEntry", "NeverBackToAnOlderBuild", "PublishedOnce"]

_Identity = tuple[str, str]

_FORGOTTEN_FOR = timedelta(days=29)
"""Past this age a build that fell through is left alone, because a tombstone might have gone."""


_LONG_AGO = datetime.fromtimestamp(0, tz=UTC)
"""Since when something is recorded that was there at first sight."""


class EveryBuildHasItsEntry(Invariant):
    """Every completed, pushed build has an entry at its newest version, unless people decided otherwise.

    docs/reliability.md, "Builds": what no event has brought about the
    sweep finds. It holds of builds whose image the registry has and hands out
    (FR-008), that did not opt out, and whose entry nobody removed since,
    pinned to other content, or gave the wanted name to another image. Where
    the tag was moved by others since, the build is among the versions.
    """

    name = "every-build-has-its-entry"
    outside = True

    def __init__(self) -> None:
        self._removed: dict[_Identity, datetime] = {}

    def on_change(self, change: ChangeSeen) -> None:
        """See what is removed: by people alone, for the functions remove no entry."""
        if change.plural != "catalogimages" or change.before is None or is_deleting(change.before):
            return
        identity = canonical(change.before)
        if identity is not None and (change.after is None or is_deleting(change.after)):
            self._removed[identity] = change.at.replace(microsecond=0)

    def at_quiet(self, quiet: Quiet) -> None:
        """Look for the entry of the newest build of every image."""
        entries: dict[_Identity, Object] = {}
        names: dict[tuple[str, str], _Identity | None] = {}
        for entry in quiet.objects("catalogimages"):
            identity = canonical(entry)
            names[entry["metadata"].get("namespace", ""), entry["metadata"]["name"]] = identity
            if identity is not None and not is_duplicate(entry):
                entries[identity] = entry
        for identity, builds in _newest(quiet).items():
            completed = builds[0].completion_time
            if completed is None or quiet.now - completed > _FORGOTTEN_FOR:
                continue
            wanted = {build.metadata.annotations.get(ANNOTATION_CATALOG_NAME) for build in builds} - {None}
            if any(names.get((identity[0], str(name)), identity) != identity for name in wanted):
                continue
            self._judge(quiet, identity, builds, entries.get(identity))

    def _judge(self, quiet: Quiet, identity: _Identity, builds: list[ImageBuild], entry: Object | None) -> None:
        build = builds[0]
        completed = build.completion_time
        url = build.published_reference or ""
        truth = quiet.truth(url, None)
        if truth.trouble or truth.tag_digest is None or truth.blobs_missing or completed is None:
            return
        told = f"build {build.subject} of {completed} pushed {url}"
        removed = self._removed.get(identity)
        if removed is not None and completed <= removed:
            return  # Also where an entry is left that a person made beside it.
        if entry is None:
            self.broken(f"{told}, and there is no entry (removed: {removed})")
        if _is_pinned_by_a_person(entry, truth.tag_digest):
            return
        # Of a build that is newer still, and gone by now, the entry may be as well.
        if any((moment(source.get("completionTime")) or completed) >= completed for source in _sources(entry)):
            return
        current = moment(publication(entry).get("time"))
        if current is None or current < completed or publication(entry).get("build"):
            source = status(entry).get("sourceImageBuild")
            self.broken(f"{told}, and the entry {subject(entry)} is of {source}")


def _newest(quiet: Quiet) -> dict[_Identity, list[ImageBuild]]:
    """Return the newest builds of every image; several where they completed in the same second."""
    newest: dict[_Identity, list[ImageBuild]] = defaultdict(list)
    for found in quiet.objects("imagebuilds"):
        build = ImageBuild.model_validate(found)
        reference = Reference.try_parse(build.published_reference or "")
        said = build.metadata.annotations.get(ANNOTATION_PUBLISH, "").lower()
        gone = build.metadata.deletion_timestamp is not None
        completed = build.completion_time
        if reference is None or said == "false" or gone or not build.is_completed or completed is None:
            continue
        among = newest[build.metadata.namespace, reference.canonical]
        known = among[0].completion_time if among else None
        if known is not None and completed > known:
            among.clear()
        if known is None or completed >= known:
            among.append(build)
    return dict(newest)


def _sources(entry: Object) -> Iterator[Mapping[str, Any]]:
    for version in (status(entry), *(status(entry).get("history") or ())):
        if source := version.get("sourceImageBuild"):
            yield source


def _is_pinned_by_a_person(entry: Object, tag_digest: str) -> bool:
    pin = spec(entry).get("digest") or spec(entry)["registryUrl"].partition("@")[2]
    ours = annotation(entry, ANNOTATION_DIGEST_PINNED_BY) == PINNED_BY_PUBLISH
    return bool(pin) and not ours and pin != tag_digest and spec(entry).get("driftPolicy") != "follow"


class NeverBackToAnOlderBuild(Invariant):
    """No entry ever goes back to an older build, in whatever order builds complete and events arrive.

    docs/reliability.md, "Builds": a build that completed before the current version's
    is refused, never applied; requests from outside are ordered by their
    event's time. So the time of the last publication, and the completion of
    the build that it names, only ever grow.
    """

    name = "never-back-to-an-older-build"
    outside = True

    def __init__(self) -> None:
        self._newest: dict[str, datetime] = {}

    def on_change(self, change: ChangeSeen) -> None:
        """Follow the builds that an entry names."""
        if change.plural != "catalogimages" or change.after is None:
            return
        before, after, number = change.before, change.after, uid(change.after)
        was, now = moment(publication(before).get("time")), moment(publication(after).get("time"))
        if was is not None and now is not None and now < was and change.actor != "person":
            self.broken(f"the publication of {subject(after)} went from {was} back to {now}")
        for said, told in ((publication(after).get("build"), "publication"), (_source(after), "version")):
            if said is None or said in (publication(before).get("build"), _source(before)):
                continue
            completed, newest = moment(said.get("completionTime")), self._newest.get(number)
            if completed is None:
                continue
            if newest is not None and completed < newest:
                self.broken(f"a {told} of {subject(after)} is of a build of {completed}, after one of {newest}")
            self._newest[number] = completed


class PublishedOnce(Invariant):
    """A run of a build that an entry has recorded is not published again, whichever event or sweep offers it.

    docs/reliability.md, "Builds": ignore when this build (uid and completionTime) is
    recorded already; no registry call, no event. Somebody's request for the
    build is another matter, and so is a delivery that began before another one
    recorded it: each answers for its own cause.
    """

    name = "published-once"

    def __init__(self) -> None:
        self._causes = Causes()
        self._began: dict[int | None, datetime] = {}
        self._since: dict[tuple[Any, ...], datetime] = {}

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn which causes are requests of somebody, and when deliveries began."""
        self._causes.add(attempt)
        self._began[attempt.number] = attempt.at

    def on_change(self, change: ChangeSeen) -> None:
        """See which build a publication is of."""
        if change.plural != "catalogimages" or change.after is None:
            return
        number = uid(change.after)
        for state, at in ((change.before or {}, _LONG_AGO), (change.after, change.at)):
            for source in _sources(state):
                self._since.setdefault((number, source.get("uid"), source.get("completionTime")), at)
        was, now = publication(change.before), publication(change.after)
        build = now.get("build")
        if change.actor != "publish" or build is None or was.get("cause") == now.get("cause"):
            return
        if self._causes.request(now.get("cause")) is not None:
            return
        recorded = [(source.get("uid"), source.get("completionTime")) for source in _sources(change.before or {})]
        run = (build.get("uid"), build.get("completionTime"))
        began, since = self._began.get(change.delivery), self._since.get((number, *run))
        if run in recorded and (began is None or since is None or began >= since):
            self.broken(f"{subject(change.after)} has recorded {build}, and {now.get('cause')} published it again")


def _source(entry: Object | None) -> Mapping[str, Any] | None:
    return status(entry).get("sourceImageBuild")
