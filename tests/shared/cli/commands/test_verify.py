"""``caib catalog verify``: of an entry, and of a reference without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
URL = "quay.io/my-org/custom-build:v1.0.0"
DIGEST = f"sha256:{'ab' * 32}"
FOUND = {
    "message": "the registry has the image",
    "triggered": True,
    "phase": "Available",
    "reason": "RegistryAccessible",
    "registryUrl": URL,
    "resolvedDigest": DIGEST,
    "sizeBytes": 1_200_000_000,
    "layerCount": 12,
    "lastVerified": "2026-01-04T14:30:00Z",
    "steps": [
        {"name": "Registry accessibility", "status": "ok", "message": "OK (quay.io answered, requests: 2)"},
        {"name": "Digest verification", "status": "ok", "message": f"OK ({DIGEST})"},
        {"name": "Metadata extraction", "status": "ok", "message": "OK (unchanged)"},
    ],
}
GONE = {
    "phase": "Unavailable",
    "reason": "AuthenticationFailed",
    "message": "quay.io wants another credential",
    "registryUrl": URL,
    "steps": [{"name": "Registry accessibility", "status": "failed", "message": "401 AuthenticationFailed: quay.io"}],
}


def test_a_check_is_told_step_by_step_with_what_was_found(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/my-custom-build/verify"] = ScriptedAnswer(200, FOUND)
    ran = caib("verify", "my-custom-build")
    assert (
        ran.out
        == f"""Verifying catalog image "my-custom-build"...
✓ Registry accessibility: OK (quay.io answered, requests: 2)
✓ Digest verification: OK ({DIGEST})
✓ Metadata extraction: OK (unchanged)

