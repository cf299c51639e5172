"""``caib catalog report``: one command for a laboratory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from image_catalog.cli.boards import board_text
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
DIGEST = f"sha256:{'ab' * 32}"
NOW = datetime(2026, 1, 3, tzinfo=UTC)
TESTED = {"name": "raspberry-pi", "verified": True, "tested": True, "passRate": 0.9697, "runs": 32}
ENTRY = {"metadata": {"name": "nightly"}, "status": {"registryMetadata": {"resolvedDigest": DIGEST}}}
PASSED = ("report", "nightly", "--target", "raspberry-pi", "--result", "passed")


def recorded(**target: Any) -> ScriptedAnswer:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    board = TESTED | {"lastTested": now} | target
    return ScriptedAnswer(200, {"id": "1", "outcome": "recorded", "status": 200, "events": [], "target": board})


def test_the_present_content_is_what_was_tested_unless_a_digest_is_given(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images/nightly"] = ScriptedAnswer(200, ENTRY)
    catalog.answers["POST", "/events"] = recorded()
    ran = caib(*PASSED)
    assert (ran.code, ran.err) == (0, "")
    first, _, *facts = ran.out.splitlines()
    assert first == '✓ Recorded: catalog image "nightly" passed on raspberry-pi'
    assert facts[0] == "Catalog Image:  nightly"
    assert facts[1] == f"Digest:         {DIGEST}"
    assert facts[2].startswith("Target:         raspberry-pi ✓ 96 % (32 runs, ")
    sent = catalog.requests[-1]
    assert sent.headers["content-type"] == "application/cloudevents+json"
    assert sent.body["type"] == "com.redhat.automotive.catalog.test.reported"
    data = {"name": "nightly", "namespace": "default", "target": "raspberry-pi", "result": "passed", "digest": DIGEST}
    assert sent.body["data"] == data


def test_everything_can_be_said(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/events"] = recorded()
    other = f"sha256:{'cd' * 32}"
    said = ("--digest", other, "--report-url", "https://lab/7", "--at", "2026-01-01T00:00:00Z", "--run", "7")
    ran = caib(*PASSED, *said, "-n", "team-a", "-o", "json")
    assert json.loads(ran.out)["outcome"] == "recorded"
    assert "✓ Recorded" in ran.err
    (sent,) = catalog.requests
    assert sent.body["id"] == "7"
    assert sent.body["data"].items() >= {"digest": other, "at": "2026-01-01T00:00:00Z", "namespace": "team-a"}.items()
    assert caib(*PASSED, "--digest", other, "-o", "name").out == "catalogimage/nightly\n"


def test_what_is_older_than_all_that_is_kept_is_told(caib: Caib, catalog: ScriptedCatalog) -> None:
    answer = ScriptedAnswer(200, {"outcome": "nothing", "target": TESTED | {"lastTested": "2026-01-01T00:00:00Z"}})
    catalog.answers["POST", "/events"] = answer
    ran = caib(*PASSED, "--digest", DIGEST)
    assert (ran.code, ran.out.splitlines()[0][:10]) == (0, "– Not kept")


def test_an_entry_that_nobody_has_looked_at_needs_a_digest(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images/nightly"] = ScriptedAnswer(200, {"metadata": {"name": "nightly"}})
    ran = caib(*PASSED)
    assert (ran.code, len(catalog.requests)) == (1, 1)
    assert "Hint: name the content with --digest" in ran.err


@pytest.mark.parametrize(("status", "reason", "code"), [(404, "NotFound", 4), (422, "UnknownTarget", 1), (403, "", 3)])
def test_a_refusal_ends_with_its_code(
    caib: Caib, catalog: ScriptedCatalog, status: int, reason: str, code: int
) -> None:
    catalog.answers["POST", "/events"] = problem(status, reason, "no")
    assert caib(*PASSED, "--digest", DIGEST).code == code


@pytest.mark.parametrize(
    ("target", "text"),
    [
        pytest.param({}, "raspberry-pi ✓ 96 % (32 runs, 2d ago)", id="verified"),
        pytest.param(
            {"verified": False, "passRate": 0, "runs": 1}, "raspberry-pi ✗ 0 % (1 run, 2d ago)", id="failed once"
        ),
        pytest.param({"tested": False}, "raspberry-pi ✓ (claimed, not tested)", id="claimed"),
        pytest.param({"tested": False, "verified": False}, "raspberry-pi", id="nothing known"),
    ],
)
def test_a_board_is_told_with_what_its_tests_say(target: dict[str, Any], text: str) -> None:
    last = (NOW - timedelta(days=2)).isoformat()
    assert board_text(TESTED | {"lastTested": last} | target, NOW) == text
