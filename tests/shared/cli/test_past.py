"""``audit``, what happened to one entry, and lists of the past."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem


def record(**fields: Any) -> dict[str, Any]:
    """Return a record as the API answers it."""
    return {
        "eventId": "e-1",
        "kind": "image.changed",
        "namespace": "default",
        "name": "cs9",
        "time": "2026-11-02T08:00:00.123456Z",
        "actor": "unknown (kubectl-edit)",
        "outcome": "succeeded",
        "message": "spec.tags changed",
        "confirmed": True,
        "data": {},
        **fields,
    }


def test_audit_shows_who_did_what_when_and_how_it_ended(caib: Any, catalog: ScriptedCatalog) -> None:
    records = [record(), record(outcome="refused", confirmed=False, message="x" * 200, name="other", eventId="e-2")]
    catalog.answers["GET", "/audit"] = ScriptedAnswer(200, {"items": records, "metadata": {"continue": "more"}})
    ran = caib(
        "catalog", "audit", "--kind", "image.changed,image.removed", "--kind", "x.y", "--since", "7d", "--actor", "a"
    )
    head, first, second = ran.out.splitlines()
    assert head.split() == ["TIME", "NAME", "KIND", "ACTOR", "OUTCOME", "MESSAGE"]
    assert first.startswith("2026-11-02T08:00:00Z   cs9     image.changed   unknown (kubectl-edit)   succeeded ")
    assert "refused (unconfirmed)" in second
    assert second.endswith("x…")
    assert "there are more" in ran.err
    asked = catalog.requests[-1].parameters
    assert asked["kind"] == "image.changed,image.removed,x.y"
    assert (asked["since"], asked["actor"], asked["namespace"], asked["limit"]) == ("7d", "a", "default", "20")
    wide = caib("catalog", "audit", "-o", "wide", "-A").out
    assert "x" * 200 in wide
    assert wide.split()[:3] == ["TIME", "NAMESPACE", "NAME"]
    assert catalog.requests[-1].parameters["allNamespaces"] == "true"
    assert caib("catalog", "audit", "-o", "name").out == "e-1\ne-2\n"
    assert json.loads(caib("catalog", "audit", "-o", "json").out) == {"items": records}


def test_audit_follows_every_page_when_asked_for_all(caib: Any, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/audit"] = [
        ScriptedAnswer(200, {"items": [record()], "metadata": {"continue": "2"}}),
        ScriptedAnswer(200, {"items": [record(eventId="e-2")], "metadata": {"continue": ""}}),
    ]
    ran = caib("catalog", "audit", "--all", "-o", "name")
    assert (ran.out, ran.err) == ("e-1\ne-2\n", "")


def test_without_a_database_it_is_said_what_to_set(caib: Any, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/audit"] = problem(501, "AuditNotConfigured", "this catalog keeps no history: set X")
    ran = caib("catalog", "audit")
    assert (ran.code, ran.out) == (1, "")
    assert "keeps no history: set X" in ran.err


@pytest.mark.parametrize(
    ("flags", "kind"), [(["--all"], "all"), (["--kind", "image.removed"], "image.removed")], ids=["all", "one kind"]
)
def test_history_shows_what_happened_to_an_entry(
    caib: Any, catalog: ScriptedCatalog, flags: list[str], kind: str
) -> None:
    answer = {"items": [record()], "metadata": {"continue": "", "note": "it is gone"}}
    catalog.answers["GET", "/images/cs9/history"] = ScriptedAnswer(200, answer)
    ran = caib("catalog", "history", "cs9", *flags, "--outcome", "succeeded", "--until", "1h")
    assert ran.out.splitlines()[0].split() == ["TIME", "KIND", "ACTOR", "OUTCOME", "MESSAGE"]
    assert ran.err == "it is gone\n"
    asked = catalog.requests[-1].parameters
    assert (asked["kind"], asked["outcome"], asked["until"]) == (kind, "succeeded", "1h")


def test_a_list_of_the_past_says_what_it_lacks(caib: Any, catalog: ScriptedCatalog) -> None:
    metadata = {"continue": "", "remainingItemCount": 0, "resourceVersion": "", "note": "it begins later"}
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [], "metadata": metadata})
    ran = caib("catalog", "list", "--as-of", "7d")
    assert ran.err.splitlines() == ["no images in namespace default", "it begins later"]
    assert catalog.requests[-1].parameters["asOf"] == "7d"


@pytest.mark.parametrize(
    "command",
    [
        ["list", "--as-of", "7d", "--watch"],
        ["list", "--wide", "--output", "json"],
        ["history", "x", "--all", "--kind", "image.removed"],
        ["audit", "--all", "--limit", "3"],
    ],
    ids=" ".join,
)
def test_what_contradicts_itself_is_refused(caib: Any, command: list[str]) -> None:
    assert caib("catalog", *command).code == 2
