"""``get``, ``history``, ``artifacts``, ``images list`` and what a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from image_catalog.models.names import (
    ANNOTATION_DIGEST_PINNED_BY,
    ANNOTATION_METADATA_OVERRIDE,
    ANNOTATION_PUBLICATION,
    FINALIZER,
    LABEL_DISTRO,
    LABEL_TARGET_PREFIX,
    PINNED_BY_PUBLISH,
)
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Run = Callable[..., Any]
DIGEST = "sha256:" + "a" * 64
ENTRY = {
    "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
    "kind": "CatalogImage",
    "metadata": {"name": "cs9", "namespace": "default", "uid": "u", "resourceVersion": "5", "managedFields": [{}]},
    "spec": {
        "registryUrl": "quay.io/acme/cs9:1.0",
        "tags": ["nightly", "lts"],
        "metadata": {"distro": "cs9", "distroVersion": "9.4", "targets": [{"name": "qemu", "notes": "x" * 300}]},
    },
    "status": {"phase": "Available"},
}


PINNED = ENTRY | {
    "metadata": {
        **ENTRY["metadata"],  # type: ignore[dict-item]  # a constant of many types
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "generation": 3,
        "finalizers": [FINALIZER],
        "labels": {LABEL_DISTRO: "cs9", f"{LABEL_TARGET_PREFIX}qemu": "true", "team": "radio"},
        "annotations": {
            ANNOTATION_DIGEST_PINNED_BY: PINNED_BY_PUBLISH,
            ANNOTATION_PUBLICATION: "{}",
            ANNOTATION_METADATA_OVERRIDE: "true",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "note": "mine",
        },
    },
    "spec": {**ENTRY["spec"], "digest": DIGEST},  # type: ignore[dict-item]  # the same
}


def test_get_shows_everything_that_is_known(caib: Run, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/images/cs9"] = ScriptedAnswer(200, PINNED)
    ran = caib("catalog", "get", "cs9")
    assert (ran.code, ran.err) == (0, "")
    shown = yaml.safe_load(ran.out)
    left_out = {"uid", "resourceVersion", "managedFields"}
    metadata = {key: value for key, value in PINNED["metadata"].items() if key not in left_out}  # type: ignore[attr-defined]  # the same
    assert shown == PINNED | {"metadata": metadata}
    assert list(shown) == ["apiVersion", "kind", "metadata", "spec", "status"]
    assert catalog.requests[0].parameters == {"namespace": "default"}


def test_a_request_is_part_of_the_pipelines_trace(
    caib: Run, catalog: ScriptedCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.answers["GET", "/images/cs9"] = ScriptedAnswer(200, PINNED)
    for trace in (None, f"00-{'a' * 32}-{'b' * 16}-01"):
        monkeypatch.setenv("TRACEPARENT", trace or "")
        caib("catalog", "get", "cs9")
        assert catalog.requests[-1].headers.get("traceparent") == trace


@pytest.mark.parametrize(("form", "read"), [("yaml", yaml.safe_load), ("json", json.loads)], ids=["yaml", "json"])
def test_what_is_to_be_applied_again_takes_nothing_from_the_functions(
    caib: Run, catalog: ScriptedCatalog, form: str, read: Callable[[str], Any]
) -> None:
    catalog.answers["GET", "/images/cs9"] = ScriptedAnswer(200, PINNED)
    shown = read(caib("catalog", "get", "cs9", "-o", form).out)
    assert shown == ENTRY | {
        "metadata": {
            "name": "cs9",
            "namespace": "default",
            "labels": {"team": "radio"},
            "annotations": {ANNOTATION_METADATA_OVERRIDE: "true", "note": "mine"},
        }
    }


def test_a_digest_that_a_person_pinned_is_applied_again(caib: Run, catalog: ScriptedCatalog) -> None:
    spec = {**ENTRY["spec"], "digest": DIGEST}  # type: ignore[dict-item]  # the same
    catalog.answers["GET", "/images/cs9"] = ScriptedAnswer(200, ENTRY | {"spec": spec})
    shown = json.loads(caib("catalog", "get", "cs9", "-o", "json").out)
    assert shown["spec"]["digest"] == DIGEST
    assert shown["metadata"] == {"name": "cs9", "namespace": "default"}


@pytest.mark.parametrize(
    ("form", "first"), [("name", "catalogimage/cs9"), ("table", "NAME"), ("wide", "NAME")], ids=str
)
def test_get_has_the_forms_of_a_list(caib: Run, catalog: ScriptedCatalog, form: str, first: str) -> None:
    catalog.answers["GET", "/images/cs9"] = ScriptedAnswer(200, ENTRY)
    assert caib("catalog", "get", "cs9", "-o", form).out.split()[0] == first


def test_what_is_not_there_is_said_in_one_line_with_a_code_of_its_own(caib: Run, catalog: ScriptedCatalog) -> None:
    said = 'catalog image "x" not found in namespace "default"'
    catalog.answers["GET", "/images/x"] = problem(404, "NotFound", said)
    ran = caib("catalog", "get", "x")
    assert (ran.code, ran.out, ran.err) == (4, "", f"Error: {said}\n")


def test_history_shows_the_current_version_first(caib: Run, catalog: ScriptedCatalog) -> None:
    items = [
        {
            "digest": DIGEST,
            "current": True,
            "publishedAt": "2026-11-02T00:00:00Z",
            "publishedBy": "alice",
            "sourceImageBuild": {"name": "b2"},
        },
        {"digest": "sha256:b", "publishedAt": "2026-11-01T00:00:00Z", "supersededAt": "2026-11-02T00:00:00Z"},
    ]
    catalog.answers["GET", "/images/cs9/history"] = ScriptedAnswer(200, {"items": items, "metadata": {}})
    head, current, before = (line.split() for line in caib("catalog", "history", "cs9").out.splitlines())
    assert head == ["DIGEST", "PUBLISHED", "BY", "SUPERSEDED", "BUILD", "RECALLED"]
    assert current == [DIGEST, "2026-11-02T00:00:00Z", "alice", "b2"]
    assert before == ["sha256:b", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"]
    assert json.loads(caib("catalog", "history", "cs9", "-o", "json").out) == {"items": items}
    assert caib("catalog", "history", "cs9", "-o", "name").out == f"{DIGEST}\nsha256:b\n"


def test_artifacts_show_where_to_get_them_and_how_to_check_them(caib: Run, catalog: ScriptedCatalog) -> None:
    items = [
        {"type": "http", "url": "https://a/b/disk.qcow2", "checksum": DIGEST, "sizeBytes": 2048, "format": "qcow2"}
    ]
    catalog.answers["GET", "/images/cs9/artifacts"] = [
        ScriptedAnswer(200, {"items": items}),
        ScriptedAnswer(200, {"items": []}),
    ]
    _, row = caib("catalog", "artifacts", "cs9").out.splitlines()
    assert row.split() == ["disk.qcow2", "http", "qcow2", "2.0kB", DIGEST, "https://a/b/disk.qcow2"]
    ran = caib("catalog", "artifacts", "cs9")
    assert (ran.code, ran.out, ran.err) == (0, "", "cs9 has no artifacts\n")


def test_builds_that_can_be_published_are_listed_with_their_entries(caib: Run, catalog: ScriptedCatalog) -> None:
    build = {
        "name": "b1", "namespace": "default", "completionTime": "2020-01-01T00:00:00Z", "registryUrl": "quay.io/a/b:1",
        "architecture": "arm64", "distro": "cs9", "target": "qemu",
    }  # fmt: skip
    old = build | {"entry": None, "unpublished": {"reason": "OlderThanCurrent", "message": "there is a newer one"}}
    here = build | {"entry": {"name": "b1", "namespace": "default", "phase": "Available"}}
    there = build | {"entry": {"name": "b1", "namespace": "team-b", "phase": "Failed"}}
    catalog.answers["GET", "/builds"] = [
        ScriptedAnswer(200, {"items": [old], "metadata": {"continue": "t"}}),
        ScriptedAnswer(200, {"items": [here, there], "metadata": {"continue": ""}}),
        ScriptedAnswer(200, {"items": [here], "metadata": {"continue": ""}}),
        ScriptedAnswer(200, {"items": [], "metadata": {}}),
    ]
    _, *rows = (line.split()[5:7] for line in caib("images", "list").out.splitlines())
    assert rows[0][0] == "OlderThanCurrent"
    assert rows[1:] == [["b1", "Available"], ["team-b/b1", "Failed"]]
    assert caib("images", "list", "-A").out.startswith("NAMESPACE")
    assert catalog.requests[-1].parameters == {"allNamespaces": "true", "limit": "500"}
    assert caib("images", "list").err == "no completed builds in namespace default\n"


@pytest.mark.parametrize("arguments", [(), ("-A",)], ids=["one namespace", "all"])
def test_names_of_builds_are_those_that_kubectl_takes(
    caib: Run, catalog: ScriptedCatalog, arguments: tuple[str, ...]
) -> None:
    catalog.answers["GET", "/builds"] = ScriptedAnswer(200, {"items": [{"name": "b1", "namespace": "default"}]})
    assert caib("images", "list", *arguments, "-o", "name").out == "imagebuild/b1\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("caib catalog get c", ["cs9"]),
        ("caib catalog history cs", ["cs9"]),
        ("caib catalog list --distro c", ["cs9"]),
        ("caib catalog list --target q", ["qemu"]),
        ("caib catalog list --tags lts,n", ["lts,nightly"]),
        ("caib catalog get zzz", []),
        ("caib catalog publish night", ["nightly-1"]),
        ("caib catalog list -n de", ["default"]),
        ("caib catalog publish x --catalog-namespace de", ["default"]),
        ("caib catalog add x y --auth-secret pu", ["pull"]),
        ("caib catalog add x y --architecture a", ["aarch64", "amd64", "arm64"]),
        ("caib catalog add x y --distro c", ["cs9"]),
        ("caib catalog add x y --tags l", ["lts"]),
        ("caib catalog resolve --target q", ["qemu"]),
        ("caib catalog resolve --target qemu --distro c", ["cs9"]),
        ("caib catalog art", ["artifacts"]),
    ],
    ids=str,
)
def test_a_shell_completes_what_the_catalog_has(
    caib: Run,
    catalog: ScriptedCatalog,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    words: str,
    expected: list[str],
) -> None:
    offer_completions(catalog)
    for name, value in asked_by_bash(words).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        caib()
    out, err = capsys.readouterr()
    assert (out.split(), err, ended.value.code) == (expected, "", 0)


def test_the_installed_command_completes(catalog: ScriptedCatalog, home: Path) -> None:
    offer_completions(catalog)
    assert complete(catalog, home, "caib catalog get c") == (["cs9"], "")


def test_a_completion_that_cannot_ask_is_silent(catalog: ScriptedCatalog, home: Path) -> None:
    catalog.answers["GET", "/images"] = problem(401, "Unauthenticated", "no")
    assert complete(catalog, home, "caib catalog get x") == ([], "")


def offer_completions(catalog: ScriptedCatalog) -> None:
    named = ENTRY | {"spec": {**ENTRY["spec"], "authSecretRef": {"name": "pull"}}}  # type: ignore[dict-item]  # the same
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [named]})
    catalog.answers["GET", "/builds"] = ScriptedAnswer(200, {"items": [{"name": "nightly-1", "namespace": "default"}]})


def asked_by_bash(words: str) -> dict[str, str]:
    """Return what bash tells when somebody presses Tab behind the last word."""
    return {"_CAIB_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}


def complete(catalog: ScriptedCatalog, home: Path, words: str) -> tuple[list[str], str]:
    """Ask the installed command as bash does."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "CAIB_SERVER": catalog.url, **asked_by_bash(words)}
    caib = Path(sys.executable).with_name("caib")
    ran = subprocess.run([caib], env=environment, capture_output=True, text=True, check=False, timeout=30)
    return ran.stdout.split(), ran.stderr
