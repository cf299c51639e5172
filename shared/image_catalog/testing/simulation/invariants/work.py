"""Work is bounded: registries are asked little, and nothing goes round in circles."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from image_catalog.events import EventType, SourceType
from image_catalog.testing.simulation.invariants.base import Invariant
from image_catalog.testing.simulation.invariants.reading import (
    asked_each,
    checked_each,
    condition,
    digest_of,
    moment,
    spec,
    status,
    subject,
    uid,
)
from image_catalog.testing.simulation.invariants.records import (
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    Object,
    RequestSeen,
)

__all__ = ["ChecksAreSpaced", "NothingLoops", "RegistryIsAskedLittle", "WorkPerEventIsBounded"]


class RegistryIsAskedLittle(Invariant):
    """One check asks the registry as little as it can.

    docs/reliability.md, "Work": unchanged content is one
    `HEAD`; a first look is `GET` manifest and config, of an index each
    platform's as well, 9 in all for one of 4. Where the tag of a pinned entry
    has moved, what the tag has is new, and the pinned content is asked for
    beside it. A check starts again at most twice when its inputs are edited
    under it, and once with another credential or policy. Challenges (401),
    token servers and lists of referrers are not counted.
    """

    name = "registry-is-asked-little"

    FIRST_LOOK = 9
    """Index, and manifest and config of each of 4 platforms."""
    TRIES = 6
    """Three starts, each with a second try."""

    def __init__(self) -> None:
        self._asked: dict[int, list[RequestSeen]] = defaultdict(list)
        self._unchanged: set[int] = set()
        self._deep: set[int] = set()
        self._changed: set[int] = set()
        self._began: dict[int, datetime] = {}
        self._known_since: dict[str, datetime] = {}
        self._digests: dict[int, str] = {}

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn which checks ask for every blob."""
        self._began[attempt.number] = attempt.at
        if attempt.event.type == EventType.VERIFICATION_REQUESTED and orjson.loads(attempt.event.data).get("deep"):
            self._deep.add(attempt.number)

    def on_change(self, change: ChangeSeen) -> None:
        """See whether a check has found anything new, or could know that it has not."""
        if change.plural != "catalogimages" or change.after is None:
            return
        if not _is_known(change.before) or digest_of(change.before) != digest_of(change.after):
            self._known_since[uid(change.after)] = change.at
        if change.actor != "verify" or change.delivery is None:
            return
        if spec(change.after).get("verifyBlobs"):
            self._deep.add(change.delivery)
        before = status(change.before)
        if before.get("lastVerificationTime") == status(change.after).get("lastVerificationTime"):
            return
        known = _is_known(change.before) and self._known_since[uid(change.after)] < self._began[change.delivery]
        found = status(change.after).get("phase") == "Available"
        matched = condition(change.after, "DigestMatched")
        moved = matched is not None and matched["status"] == "False"
        digest = digest_of(change.before)
        same = known and found and not moved and digest is not None and digest == digest_of(change.after)
        self._digests[change.delivery] = digest or ""
        (self._unchanged if same else self._changed).add(change.delivery)

    def on_request(self, request: RequestSeen) -> None:
        """Count what is asked of the content."""
        asks = ("/manifests/" in request.path or "/blobs/" in request.path) and "/manifests/sha256-" not in request.path
        if asks and request.delivery is not None and request.status != 401:  # noqa: PLR2004 - a challenge
            self._asked[request.delivery].append(request)

    def on_delivery(self, delivery: DeliverySeen) -> None:
        """Judge what one delivery has cost."""
        asked, number = self._asked.pop(delivery.number, []), delivery.number
        deep = number in self._deep
        told = ", ".join(f"{request.method} {request.path} {request.status}" for request in asked[:12])
        if len(asked) > self.FIRST_LOOK * self.TRIES and not deep:
            self.broken(f"{delivery.function} asked the registry {len(asked)} times for one event: {told}")
        known = self._digests.pop(number, "")
        # A registry whose answer names another content lies, or had it for a moment: that has to be looked at.
        answered = all(request.status == 200 for request in asked)  # noqa: PLR2004 - well
        lies = any("/manifests/" in request.path and request.digest not in {None, known} for request in asked)
        if number in self._unchanged - self._changed and not deep and answered and not lies:
            reads = [request for request in asked if request.method != "HEAD"]
            if reads or len(asked) > 1:
                self.broken(f"{delivery.function} found nothing new, and asked {told}")


def _is_known(entry: Object | None) -> bool:
    """Whether an entry is Available, and what it keeps of the registry held together."""
    verified = condition(entry, "Verified")
    return verified is not None and verified["status"] == "True" and status(entry).get("phase") == "Available"


@dataclass(frozen=True, slots=True)
class _Checked:
    at: datetime
    written: datetime
    phase: str
    failures: int
    inputs: str | None
    generation: int | None
    good_before: datetime | None
    """When the check before it was, where that was good and nobody's wish came between."""


