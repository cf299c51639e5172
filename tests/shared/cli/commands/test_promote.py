"""``caib catalog promote``: tells the steps and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
DIGEST = "sha256:" + "a" * 64
IMAGE = {
    "apiVersion": "automotive.sdv.cloud.redhat.com/v1alpha1",
    "kind": "CatalogImage",
    "metadata": {"name": "x", "namespace": "staging"},
    "spec": {"registryUrl": "quay.io/acme/x:1", "digest": DIGEST},
    "status": {"phase": "Available"},
    "steps": [
        {"name": "Promotion", "status": "ok", "message": f"{DIGEST} from default/x", "milliseconds": 0},
        {"name": "Registry accessibility", "status": "ok", "message": "OK (requests: 2)", "milliseconds": 9},
        {"name": "Catalog image", "status": "ok", "message": "staging/x created", "milliseconds": 3},
    ],
}


def test_it_tells_the_steps_and_the_entry_there(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/promote"] = ScriptedAnswer(201, IMAGE)
    ran = caib("promote", "x", "--to", "staging", "--name", "y", "--tags", "a,b", "--auth-secret", "pull")
    assert ran.code == 0
    assert catalog.requests[0].parameters == {"namespace": "default"}
    assert catalog.requests[0].body == {
        "namespace": "staging", "name": "y", "tags": ["a", "b"], "authSecretRef": {"name": "pull"},
    }  # fmt: skip
    lines = ran.out.splitlines()
    assert lines[0] == 'Promoting catalog image "x" from namespace "default" to "staging"...'
    assert lines[1] == f"✓ Promotion: {DIGEST} from default/x"
    assert "✓ Promoted successfully" in lines


def test_what_is_there_already_says_so(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/promote"] = ScriptedAnswer(200, IMAGE | {"steps": []})
    ran = caib("promote", "x", "--to", "staging")
    assert (ran.code, catalog.requests[0].body) == (0, {"namespace": "staging"})
    assert "✓ Promoted already, nothing changed" in ran.out.splitlines()


def test_a_script_gets_the_entry(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/promote"] = ScriptedAnswer(201, IMAGE)
    ran = caib("promote", "x", "--to", "staging", "-o", "json")
    assert json.loads(ran.out)["metadata"] == {"name": "x", "namespace": "staging"}
    assert "Promoting" in ran.err


@pytest.mark.parametrize("reason", ["Recalled", "NotAvailable", "NameTaken", "OlderThanCurrent"])
def test_what_is_in_the_way_is_a_conflict(reason: str, caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["POST", "/images/x/promote"] = problem(409, reason, "it is in the way")
    ran = caib("promote", "x", "--to", "staging")
    assert (ran.code, ran.err) == (5, "Error: it is in the way\n")


def test_it_has_to_be_said_where_it_goes(caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib("promote", "x")
    assert (ran.code, catalog.requests) == (2, [])
    assert "--to" in ran.err
