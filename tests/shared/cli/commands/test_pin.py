"""``caib catalog pin``: how somebody who has caib alone ends a quarantine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
FOUND = {
    "message": "it is there",
    "phase": "Available",
    "reason": "RegistryAccessible",
    "registryUrl": "x",
    "steps": [],
}


def entry(url: str = "quay.io/acme/os:1", **status: Any) -> dict[str, Any]:
    spec = {"registryUrl": url, "digest": OLD, "driftPolicy": "quarantine", "tags": ["a"]}
    return {"metadata": {"name": "os", "resourceVersion": "7"}, "spec": spec, "status": status}


@pytest.fixture
def held(catalog: ScriptedCatalog) -> ScriptedCatalog:
    """Have an entry whose tag has moved."""
    drift = {"pinnedDigest": OLD, "tagDigest": NEW, "since": "2026-01-01T00:00:00Z"}
    catalog.answers["GET", "/images/os"] = ScriptedAnswer(200, entry(drift=drift))
    catalog.answers["PUT", "/images/os"] = ScriptedAnswer(200, entry())
    catalog.answers["POST", "/images/os/verify"] = ScriptedAnswer(200, FOUND)
    return catalog


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        pytest.param(["--moved"], {"digest": NEW}, id="what the tag has"),
        pytest.param(["--digest", NEW], {"digest": NEW}, id="a content by name"),
        pytest.param(["--free"], {"digest": None}, id="nothing"),
        pytest.param(["--drift-policy", "alert"], {"driftPolicy": "alert"}, id="another policy"),
        pytest.param(["--moved", "--drift-policy", "alert"], {"digest": NEW, "driftPolicy": "alert"}, id="both"),
    ],
)
def test_the_rest_of_the_spec_stays_and_the_entry_is_checked(
    caib: Caib, held: ScriptedCatalog, said: list[str], changed: dict[str, Any]
) -> None:
    ran = caib("pin", "os", *said)
    assert (ran.code, ran.err) == (0, "")
    _, edit, check = held.requests
    assert edit.body == {"spec": entry()["spec"] | changed, "resourceVersion": "7"}
    assert check.path == "/images/os/verify"
    assert ran.out.startswith('✓ Catalog image "os": pinned to ')
    assert ran.out.endswith("Status:        Available\n")


@pytest.mark.parametrize(
    ("url", "said", "sent"),
    [
        pytest.param(f"quay.io/acme/os:1@{OLD}", ["--digest", NEW], f"quay.io/acme/os:1@{NEW}", id="moved with it"),
        pytest.param(f"quay.io:5000/acme/os@{OLD}", ["--digest", NEW], f"quay.io:5000/acme/os@{NEW}", id="no tag"),
        pytest.param(f"quay.io/acme/os:1@{OLD}", ["--free"], "quay.io/acme/os:1", id="freed"),
    ],
)
def test_a_digest_in_the_reference_is_the_same_pin(
    caib: Caib, held: ScriptedCatalog, url: str, said: list[str], sent: str
) -> None:
    held.answers["GET", "/images/os"] = ScriptedAnswer(200, entry(url))
    assert caib("pin", "os", *said).code == 0
    assert held.requests[1].body["spec"]["registryUrl"] == sent


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param([], 2, id="nothing said"),
        pytest.param(["--moved", "--free"], 2, id="two contents"),
        pytest.param(["--drift-policy", "ignore"], 2, id="no policy"),
        pytest.param(["--moved"], 1, id="a tag that has not moved"),
        pytest.param(["--free"], 2, id="no tag to follow"),
    ],
)
def test_what_cannot_be_decided_changes_nothing(caib: Caib, held: ScriptedCatalog, said: list[str], code: int) -> None:
    held.answers["GET", "/images/os"] = ScriptedAnswer(200, entry(f"quay.io/acme/os@{OLD}"))
    assert caib("pin", "os", *said).code == code
    assert all(request.method == "GET" for request in held.requests)


def test_an_entry_that_stays_in_trouble_and_one_that_was_edited_meanwhile_end_with_their_codes(
    caib: Caib, held: ScriptedCatalog
) -> None:
    held.answers["POST", "/images/os/verify"] = ScriptedAnswer(
        200, FOUND | {"phase": "Unavailable", "reason": "Quarantined"}
    )
    assert caib("pin", "os", "--moved").code == 1
    held.answers["PUT", "/images/os"] = problem(409, "Conflict", "it has changed")
    assert caib("pin", "os", "--moved").code == 5