class ChecksAreSpaced(Invariant):
    """Nobody's registry is asked more often than its entry's interval, or the growing wait of a failure, allows.

    docs/reliability.md, "Work": Unavailable is checked again after min(30 s × 2^(n-1),
    interval) with ±20 % jitter, Failed after five minutes or the interval,
    less a tenth. What is well is checked at its own moment within its interval, on the way to which a wait may be half
    as long; but two waits together are an interval at least. What is asked for by digest alone has four times the
    interval. Manual requests, edits and publications are
    somebody's own wish and come at once; a check that began before the one
    before it had ended could not know of it.
    """

    name = "checks-are-spaced"

    _FIRST_WAIT = timedelta(seconds=30)
    _MENDED_ELSEWHERE = timedelta(minutes=5)
    _SECOND = timedelta(seconds=2)
    """Stored times have no fractions, of either end."""

    def __init__(self) -> None:
        self._last: dict[str, _Checked] = {}
        self._excused: set[str] = set()
        self._wished: set[int] = set()
        self._began: dict[int, datetime] = {}

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Learn what somebody asked for."""
        self._began[attempt.number] = attempt.at
        asked = attempt.event.type == EventType.VERIFICATION_REQUESTED
        if asked and orjson.loads(attempt.event.data).get("reason") != "due":
            self._wished.add(attempt.number)

    def on_change(self, change: ChangeSeen) -> None:
        """See checks begin and end."""
        if change.plural != "catalogimages" or change.after is None:
            return
        number, said = uid(change.after), status(change.after)
        if not change.by_function or change.delivery in self._wished or change.actor == "publish":
            self._excused.add(number)
        at = moment(said.get("lastVerificationTime"))
        if at is None or said.get("phase") == "Verifying":
            return
        now = _Checked(
            at=at,
            written=change.at,
            phase=said.get("phase", ""),
            failures=said.get("verificationFailures") or 0,
            inputs=said.get("verifiedInputs"),
            generation=said.get("observedGeneration"),
            good_before=None,
        )
        last = self._last.get(number)
        if last is not None and at == last.at:
            return
        self._last[number] = now
        excused = number in self._excused
        self._excused.discard(number)
        if last is None or excused or (last.inputs, last.generation) != (now.inputs, now.generation):
            return
        if self._began.get(change.delivery or 0, change.at) <= last.written:
            return
        if not last.failures:
            self._last[number] = replace(now, good_before=last.at)
        good = None if last.failures else last.good_before
        if good is not None and now.at - good < checked_each(change.after) - 2 * self._SECOND:
            self.broken(f"{subject(change.after)} was well, and checked at {good}, {last.at} and {now.at}")
        wait = self._shortest_wait(change.after, last)
        if now.at - last.at < wait - self._SECOND:
            self.broken(
                f"{subject(change.after)} was checked at {last.at} ({last.failures} failures) and again at {now.at}, "
                f"{wait} is the least"
            )

    def _shortest_wait(self, entry: Object, last: _Checked) -> timedelta:
        interval = checked_each(entry)
        if not last.failures:
            return interval * 0.5
        interval = asked_each(entry)
        if last.phase == "Failed":
            return min(self._MENDED_ELSEWHERE, interval) * 0.9
        doubled: timedelta = self._FIRST_WAIT * 2 ** min(last.failures - 1, 20)
        return min(doubled, interval) * 0.8


class WorkPerEventIsBounded(Invariant):
    """One delivery costs a bounded number of calls, writes and events, whatever comes between.

    docs/reliability.md, "Work". A handler reads, claims, writes spec and
    status; each write is tried at most 8 times against other writers, a claim
    whose maker is at work is looked at for two seconds. Ticks look at every
    entry and are bounded by their number instead.
    """

    name = "work-per-event-is-bounded"

    CALLS = 160
    WRITES = 12
    EVENTS = 5
    _SWEEPING = frozenset({"reverify", "audit"})

    def __init__(self) -> None:
        self._writes: Counter[int] = Counter()
        self._events: Counter[int] = Counter()

    def on_change(self, change: ChangeSeen) -> None:
        """Count writes."""
        if change.by_function and change.delivery is not None:
            self._writes[change.delivery] += 1

    def on_event(self, event: EventSeen) -> None:
        """Count events."""
        if event.delivery is not None:
            self._events[event.delivery] += 1

    def on_delivery(self, delivery: DeliverySeen) -> None:
        """Judge one delivery."""
        writes, events = self._writes.pop(delivery.number, 0), self._events.pop(delivery.number, 0)
        if delivery.function in self._SWEEPING or delivery.event.type == SourceType.PING:
            return
        if delivery.calls > self.CALLS or writes > self.WRITES or events > self.EVENTS:
            self.broken(
                f"{delivery.function} made {delivery.calls} calls, {writes} writes and {events} events "
                f"of one {delivery.event.type}"
            )


class NothingLoops(Invariant):
    """What functions write and emit leads to more of it only a few steps further.

    docs/reliability.md, "Work": a status write of our own comes back as an event and asks for
    nothing. Steps are counted from whatever came from outside: a build, a
    person, a request, a tick.
    """

    name = "nothing-loops"

    STEPS = 8

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], int] = {}
        self._events: dict[str, int] = {}
        self._deliveries: dict[int, int] = {}

    def on_attempt(self, attempt: AttemptSeen) -> None:
        """Find out how far an event is from what came from outside."""
        event = attempt.event
        steps = self._events.get(event.id, 0)
        if event.type in {SourceType.RESOURCE_ADDED, SourceType.RESOURCE_UPDATED, SourceType.RESOURCE_DELETED}:
            meta = orjson.loads(event.data)["metadata"]
            steps = self._changes.get((meta["uid"], meta["resourceVersion"]), 0)
        self._deliveries[attempt.number] = steps

    def on_change(self, change: ChangeSeen) -> None:
        """Count on from the delivery that made the change."""
        if change.delivery is None or change.after is None:
            return
        steps = self._deliveries.get(change.delivery, 0) + 1
        self._changes[uid(change.after), change.after["metadata"]["resourceVersion"]] = steps
        if steps > self.STEPS:
            self.broken(f"{change.actor} wrote {subject(change.after)}, {steps} steps after anything from outside")

    def on_event(self, event: EventSeen) -> None:
        """Count on from the delivery that sent the event."""
        if event.delivery is not None and event.event.id not in self._events:
            self._events[event.event.id] = self._deliveries.get(event.delivery, 0) + 1