Registry URL:     {URL}
Resolved Digest:  {DIGEST}
Size:             1.2 GB
Layers:           12
Last Verified:    2026-01-04T14:30:00Z
Status:           Available
"""
    )
    assert (ran.code, ran.err) == (0, "")
    assert catalog.requests[0].parameters == {"namespace": "default"}


def test_every_blob_is_asked_for_on_demand(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/my-custom-build/verify"] = ScriptedAnswer(200, FOUND)
    caib("verify", "my-custom-build", "--deep", "--wait", "--timeout", "2m")
    assert catalog.requests[0].parameters == {"namespace": "default", "deep": "true"}


def test_an_image_that_is_not_there_fails_with_the_reason(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/my-custom-build/verify"] = ScriptedAnswer(200, GONE)
    ran = caib("verify", "my-custom-build")
    assert ran.code == 1
    assert "✗ Registry accessibility: 401 AuthenticationFailed: quay.io\n" in ran.out
    assert ran.out.endswith("Status:        Unavailable (AuthenticationFailed)\n")
    assert ran.err == (
        'Error: catalog image "my-custom-build" is Unavailable: '
        "AuthenticationFailed: quay.io wants another credential\n"
    )


def test_what_a_step_has_said_is_not_said_again(caib: Caib, catalog: ScriptedCatalog) -> None:
    said = "404 ImageNotFound: quay.io does not have it"
    steps = [{"name": "Registry accessibility", "status": "failed", "message": said}]
    gone = GONE | {"reason": "ImageNotFound", "message": "quay.io does not have it", "steps": steps}
    catalog.answers["POST", "/images/x/verify"] = ScriptedAnswer(200, gone)
    ran = caib("verify", "x")
    assert f"✗ Registry accessibility: {said}\n" in ran.out
    assert ran.err == 'Error: catalog image "x" is Unavailable: ImageNotFound\n'


AWAY = GONE | {
    "reason": "RegistryUnreachable",
    "message": "quay.io does not answer",
    "steps": [{"name": "Registry accessibility", "status": "failed", "message": "RegistryUnreachable"}],
}


@pytest.mark.parametrize(
    ("path", "named"),
    [("/images/x/verify", ("x",)), ("/verify", ("--reference", URL))],
    ids=["an entry", "a reference"],
)
def test_who_waits_does_so_while_the_registry_is_in_trouble_that_passes(
    caib: Caib, catalog: ScriptedCatalog, path: str, named: tuple[str, ...]
) -> None:
    catalog.answers["POST", path] = [ScriptedAnswer(200, AWAY), ScriptedAnswer(200, FOUND)]
    ran = caib("verify", *named, "--wait")
    assert (ran.code, len(catalog.requests)) == (0, 2)
    assert "– RegistryUnreachable: quay.io does not answer; asked again in 1 s\n" in ran.out
    assert ran.out.endswith("Status:           Available\n")


def test_trouble_that_outlasts_the_patience_is_a_time_out(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/verify"] = ScriptedAnswer(200, AWAY)
    ran = caib("verify", "x", "--wait", "--timeout", "900ms")
    assert (ran.code, len(catalog.requests)) == (6, 1)
    assert ran.out.endswith("✗ Registry accessibility: RegistryUnreachable\n")
    assert ran.err.splitlines()[0] == "Error: quay.io does not answer; --timeout 0.9s leaves no time to ask again"
    assert caib("verify", "x", "--timeout", "900ms").code == 1


def test_who_waits_is_told_at_once_what_does_not_pass(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/verify"] = ScriptedAnswer(200, GONE)
    assert (caib("verify", "x", "--wait").code, len(catalog.requests)) == (1, 1)


def test_data_has_stdout_for_itself(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/my-custom-build/verify"] = ScriptedAnswer(200, FOUND)
    ran = caib("verify", "my-custom-build", "-o", "json")
    assert json.loads(ran.out) == FOUND
    assert "✓ Metadata extraction" in ran.err


def test_the_name_of_what_was_checked_is_data_too(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/my-custom-build/verify"] = ScriptedAnswer(200, FOUND)
    assert caib("verify", "my-custom-build", "-o", "name").out == "catalogimage/my-custom-build\n"


def test_a_reference_is_explained_without_an_entry(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/verify"] = ScriptedAnswer(200, GONE)
    ran = caib("verify", "--reference", URL, "--auth-secret", "creds", "-n", "team-a", "--deep")
    assert ran.code == 1
    assert ran.out.startswith(f'Verifying reference "{URL}"...\n')
    assert catalog.requests[0].body == {
        "registryUrl": URL,
        "authSecretRef": {"name": "creds", "namespace": "team-a"},
        "deep": True,
    }


def test_an_explanation_says_how_long_each_step_took(caib: Caib, catalog: ScriptedCatalog) -> None:
    steps = [{"name": "Credentials", "status": "ok", "message": "Secret team-a/pull, key quay.io", "milliseconds": 12}]
    catalog.answers["POST", "/verify"] = ScriptedAnswer(200, {**FOUND, "steps": steps})
    assert "✓ Credentials: Secret team-a/pull, key quay.io (12 ms)\n" in caib("verify", "--reference", URL).out
    catalog.answers["POST", "/images/my-custom-build/verify"] = ScriptedAnswer(200, {**FOUND, "steps": steps})
    assert "ms)" not in caib("verify", "my-custom-build").out


def test_a_reference_is_explained_where_its_entry_would_be(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/verify"] = ScriptedAnswer(200, FOUND)
    assert caib("verify", "--reference", URL, "-n", "team-a").code == 0
    assert catalog.requests[0].parameters == {"namespace": "team-a"}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="neither"),
        pytest.param(["x", "--reference", URL], id="both"),
        pytest.param(["x", "--auth-secret", "creds"], id="an entry names its own Secret"),
        pytest.param(["x", "--timeout", "soon"], id="no duration"),
        pytest.param(["x", "-o", "table"], id="no data format"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused(caib: Caib, catalog: ScriptedCatalog, arguments: list[str]) -> None:
    ran = caib("verify", *arguments)
    assert (ran.code, ran.out, catalog.requests) == (2, "", [])
    assert ran.err.startswith("Error: ")


def test_an_entry_that_is_not_there_is_told_so(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/verify"] = problem(404, "NotFound", 'catalog image "x" not found')
    ran = caib("verify", "x")
    assert (ran.code, ran.err) == (4, 'Error: catalog image "x" not found\n')
