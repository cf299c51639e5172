"""``caib catalog recall`` and ``restore``: ask, tell what has come of it, and who has the content."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
DIGEST = "sha256:" + "a" * 64
WHERE = f'{DIGEST} of catalog image "x" in namespace "default"'
IMAGE = {
    "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
    "kind": "CatalogImage",
    "metadata": {"name": "x", "namespace": "default", "uid": "1", "resourceVersion": "7"},
    "spec": {"registryUrl": "quay.io/acme/x:1"},
    "status": {"phase": "Available", "registryMetadata": {"resolvedDigest": DIGEST}},
}
MARK = {"digest": DIGEST, "reason": "it overheats", "namespace": "default", "name": "x", "recalledBy": "somebody"}
DAYS = {"first": "2026-01-01T00:00:00Z", "last": "2026-01-02T00:00:00Z"}
CONSUMERS = [
    {"actor": "fleet", "kind": "image.resolved", **DAYS, "count": 4},
    {"actor": "bench", "kind": "image.downloaded", **DAYS, "count": 1},
]


def answer(**changes: Any) -> ScriptedAnswer:
    report = {
        "digest": DIGEST,
        "recalled": True,
        "changed": True,
        "recalls": [MARK],
        "told": True,
        "message": f"{DIGEST} of default/x is recalled",
        "marked": [{"namespace": "staging", "name": "x"}],
        "markedElsewhere": 0,
        "consumers": CONSUMERS,
        "consumersRemaining": False,
        "consumersMessage": "",
    }
    return ScriptedAnswer(200, IMAGE | {"recall": report | changes})


def test_the_current_content_is_recalled_and_told_of(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images/x"] = ScriptedAnswer(200, IMAGE)
    catalog.answers["POST", "/images/x/recall"] = answer()
    ran = caib("recall", "x", "--reason", "it overheats", "--force")
    assert ran.code == 0
    assert catalog.requests[-1].body == {"digest": DIGEST, "reason": "it overheats"}
    assert ran.out.splitlines()[0] == f"✓ Recalled {WHERE}"
    told = {line.partition(":")[0]: line.partition(":")[2].strip() for line in ran.out.splitlines() if ":" in line}
    assert (told["Reason"], told["Recalled at"], told["Also marked"]) == ("it overheats", "default/x", "staging/x")
    assert [line.split()[:3] for line in ran.out.splitlines()[-3:]] == [
        ["WHO", "WHAT", "TIMES"],
        ["fleet", "resolved", "4"],
        ["bench", "downloaded", "1"],
    ]
    assert ran.err == ""


def test_a_content_that_is_named_is_not_looked_up(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/recall"] = answer()
    assert caib("recall", "x", "--digest", DIGEST, "--reason", "it overheats", "--force").code == 0
    assert [asked.method for asked in catalog.requests] == ["POST"]


def test_an_image_of_which_nobody_knows_the_content_asks_for_a_digest(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images/x"] = ScriptedAnswer(200, IMAGE | {"status": {"phase": "Pending"}})
    ran = caib("recall", "x", "--reason", "it overheats", "--force")
    assert (ran.code, len(catalog.requests)) == (1, 1)
    assert ran.err.endswith("Hint: name the content with --digest\n")


@pytest.mark.parametrize(("command", "word"), [("recall", "recalled"), ("restore", "restored")])
def test_without_a_terminal_it_has_to_be_forced(command: str, word: str, caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib(command, "x", "--digest", DIGEST, "--reason", "why")
    assert (ran.code, ran.out, catalog.requests) == (2, "", [])
    assert ran.err.startswith(f"Error: {WHERE} is not {word} without being asked for\n")


@pytest.mark.parametrize("command", ["recall", "restore"])
def test_it_has_to_be_said_why(command: str, caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib(command, "x", "--digest", DIGEST, "--force")
    assert (ran.code, catalog.requests) == (2, [])
    assert "--reason" in ran.err


@pytest.mark.parametrize("command", ["recall", "restore"])
def test_a_dry_run_shows_the_request(command: str, caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib(command, "x", "--digest", DIGEST, "--reason", "why", "--dry-run")
    assert (ran.code, catalog.requests) == (0, [])
    assert f"/images/x/{command}" in ran.out + ran.err


def test_what_was_recalled_already_says_so(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/recall"] = answer(changed=False, consumers=[])
    ran = caib("recall", "x", "--digest", DIGEST, "--reason", "it overheats", "--force")
    assert ran.out.splitlines()[0].endswith(f"{DIGEST} of default/x is recalled")
    assert "Nobody has resolved or downloaded it." in ran.out


def test_that_nobody_was_told_and_that_nobody_knows_who_has_it_is_said_beside_the_data(
    caib: Caib, catalog: ScriptedCatalog
) -> None:
    catalog.answers["POST", "/images/x/recall"] = answer(
        told=False, message="nobody was told", consumers=None, consumersMessage="nobody keeps it", markedElsewhere=2
    )
    ran = caib("recall", "x", "--digest", DIGEST, "--reason", "it overheats", "--force")
    assert ran.code == 0
    assert ran.err.splitlines() == ["nobody was told", "nobody keeps it"]
    assert "staging/x, 2 in namespaces that you may not look into" in ran.out


def test_a_list_that_does_not_end_here_says_where_the_rest_is(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/recall"] = answer(consumersRemaining=True)
    ran = caib("recall", "x", "--digest", DIGEST, "--reason", "it overheats", "--force")
    assert ran.err == "there are more; see: caib catalog audit\n"


def test_a_script_gets_the_entry_and_the_report(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/recall"] = answer()
    ran = caib("recall", "x", "--digest", DIGEST, "--reason", "it overheats", "--force", "-o", "json")
    document = json.loads(ran.out)
    assert (document["metadata"]["name"], document["recall"]["consumers"]) == ("x", CONSUMERS)
    assert ran.err.splitlines()[0] == f"✓ Recalled {WHERE}"


def test_whoever_looks_at_a_recalled_image_is_told_beside_the_data(caib: Caib, catalog: ScriptedCatalog) -> None:
    condition = {"type": "Recalled", "status": "True", "reason": "ContentRecalled", "message": "it \x1b[2Joverheats"}
    catalog.answers["GET", "/images/x"] = ScriptedAnswer(200, IMAGE | {"status": {"conditions": [condition]}})
    for form in ((), ("-o", "json"), ("-o", "table")):
        assert caib("get", "x", *form).err == "x must not be used: it [2Joverheats\n"


def test_a_recalled_file_and_version_say_so(caib: Caib, catalog: ScriptedCatalog) -> None:
    recall = {"namespace": "dev", "name": "x", "reason": "it overheats"}
    file = {"name": "disk.raw", "type": "oci", "url": "quay.io/acme/x@sha256:0", "recall": recall}
    catalog.answers["GET", "/images/x/artifacts"] = ScriptedAnswer(200, {"items": [file]})
    assert caib("artifacts", "x").err == "disk.raw must not be used: recalled at dev/x\n"
    catalog.answers["GET", "/images/x/history"] = ScriptedAnswer(
        200, {"items": [{"digest": DIGEST, "recall": recall}], "metadata": {}}
    )
    assert caib("history", "x").out.splitlines()[-1].endswith("it overheats")


def test_a_content_is_restored(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/restore"] = answer(recalled=False, recalls=[], marked=[])
    ran = caib("restore", "x", "--digest", DIGEST, "--reason", "a cable", "--force")
    assert ran.code == 0
    assert catalog.requests[-1].body == {"digest": DIGEST, "reason": "a cable"}
    assert ran.out.splitlines()[0] == f"✓ Restored {WHERE}"
    assert "Recalled:" in ran.out
    assert "WHO" not in ran.out


def test_a_content_that_was_recalled_elsewhere_is_a_conflict(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/restore"] = problem(409, "RecalledElsewhere", "was recalled at dev/x")
    ran = caib("restore", "x", "--digest", DIGEST, "--reason", "a cable", "--force")
    assert (ran.code, ran.err) == (5, "Error: was recalled at dev/x\n")


def test_a_content_that_the_entry_never_had_is_an_error(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/recall"] = problem(422, "DigestUnknown", "default/x has no content")
    ran = caib("recall", "x", "--digest", DIGEST, "--reason", "it overheats", "--force")
    assert (ran.code, ran.err) == (1, "Error: default/x has no content\n")
