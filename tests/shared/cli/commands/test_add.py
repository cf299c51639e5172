"""``caib catalog add``: what it sends, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
URL = "quay.io/centos-automotive/autosd:cs9-reference"
REQUIRED = ("--architecture", "amd64", "--distro", "cs9")


def added(phase: str | None = "Available", *, asked: bool = True) -> dict[str, Any]:
    access = ("ok", "OK (quay.io answered, requests: 2)") if asked else ("skipped", "not asked for")
    return {
        "metadata": {"name": "reference-cs9", "namespace": "default"},
        "spec": {"registryUrl": URL, "metadata": {"architecture": "x86_64", "distro": "cs9"}},
        "status": {
            "phase": phase,
            "effectiveMetadata": {"architecture": "amd64,arm64", "distro": "cs9", "targets": []},
        }
        if phase
        else {},
        "steps": [
            {"name": "Registry URL", "status": "ok", "message": URL},
            {"name": "Registry accessibility", "status": access[0], "message": access[1]},
            {"name": "Catalog image", "status": "ok", "message": "default/reference-cs9 created"},
        ],
    }


def test_what_contradicts_the_registry_is_told_and_is_no_failure(caib: Caib, catalog: ScriptedCatalog) -> None:
    answer = added()
    told = "architecture is arm64, the registry says amd64; the registry's word counts"
    answer["steps"].append({"name": "Metadata consistency", "status": "warning", "message": told})
    answer["spec"]["metadata"]["architecture"] = "arm64"
    answer["status"]["effectiveMetadata"]["architecture"] = "amd64"
    catalog.answers["POST", "/images"] = ScriptedAnswer(201, answer)
    ran = caib("add", "reference-cs9", URL, "--architecture", "arm64", "--distro", "cs9")
    assert (ran.code, ran.err) == (0, "")
    assert f"! Metadata consistency: {told}\n" in ran.out
    assert "Architecture:   amd64\n" in ran.out


def test_an_image_is_added_with_everything_that_was_said_of_it(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images"] = ScriptedAnswer(201, added())
    digest = f"sha256:{'ab' * 32}"
    words = ["--target", "qemu", "--target", "rpi4,rpi5", "--tags", "reference,baseline", "--digest", digest]
    words += ["--distro-version", "9.4", "--kernel-version", "6.1.0-rt", "--auth-secret", "creds", "--bootc-capable"]
    ran = caib("add", "reference-cs9", URL, *REQUIRED, *words)
    assert (ran.code, ran.err) == (0, "")
    assert (
        ran.out
        == f"""Adding image to catalog...
✓ Validating registry URL
✓ Verifying registry accessibility... OK (quay.io answered, requests: 2)
✓ Creating catalog image "reference-cs9"
✓ Added successfully

Catalog Image:  reference-cs9
Registry URL:   {URL}
Architecture:   amd64, arm64
Distro:         cs9
Status:         Available
"""
    )
    (asked,) = catalog.requests
    assert asked.parameters == {"namespace": "default"}
    assert asked.body == {
        "name": "reference-cs9",
        "spec": {
            "registryUrl": URL,
            "digest": digest,
            "tags": ["reference", "baseline"],
            "authSecretRef": {"name": "creds"},
            "metadata": {
                "architecture": "amd64",
                "distro": "cs9",
                "distroVersion": "9.4",
                "kernelVersion": "6.1.0-rt",
                "targets": [{"name": "qemu"}, {"name": "rpi4"}, {"name": "rpi5"}],
                "bootcCapable": True,
            },
        },
    }


def test_what_was_not_said_is_not_sent(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images"] = ScriptedAnswer(201, added())
    caib("add", "reference-cs9", URL, *REQUIRED, "--no-bootc-capable", "-n", "team-a")
    (asked,) = catalog.requests
    assert asked.parameters == {"namespace": "team-a"}
    assert asked.body["spec"] == {
        "registryUrl": URL,
        "metadata": {"architecture": "amd64", "distro": "cs9", "bootcCapable": False},
    }


def test_the_registry_is_not_asked_where_nobody_wants_it(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images"] = ScriptedAnswer(201, added(None, asked=False))
    ran = caib("add", "reference-cs9", URL, *REQUIRED, "--no-verify")
    assert catalog.requests[0].parameters["verify"] == "false"
    assert "– Registry accessibility: not asked for\n" in ran.out
    assert ran.out.endswith("Status:         Pending\n")
    assert ran.code == 0


def test_waiting_goes_on_until_the_phase_has_settled(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images"] = ScriptedAnswer(201, added(None, asked=False))
    catalog.answers["GET", "/images"] = ScriptedAnswer(200, {"items": [added("Failed")]})
    ran = caib("add", "reference-cs9", URL, *REQUIRED, "--no-verify", "--wait", "--timeout", "10s")
    assert (ran.code, ran.err) == (1, 'Error: catalog image "reference-cs9" is Failed\n')


def test_an_image_that_is_there_already_is_a_conflict(caib: Caib, catalog: ScriptedCatalog) -> None:
    steps = [{"name": "Catalog image", "status": "failed", "message": "AlreadyExists: it is default/other"}]
    catalog.answers["POST", "/images"] = problem(409, "AlreadyExists", "it is default/other", steps=steps)
    ran = caib("add", "reference-cs9", URL, *REQUIRED)
    assert ran.code == 5
    assert ran.out.endswith("✗ Catalog image: AlreadyExists\n")
    assert ran.err.startswith("Error: it is default/other\n")


@pytest.mark.parametrize("missing", ["--architecture", "--distro"])
def test_what_is_required_is_asked_for(caib: Caib, catalog: ScriptedCatalog, missing: str) -> None:
    given = {"--architecture": "amd64", "--distro": "cs9"}
    given.pop(missing)
    ran = caib("add", "reference-cs9", URL, *[word for pair in given.items() for word in pair])
    assert (ran.code, catalog.requests) == (2, [])
    assert missing in ran.err


@pytest.mark.parametrize(
    ("secret", "reference"),
    [("creds", {"name": "creds"}), ("ops/creds", {"name": "creds", "namespace": "ops"})],
    ids=["its own namespace's", "another namespace's"],
)
def test_a_secret_is_named_with_its_namespace_where_that_is_another_one(
    caib: Caib, catalog: ScriptedCatalog, secret: str, reference: dict[str, str]
) -> None:
    catalog.answers["POST", "/images"] = ScriptedAnswer(201, added())
    assert caib("add", "reference-cs9", URL, *REQUIRED, "--auth-secret", secret).code == 0
    assert catalog.requests[0].body["spec"]["authSecretRef"] == reference


@pytest.mark.parametrize("secret", ["/creds", "ops/", "a/b/c"])
def test_what_names_no_secret_is_refused_before_anything_is_asked(
    caib: Caib, catalog: ScriptedCatalog, secret: str
) -> None:
    ran = caib("add", "reference-cs9", URL, *REQUIRED, "--auth-secret", secret)
    assert (ran.code, catalog.requests) == (2, [])
    assert ran.err == f"Error: --auth-secret {secret} names no Secret\nHint: write NAME or NAMESPACE/NAME\n"


def test_a_dry_run_tells_of_nothing_that_does_not_happen(caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib("add", "reference-cs9", URL, *REQUIRED, "--dry-run")
    assert (ran.code, ran.err, catalog.requests) == (0, "", [])
    assert ran.out.startswith("POST /api/v1alpha1/catalog/images?")
