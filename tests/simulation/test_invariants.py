"""Every invariant holds of a world that keeps its promise, and fails in one that breaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from image_catalog.events import EventType, event_id
from image_catalog.events.event import removal_id
from image_catalog.local.knative import CloudEvent
from image_catalog.models import format_time
from image_catalog.models.names import (
    ANNOTATION_DIGEST_PINNED_BY,
    ANNOTATION_PUBLICATION,
    ANNOTATION_PUBLISH,
    FINALIZER,
    GROUP,
)
from image_catalog.testing.simulation.invariants import (
    INVARIANTS,
    AttemptSeen,
    ChangeSeen,
    DeliverySeen,
    EventSeen,
    Invariant,
    LetterSeen,
    Quiet,
    RequestSeen,
    Truth,
    Violation,
    make_invariants,
)

URL = "quay.io/acme/autosd:cs9"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"

Record = AttemptSeen | ChangeSeen | DeliverySeen | EventSeen | LetterSeen | RequestSeen | Quiet
Body = dict[str, Any]


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def entry(name: str = "autosd", *, url: str = URL, status: Body | None = None, **fields: Any) -> Body:
    metadata = {
        "name": name,
        "namespace": "team-a",
        "uid": name,
        "resourceVersion": "1",
        "generation": 1,
        "finalizers": [FINALIZER],
        **fields.get("metadata", {}),
    }
    return {
        "metadata": metadata,
        "spec": {"registryUrl": url, "verificationInterval": "1h", **fields.get("spec", {})},
        "status": status or {},
    }


def available(digest: str = OLD, reason: str = "RegistryAccessible", phase: str = "Available", **more: Any) -> Body:
    good = "True" if phase == "Available" else "False"
    conditions = [
        {"type": "Available", "status": good, "reason": reason, "observedGeneration": 1},
        {"type": "Verified", "status": good, "reason": "Verified", "observedGeneration": 1},
        {"type": "DigestMatched", "status": "True", "reason": "Matched", "observedGeneration": 1},
    ]
    registry = {"resolvedDigest": digest, "mediaType": "application/json", "sizeBytes": 7}
    times = {"lastVerificationTime": format_time(NOW), "nextVerificationTime": format_time(at(50))}
    return {
        "phase": phase,
        "observedGeneration": 1,
        "conditions": conditions,
        "registryMetadata": registry,
        "publishedAt": format_time(NOW),
        **times,
        **more,
    }


def owes(cause: str, *types: str) -> Body:
    events = [
        {"type": kind, "id": event_id(cause, EventType(f"com.redhat.automotive.catalog.{kind}"), "team-a/autosd")}
        for kind in types
    ]
    return {"recentChanges": [{"cause": cause, "events": events, "time": format_time(NOW)}]}


def published(minutes: float, cause: str = "cause", build: str | None = "build") -> Body:
    record: Body = {"cause": cause, "time": format_time(at(minutes))}
    if build is not None:
        record["build"] = {"uid": build, "completionTime": format_time(at(minutes))}
    return {"metadata": {"annotations": {ANNOTATION_PUBLICATION: json.dumps(record)}}}


def source(build: str, minutes: float) -> Body:
    return {"sourceImageBuild": {"uid": build, "completionTime": format_time(at(minutes))}}


def build(name: str = "build", *, minutes: float = 0, says: str = "") -> Body:
    annotations = {ANNOTATION_PUBLISH: says} if says else {}
    return {
        "metadata": {"name": name, "namespace": "team-a", "uid": name, "annotations": annotations},
        "spec": {"export": {"container": URL}},
        "status": {"phase": "Completed", "completionTime": format_time(at(minutes))},
    }


def lease(holder: str, *, removed: float | None = None) -> Body:
    annotations = {f"{GROUP}/reference": URL}
    if removed is not None:
        annotations[f"{GROUP}/removed-at"] = format_time(at(removed))
    return {
        "metadata": {"name": "claim", "namespace": "team-a", "annotations": annotations},
        "spec": {"holderIdentity": holder},
    }


def change(
    before: Body | None, after: Body | None, actor: str = "verify", *, minutes: float = 0, plural: str = "catalogimages"
) -> ChangeSeen:
    kind: Literal["ADDED", "MODIFIED", "DELETED"] = (
        "ADDED" if before is None else "DELETED" if after is None else "MODIFIED"
    )
    return ChangeSeen(
        at=at(minutes),
        actor=actor,
        plural=plural,
        kind=kind,
        before=before,
        after=after,
        delivery=_delivery(actor),
    )


def _delivery(actor: str) -> int | None:
    return None if actor in {"person", "operator"} else 1


def event(kind: str, number: str = "cause", data: Mapping[str, Any] | None = None, **more: str) -> CloudEvent:
    attributes = {"id": number, "type": kind, "source": "/here", "subject": "team-a/autosd", **more}
    return CloudEvent(attributes, json.dumps(data or {}).encode())


def attempt(cause: CloudEvent, function: str = "verify", *, minutes: float = 0, number: int = 1) -> AttemptSeen:
    return AttemptSeen(number=number, at=at(minutes), function=function, event=cause)


def ended(
    cause: CloudEvent, function: str = "verify", *, status: int = 204, calls: int = 3, number: int = 1
) -> DeliverySeen:
    return DeliverySeen(number=number, at=at(1), function=function, event=cause, status=status, calls=calls)


def emits(
    kind: EventType, number: str, *, function: str = "verify", data: Body | None = None, **more: str
) -> EventSeen:
    return EventSeen(at=NOW, function=function, delivery=1, event=event(kind, number, data, **more))


def asks(method: str, path: str, status: int | None = 200, *, delivery: int = 1) -> RequestSeen:
    return RequestSeen(
        at=NOW, function="verify", delivery=delivery, method=method, host="quay.io", path=path, status=status
    )


def quiet(
    *entries: Body,
    builds: Sequence[Body] = (),
    leases: Sequence[Body] = (),
    truth: Truth | None = None,
    minutes: float = 1,
) -> Quiet:
    objects = {"catalogimages": entries, "imagebuilds": builds, "leases": leases}
    said = truth or Truth(tag_digest=OLD)
    return Quiet(now=at(minutes), quiet_since=NOW, objects=lambda plural: objects[plural], truth=lambda *_: said)


CAUSE = event("dev.knative.apiserver.resource.update", data={"metadata": {"uid": "autosd", "resourceVersion": "1"}})
AVAILABLE = available(**owes("cause", "image.available"))
DUPLICATE = available(phase="Failed", reason="DuplicateReference")
GONE: Body = {"metadata": {"deletionTimestamp": format_time(NOW)}}
OWED = event_id("cause", EventType.IMAGE_AVAILABLE, "team-a/autosd")
MANIFEST = "/v2/acme/autosd/manifests/cs9"
REQUESTED = EventType.PUBLISH_REQUESTED


def in_between(*minutes: float) -> list[Record]:
    """Show an entry that is well, and is checked again after so many minutes."""
    seen: list[Record] = [change(None, entry(status=available()))]
    before = available()
    for minute in minutes:
        after = {**available(), "lastVerificationTime": format_time(at(minute))}
        seen += [attempt(CAUSE, minutes=minute), change(entry(status=before), entry(status=after), minutes=minute)]
        before = after
    return seen


CHECKED_LATER = {**available(), "lastVerificationTime": format_time(at(60))}
CHECKED_SOON = {**available(), "lastVerificationTime": format_time(at(5))}
VERSION: Body = {"history": [{"digest": OLD}]}
PERSON = entry(spec={"digest": NEW})


CASES: dict[str, tuple[list[Record], list[Record]]] = {
    "one-entry-per-image": (
        [change(None, entry(), "publish"), quiet(entry(), entry("other", status=DUPLICATE))],
        [change(None, entry(), "publish"), change(None, entry("other"), "publish")],
    ),
    "one-entry-per-image/at rest": ([quiet(entry())], [quiet(entry(), entry("other"))]),
    "living-entries-hold-their-claim": (
        [quiet(entry(), leases=[lease("autosd")])],
        [quiet(entry(), leases=[lease("autosd", removed=0)])],
    ),
    "living-entries-hold-their-claim/another": (
        [quiet(entry("a"), leases=[lease("a")])],
        [quiet(entry("a"), leases=[lease("b")])],
    ),
    "living-entries-hold-their-claim/for ever": (
        [quiet(leases=[lease("a", removed=0)], minutes=60 * 24 * 29)],
        [quiet(leases=[lease("a", removed=0)], minutes=60 * 24 * 31)],
    ),
    "removed-stays-away": (
        [
            attempt(CAUSE, "publish"),
            change(entry(), None, "person", minutes=5),
            change(None, entry(**published(6)), "publish", minutes=7),
        ],
        [
            attempt(CAUSE, "publish"),
            change(entry(), None, "person", minutes=5),
            change(None, entry(**published(4)), "publish", minutes=7),
        ],
    ),
    "opted-out-stays-out": (
        [change(None, build(), "operator", plural="imagebuilds"), change(None, entry(**published(1)), "publish")],
        [
            change(None, build(says="false"), "operator", plural="imagebuilds"),
            change(None, entry(**published(1)), "publish"),
        ],
    ),
    "every-build-has-its-entry": (
        [quiet(entry(status=available(**source("build", 0))), builds=[build()])],
        [quiet(builds=[build()])],
    ),
    "every-build-has-its-entry/newest": (
        [quiet(entry(status=available(**source("b", 9))), builds=[build("a"), build("b", minutes=9)], minutes=20)],
        [quiet(entry(**published(0), status=available(**source("a", 0))), builds=[build("a"), build("b", minutes=9)])],
    ),
    "every-build-has-its-entry/removed": (
        [change(entry(), None, "person", minutes=5), quiet(builds=[build(minutes=5)], minutes=9)],
        [change(entry(), None, "person", minutes=5), quiet(builds=[build(minutes=6)], minutes=9)],
    ),
    "never-back-to-an-older-build": (
        [
            change(None, entry(**published(5)), "publish"),
            change(entry(**published(5)), entry(**published(6, build="next")), "publish"),
        ],
        [
            change(None, entry(**published(5)), "publish"),
            change(entry(**published(5)), entry(**published(4, build="last")), "publish"),
        ],
    ),
    "never-back-to-an-older-build/version": (
        [change(entry(status=source("a", 1)), entry(status=source("b", 2)), "verify")],
        [
            change(None, entry(status=source("b", 2)), "verify"),
            change(entry(status=source("b", 2)), entry(status=source("a", 1)), "verify"),
        ],
    ),
    "published-once": (
        [attempt(CAUSE, "publish"), change(entry(), entry(**published(1)), "publish")],
        [
            attempt(CAUSE, "publish"),
            change(entry(status=source("build", 1)), entry(**published(1), status=source("build", 1)), "publish"),
        ],
    ),
    "phase-is-the-truth": (
        [quiet(entry(status=available()))],
        [quiet(entry(status=available()), truth=Truth(trouble=frozenset({"RegistryUnreachable"})))],
    ),
    "phase-is-the-truth/gone": (
        [quiet(entry(status=available(phase="Unavailable", reason="ImageNotFound")), truth=Truth())],
        [quiet(entry(status=available()), truth=Truth())],
    ),
    "phase-is-the-truth/content": ([quiet(entry(status=available()))], [quiet(entry(status=available(NEW)))]),
    "phase-is-the-truth/quarantine": (
        [
            quiet(
                entry(
                    spec={"digest": NEW, "driftPolicy": "quarantine"},
                    status=available(phase="Unavailable", reason="Quarantined"),
                ),
            )
        ],
        [quiet(entry(spec={"digest": NEW, "driftPolicy": "quarantine"}, status=available(NEW)))],
    ),
    "phase-is-the-truth/lonely duplicate": (
        [quiet(entry(status=DUPLICATE), entry("other", status=available()))],
        [quiet(entry(status=DUPLICATE))],
    ),
    "reasons-are-witnessed": (
        [
            asks("HEAD", MANIFEST, 404),
            change(entry(), entry(status=available(phase="Unavailable", reason="ImageNotFound"))),
        ],
        [
            asks("HEAD", MANIFEST, None),
            change(entry(), entry(status=available(phase="Unavailable", reason="ImageNotFound"))),
        ],
    ),
    "reasons-are-witnessed/a token that another delivery is denied": (
        [
            attempt(event("due")),
            asks("GET", "/token", 401, delivery=2),
            change(entry(), entry(status=available(phase="Failed", reason="AuthenticationFailed"))),
        ],
        [
            asks("GET", "/token", 401, delivery=2),
            attempt(event("due"), minutes=1),
            change(entry(), entry(status=available(phase="Failed", reason="AuthenticationFailed")), minutes=2),
        ],
    ),
    "nothing-is-left-waiting": ([quiet(entry(status=available()))], [quiet(entry(status={"phase": "Verifying"}))]),
    "nothing-is-left-waiting/generation": (
        [quiet(entry(status=available()))],
        [quiet(entry(status=available(), metadata={"generation": 2}))],
    ),
    "nothing-is-left-waiting/overdue": (
        [quiet(entry(status=available()), minutes=55)],
        [quiet(entry(status=available()), minutes=90)],
    ),
    "nothing-is-left-waiting/finalizer": (
        [quiet(entry(status=available()))],
        [quiet(entry(status=available(), metadata={"finalizers": []}))],
    ),
    "deleted-entries-are-gone": (
        [quiet(entry(metadata={**GONE["metadata"], "finalizers": ["somebody/else"]}))],
        [quiet(entry(**GONE))],
    ),
    "people-are-heard": (
        [
            change(entry(), PERSON, "person"),
            change(PERSON, entry(spec={"digest": NEW, "verifyBlobs": True}), "publish"),
        ],
        [change(entry(), PERSON, "person"), change(PERSON, entry(spec={"digest": OLD}), "publish")],
    ),
    "people-are-heard/asked for": (
        [
            attempt(event(REQUESTED, data={"verificationInterval": "2h"}), "publish"),
            change(None, entry(), "person"),
            change(entry(), entry(spec={"verificationInterval": "2h"}), "publish"),
        ],
        [change(None, entry(), "person"), change(entry(), entry(spec={"verificationInterval": "2h"}), "publish")],
    ),
    "people-are-heard/followed": (
        [
            change(None, entry(spec={"digest": OLD, "driftPolicy": "follow"}), "person"),
            change(
                entry(spec={"digest": OLD, "driftPolicy": "follow"}),
                entry(spec={"digest": NEW, "driftPolicy": "follow"}),
                "verify",
            ),
            change(entry(spec={"digest": NEW, "driftPolicy": "follow"}), entry(spec={"digest": NEW}), "person"),
            change(entry(spec={"digest": NEW}), entry(spec={"digest": NEW}, status=available()), "verify"),
        ],
        [
            change(None, entry(spec={"digest": OLD}), "person"),
            change(entry(spec={"digest": OLD}), entry(spec={"digest": NEW}), "verify"),
        ],
    ),
    "history-is-monotone": (
        [change(entry(status=available()), entry(status=available(NEW, **VERSION)))],
        [change(entry(status=available()), entry(status=available(NEW)))],
    ),
    "history-is-monotone/time": (
        [change(entry(status=available()), entry(status=CHECKED_LATER))],
        [change(entry(status=CHECKED_LATER), entry(status=available()))],
    ),
    "metadata-is-kept": (
        [change(entry(status=available()), entry(status=CHECKED_LATER))],
        [change(entry(status=available()), entry(status={"phase": "Unavailable"}))],
    ),
    "metadata-is-kept/less": (
        [change(entry(status=available()), entry(status=available()))],
        [change(entry(status=available()), entry(status=available(registryMetadata={"resolvedDigest": OLD})))],
    ),
    "generations-are-true": (
        [change(entry(), entry(status=available()))],
        [change(entry(), entry(status=available(observedGeneration=2)))],
    ),
    "events-are-emitted": (
        [change(entry(), entry(status=AVAILABLE)), emits(EventType.IMAGE_AVAILABLE, OWED), ended(CAUSE)],
        [change(entry(), entry(status=AVAILABLE)), ended(CAUSE)],
    ),
    "events-are-emitted/overlapping": (
        [attempt(CAUSE), attempt(CAUSE, number=2), change(entry(), entry(status=AVAILABLE)), ended(CAUSE, number=2)],
        [attempt(CAUSE), change(entry(), entry(status=AVAILABLE)), attempt(CAUSE, number=2), ended(CAUSE, number=2)],
    ),
    "events-tell-of-writes": (
        [change(entry(), entry(status=AVAILABLE)), emits(EventType.IMAGE_AVAILABLE, OWED)],
        [change(entry(), entry(status=AVAILABLE)), emits(EventType.IMAGE_AVAILABLE, "another")],
    ),
    "events-tell-of-writes/removal": (
        [change(None, entry()), emits(EventType.IMAGE_REMOVED, removal_id("autosd"))],
        [change(None, entry()), emits(EventType.IMAGE_REMOVED, removal_id("another"))],
    ),
    "phase-changes-are-owed": (
        [change(entry(), entry(status=AVAILABLE))],
        [change(entry(), entry(status=available()))],
    ),
    "phase-changes-are-owed/twice": (
        [change(entry(status=available()), entry(status=CHECKED_LATER))],
        [change(entry(status=available()), entry(status={**CHECKED_LATER, **owes("next", "image.available")}))],
    ),
    "phase-changes-are-owed/content": (
        [change(entry(status=available()), entry(status=available(NEW, **owes("next", "image.published"))))],
        [change(entry(status=available()), entry(status=available(NEW)))],
    ),
    "one-id-one-fact": (
        [emits(EventType.IMAGE_AVAILABLE, "1"), emits(EventType.IMAGE_AVAILABLE, "1")],
        [emits(EventType.IMAGE_AVAILABLE, "1"), emits(EventType.IMAGE_FAILED, "1")],
    ),
    "removals-are-told": (
        [
            emits(EventType.IMAGE_REMOVED, removal_id("autosd"), function="cleanup"),
            change(entry(**GONE), None, "cleanup"),
        ],
        [change(entry(**GONE), None, "cleanup")],
    ),
    "letters-are-the-last-resort": (
        [LetterSeen(at=NOW, function="publish", event=CAUSE, statuses=(503, None))],
        [LetterSeen(at=NOW, function="publish", event=CAUSE, statuses=(503, 400))],
    ),
    "registry-is-asked-little": (
        [
            change(entry(), entry(status=available()), "publish", minutes=-9),
            attempt(CAUSE),
            asks("HEAD", MANIFEST),
            change(entry(status=available()), entry(status=CHECKED_LATER)),
            ended(CAUSE),
        ],
        [
            change(entry(), entry(status=available()), "publish", minutes=-9),
            attempt(CAUSE),
            asks("GET", MANIFEST),
            change(entry(status=available()), entry(status=CHECKED_LATER)),
            ended(CAUSE),
        ],
    ),
    "registry-is-asked-little/without end": (
        [*[asks("GET", MANIFEST)] * 9, ended(CAUSE)],
        [*[asks("GET", MANIFEST)] * 99, ended(CAUSE)],
    ),
    "checks-are-spaced": (
        [
            change(None, entry(status=available())),
            attempt(CAUSE, minutes=60),
            change(entry(status=available()), entry(status=CHECKED_LATER), minutes=60),
        ],
        [
            change(None, entry(status=available())),
            attempt(CAUSE, minutes=5),
            change(entry(status=available()), entry(status=CHECKED_SOON), minutes=5),
        ],
    ),
    "checks-are-spaced/half an interval twice": (in_between(31, 62), in_between(31, 59)),
    "work-per-event-is-bounded": ([ended(CAUSE)], [ended(CAUSE, calls=1000)]),
    "nothing-loops": (
        [attempt(CAUSE), change(entry(), entry(metadata={"resourceVersion": "2"}))],
        [record for _ in range(9) for record in (attempt(CAUSE), change(entry(), entry()))],
    ),
}
"""For each invariant (and a way to break it) a world that keeps it, and one that does not."""


def shown(invariant: Invariant, records: Sequence[Record]) -> None:
    look: dict[type, Callable[[Any], None]] = {
        AttemptSeen: invariant.on_attempt,
        ChangeSeen: invariant.on_change,
        DeliverySeen: invariant.on_delivery,
        EventSeen: invariant.on_event,
        LetterSeen: invariant.on_letter,
        RequestSeen: invariant.on_request,
        Quiet: invariant.at_quiet,
    }
    for record in records:
        look[type(record)](record)


def made(case: str) -> Invariant:
    name = case.partition("/")[0]
    return next(kind for kind in INVARIANTS if kind.name == name)()


@pytest.mark.parametrize("case", CASES)
def test_a_world_that_keeps_its_promise_is_left_alone(case: str) -> None:
    shown(made(case), CASES[case][0])


@pytest.mark.parametrize("case", CASES)
def test_a_broken_promise_is_seen(case: str) -> None:
    invariant = made(case)
    with pytest.raises(Violation) as seen:
        shown(invariant, CASES[case][1])
    assert seen.value.name == invariant.name


def test_every_invariant_can_fail_and_says_where_its_promise_is_made() -> None:
    names = [kind.name for kind in INVARIANTS]
    assert len(set(names)) == len(names)
    assert {case.partition("/")[0] for case in CASES} == set(names)
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    for kind in INVARIANTS:
        section = re.search(r'docs/reliability\.md, "([^"]+)"', kind.__doc__ or "")
        assert section is not None, kind.name
        part = page.partition(f"\n## {section[1]}\n")[2].partition("\n## ")[0]
        assert f"`{kind.name}`" in part, f"{kind.name} in {section[1]}"


def test_invariants_of_a_real_stack_need_nobody_to_say_who_did_it() -> None:
    outside = {invariant.name for invariant in make_invariants(outside=True)}
    for case, (_, broken) in CASES.items():
        if case.partition("/")[0] in outside:
            unseen = (AttemptSeen, DeliverySeen, RequestSeen, LetterSeen)
            assert not [record for record in broken if isinstance(record, unseen)], case


def test_a_pin_that_follows_its_tag_is_nobodys() -> None:
    follows = {"driftPolicy": "follow"}
    mark = {"annotations": {ANNOTATION_DIGEST_PINNED_BY: "publish"}}
    written = entry(spec={"digest": OLD, **follows})
    shown(
        made("people-are-heard"),
        [
            change(entry(), written, "person"),
            change(written, entry(spec={"digest": NEW, **follows}, metadata=mark), "verify"),
        ],
    )
