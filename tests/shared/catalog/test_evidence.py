"""Which tests are kept, and what they say of a board: by when they ended, in whatever order they are told."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.catalog.evidence import KEPT_RUNS, Report, ReportRefusedError, read_report, record, with_evidence
from image_catalog.catalog.publication import Publication
from image_catalog.events import EventType, ReceivedEvent
from image_catalog.models import CatalogImage, Evidence, TestedTarget, TestResult, TestRun
from image_catalog.models.events import UNAUTHENTICATED, TestReport
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, ANNOTATION_METADATA_OVERRIDE, PINNED_BY_PUBLISH

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW, BEFORE, OLDER, ARM, AMD = (f"sha256:{letter * 64}" for letter in "abcde")
BOARD = "rpi4"
Given = dict[str, Any]


def entry(*, claims: Given | None = None, history: tuple[str, ...] = (BEFORE,), platforms: bool = False) -> Given:
    variants = [{"architecture": "arm64", "digest": ARM}, {"architecture": "amd64", "digest": AMD}]
    boards = {BOARD: False} if claims is None else claims
    return {
        "metadata": {"name": "os", "namespace": "team-a"},
        "spec": {
            "registryUrl": "quay.io/acme/os:1",
            "metadata": {"targets": [{"name": name, "verified": verified} for name, verified in boards.items()]},
        },
        "status": {
            "registryMetadata": {"resolvedDigest": NOW, "platformVariants": variants if platforms else []},
            "history": [{"digest": digest, "supersededAt": "2026-01-01T00:00:00Z"} for digest in history],
        },
    }


def image(**fields: Any) -> CatalogImage:
    return CatalogImage.from_object(entry(**fields))


def run(number: int, result: str = "passed", **fields: Any) -> TestRun:
    basic = {"id": f"run-{number}", "at": NOON + timedelta(minutes=number), "reported_by": "lab"}
    return TestRun.model_validate(basic | {"result": TestResult(result)} | fields)


def applied(digest: str, *, verified: bool) -> dict[str, str]:
    """Return the record of the last publication on an entry."""
    targets = {"targets": [{"name": BOARD, "verified": verified}]}
    publication = Publication(cause="c", time=NOON, applied_at=NOON, digest=digest, metadata=targets)
    return publication.to_annotation() | {ANNOTATION_DIGEST_PINNED_BY: PINNED_BY_PUBLISH}


def told(image: CatalogImage, *runs: TestRun, digest: str = NOW, target: str = BOARD) -> CatalogImage:
    for one in runs:
        status = record(image, Report(digest, target, one))
        image = image if status is None else image.model_copy(update={"status": status})
    return image


def board(image: CatalogImage, name: str = BOARD) -> TestedTarget:
    return next(target for target in image.status.targets if target.name == name)


def kept(image: CatalogImage, digest: str = NOW) -> list[str]:
    return [run.id for item in image.status.evidence if item.digest == digest for run in item.runs]


def as_seen(image: CatalogImage) -> Given:
    return image.status.to_dict()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param(["passed"], (True, True, 1.0, 1), id="passed"),
        pytest.param(["failed"], (False, True, 0.0, 1), id="failed"),
        pytest.param(["passed", "failed"], (False, True, 0.5, 2), id="the last one failed"),
        pytest.param(["failed", "passed"], (True, True, 0.5, 2), id="the last one passed"),
        pytest.param(["passed", "failed", "skipped"], (False, True, 0.5, 2), id="what is skipped says nothing"),
        pytest.param(["skipped"], (False, False, None, 0), id="nothing but skipped"),
    ],
)
def test_a_board_is_verified_by_the_last_result(results: list[str], expected: object) -> None:
    after = board(told(image(), *(run(number, result) for number, result in enumerate(results))))
    assert (after.verified, after.tested, after.pass_rate, after.runs) == expected


@pytest.mark.parametrize("claims", [{BOARD: True}, {BOARD: False}], ids=["claimed", "not claimed"])
def test_without_a_test_a_board_is_what_somebody_claims(claims: dict[str, bool]) -> None:
    found = image(claims=claims)
    after = with_evidence(found, found.status).targets
    assert after == [TestedTarget(name=BOARD, verified=claims[BOARD], claimed=NOW if claims[BOARD] else None)]
    assert board(told(found, run(1, "skipped"))).verified is claims[BOARD]
    assert board(told(found, run(1, "failed"))).verified is False


@pytest.mark.parametrize(
    ("pin", "annotations", "holds"),
    [
        pytest.param(None, {}, "", id="other content came"),
        pytest.param(OLDER, {}, "still", id="a person pinned other content"),
        pytest.param(OLDER, {ANNOTATION_DIGEST_PINNED_BY: PINNED_BY_PUBLISH}, "", id="publish pinned other content"),
        pytest.param(None, applied(OLDER, verified=True), "still", id="who published it says so of it"),
        pytest.param(None, applied(OLDER, verified=False), "", id="who published it does not say so"),
        pytest.param(None, applied(NOW, verified=True), "", id="who published what was before said so"),
    ],
)
def test_a_claim_is_one_on_the_content_that_it_was_first_seen_with(
    pin: str | None, annotations: dict[str, str], holds: str
) -> None:
    said = entry(claims={BOARD: True})
    first = CatalogImage.from_object(said)
    seen = with_evidence(first, first.status)
    said["spec"]["digest"], said["metadata"]["annotations"] = pin, annotations
    moved = CatalogImage.from_object(said)
    after = with_evidence(moved, seen.model_copy(update=_content(OLDER, NOW)))
    assert after.targets[0].verified is bool(holds)
    assert with_evidence(moved, after) == after
    if not holds:
        assert with_evidence(first, after.model_copy(update=_content(NOW, OLDER))).targets == seen.targets


def test_the_tests_of_a_platform_count_for_its_index() -> None:
    found = told(told(image(platforms=True), run(1, "passed"), digest=ARM), run(2, "failed"), digest=NOW)
    assert (board(found).verified, board(found).runs, board(found).pass_rate) == (False, 2, 0.5)


def test_the_tests_of_a_platform_stay_as_long_as_its_index() -> None:
    found = told(image(platforms=True), run(1), digest=ARM)
    moved = with_evidence(image(history=(NOW, BEFORE)), found.status.model_copy(update=_content(OLDER, NOW)))
    assert [(item.digest, item.index) for item in moved.evidence] == [(ARM, NOW)]
    assert moved.targets == [TestedTarget(name=BOARD, verified=False)]
    back = with_evidence(image(), moved.model_copy(update=_content(NOW, OLDER)))
    assert [item.digest for item in back.evidence] == [ARM]
    gone = with_evidence(image(), moved.model_copy(update=_content(OLDER, BEFORE)))
    assert gone.evidence == []


def _content(now: str, *history: str) -> Given:
    status = image(history=history).status
    assert status.registry_metadata is not None
    return {
        "registry_metadata": status.registry_metadata.model_copy(update={"resolved_digest": now}),
        "history": status.history,
    }


def test_a_month_of_nightly_tests_is_kept_newest_first() -> None:
    found = told(image(), *(run(number) for number in range(KEPT_RUNS + 8)))
    assert kept(found) == [f"run-{number}" for number in range(KEPT_RUNS + 7, 7, -1)]
    assert board(found).runs == KEPT_RUNS


def test_what_is_older_than_all_that_is_kept_changes_nothing() -> None:
    full = told(image(), *(run(number) for number in range(100, 100 + KEPT_RUNS)))
    assert record(full, Report(NOW, BOARD, run(99))) is None
    assert record(full, Report(NOW, BOARD, run(100))) is None


def test_the_last_result_outlives_a_month_of_skipped_tests() -> None:
    found = told(image(), run(0), *(run(number, "skipped") for number in range(1, KEPT_RUNS + 20)))
    assert kept(found)[-1] == "run-0"
    assert (len(kept(found)), board(found).verified, board(found).runs) == (KEPT_RUNS, True, 1)


def test_reports_of_nobody_known_are_shown_and_change_nothing() -> None:
    strangers = [run(n, "failed", reported_by=UNAUTHENTICATED, counts=False, source="/x") for n in range(50, 150)]
    found = told(image(claims={BOARD: True}), *strangers)
    assert (board(found).verified, board(found).tested, len(kept(found))) == (True, False, KEPT_RUNS)
    found = told(found, run(1), *strangers)
    assert (board(found).verified, board(found).runs, board(found).pass_rate) == (True, 1, 1.0)
    assert "run-1" in kept(found)
    # Under the id of a report that is still to come, a stranger's does not take its place.
    found = told(image(), run(1, "failed", reported_by=UNAUTHENTICATED, counts=False, source="/x"), run(1))
    assert board(found).verified


_RUNS = st.lists(
    st.builds(
        lambda number, result, known: run(
            number, result, **({} if known else {"reported_by": UNAUTHENTICATED, "counts": False})
        ),
        st.integers(0, 60),
        st.sampled_from(["passed", "failed", "skipped"]),
        st.booleans(),
    ),
    unique_by=lambda one: (one.id, one.reported_by),
    max_size=90,
)


@given(_RUNS, st.randoms(use_true_random=False))
def test_neither_the_order_of_reports_nor_their_repetition_matters(runs: list[TestRun], rng: random.Random) -> None:
    again = runs + rng.sample(runs, k=len(runs) // 2)
    rng.shuffle(again)
    assert as_seen(told(image(), *runs)) == as_seen(told(image(), *again))


def test_the_evidence_of_versions_that_are_forgotten_is_dropped() -> None:
    found = told(told(image(history=(BEFORE, OLDER)), run(1), digest=OLDER), run(2), digest=BEFORE)
    after = with_evidence(found, found.status.model_copy(update={"history": found.status.history[:1]}))
    assert [item.digest for item in after.evidence] == [BEFORE]


def test_evidence_stays_small_and_the_current_content_keeps_its_results() -> None:
    boards = {f"board-{number}": False for number in range(64)}
    history = tuple(f"sha256:{number:064x}" for number in range(10))
    runs = [run(number, report_url=f"https://lab.example.com/{'x' * 1900}/{number}") for number in range(KEPT_RUNS)]
    many = [Evidence(digest=d, target=b, runs=runs[::-1]) for d in (*history, NOW) for b in boards]
    found = image(claims=boards, history=history)
    after = with_evidence(found, found.status.model_copy(update={"evidence": many}))
    assert len(after.model_dump_json()) < 400_000
    assert all(target.verified for target in after.targets)
    assert len(after.targets) == 64
    assert with_evidence(found, after) == after


@pytest.mark.parametrize(
    ("digest", "target", "reason", "named"),
    [
        pytest.param(OLDER, BOARD, "UnknownDigest", NOW, id="a content that it never had"),
        pytest.param(NOW, "toaster", "UnknownTarget", BOARD, id="a board that it is not for"),
    ],
)
def test_what_the_entry_does_not_know_is_refused_with_what_it_knows(
    digest: str, target: str, reason: str, named: str
) -> None:
    with pytest.raises(ReportRefusedError, match=named) as refused:
        record(image(), Report(digest, target, run(1)))
    assert refused.value.reason == reason
    assert named in refused.value.details["known"]  # type: ignore[operator]  # a list of them


@pytest.mark.parametrize("digest", [NOW, BEFORE, ARM], ids=["current", "a version before", "a platform"])
def test_what_the_entry_stands_or_stood_for_is_taken(digest: str) -> None:
    assert kept(told(image(platforms=True), run(1), digest=digest), digest) == ["run-1"]


def test_an_image_that_names_no_board_is_for_those_that_it_was_tested_on() -> None:
    found = told(image(claims={}), run(1), target="qemu")
    assert board(found, "qemu").verified
    stranger = told(image(claims={}), run(1, counts=False), target="qemu")
    assert stranger.status.targets == []


def test_a_board_that_the_registry_contradicts_is_not_the_images() -> None:
    said = entry(claims={BOARD: True})
    said["status"]["registryMetadata"]["annotations"] = {"com.redhat.automotive.target": "qemu"}
    found = CatalogImage.from_object(said)
    assert [target.name for target in with_evidence(found, found.status).targets] == ["qemu"]
    # It may be reported on all the same: who typed it may have been right, and says so with the annotation.
    found = told(found, run(1))
    said["metadata"]["annotations"] = {ANNOTATION_METADATA_OVERRIDE: "true"}
    marked = CatalogImage.from_object(said | {"status": found.status.to_dict()})
    assert [(target.name, target.verified) for target in with_evidence(marked, marked.status).targets] == [
        (BOARD, True)
    ]


def report(*, actor: str = "lab", time: datetime | None = None, **data: Any) -> Report:
    said = {"name": "os", "namespace": "team-a", "digest": NOW, "target": BOARD, "result": "passed", **data}
    event = ReceivedEvent(
        id="e" * 300, source="/lab" * 100, type=EventType.TEST_REPORTED, data=None, time=time, actor=actor
    )
    return read_report(event, TestReport.model_validate(said), now=NOON, believe_everybody=False)


def test_a_test_ended_when_it_says_else_when_it_was_told() -> None:
    hour = timedelta(hours=1)
    assert report(at=NOON - hour, time=NOON).run.at == NOON - hour
    assert report(time=NOON - hour).run.at == NOON - hour
    assert report().run.at == report(time=NOON + hour).run.at == NOON
    # Which of two was the last may be a matter of less than a second.
    moment = NOON - timedelta(microseconds=1)
    assert TestRun.model_validate(report(time=moment).run.to_dict()).at == moment


def test_a_clock_that_is_a_little_ahead_is_forgiven_and_no_more() -> None:
    assert report(at=NOON + timedelta(minutes=5)).run.at == NOON
    with pytest.raises(ReportRefusedError, match="clock") as refused:
        report(at=NOON + timedelta(minutes=6))
    assert refused.value.reason == "TimeInFuture"


def test_what_strangers_send_is_bounded_and_no_secret_is_kept() -> None:
    stranger = report(actor=UNAUTHENTICATED, reportUrl="https://lab.example.com/1?X-Amz-Signature=abc").run
    assert (len(stranger.id), stranger.id) == (36, report(actor=UNAUTHENTICATED).run.id)
    assert (len(stranger.source or ""), stranger.counts) == (256, False)
    assert "abc" not in str(stranger.report_url)
    assert (report().run.source, report().run.counts) == (None, True)
