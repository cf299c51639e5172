"""``caib catalog remove``: asks, removes, waits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
DYING = {"metadata": {"name": "x", "namespace": "default", "deletionTimestamp": "2026-01-04T14:30:00Z"}}
WHERE = 'catalog image "x" in namespace "default"'


def removable(catalog: ScriptedCatalog, *then: ScriptedAnswer) -> None:
    catalog.answers["DELETE", "/images/x"] = ScriptedAnswer(204)
    catalog.answers["GET", "/images/x"] = [*then, problem(404, "NotFound", "gone")]


def test_it_returns_when_the_entry_is_gone(caib: Caib, catalog: ScriptedCatalog) -> None:
    removable(catalog, ScriptedAnswer(200, DYING))
    ran = caib("remove", "x", "--force")
    assert (ran.code, ran.out, ran.err) == (0, f"✓ Removed {WHERE}\n", "")
    assert [asked.method for asked in catalog.requests] == ["DELETE", "GET", "GET"]


def test_an_entry_that_took_the_name_meanwhile_is_another_one(caib: Caib, catalog: ScriptedCatalog) -> None:
    removable(catalog, ScriptedAnswer(200, {"metadata": {"name": "x", "namespace": "default"}}))
    assert caib("remove", "x", "--force").code == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(ScriptedAnswer(204), f"Removed {WHERE}", id="gone"),
        pytest.param(
            ScriptedAnswer(202, DYING),
            f"{WHERE} is being removed; it goes by itself once its end has been told",
            id="going",
        ),
    ],
)
def test_without_waiting_it_says_what_the_catalog_said(
    answer: ScriptedAnswer, said: str, caib: Caib, catalog: ScriptedCatalog
) -> None:
    catalog.answers["DELETE", "/images/x"] = answer
    ran = caib("remove", "x", "--force", "--no-wait")
    assert (ran.code, ran.out, len(catalog.requests)) == (0, f"✓ {said}\n", 1)


def test_what_is_going_is_waited_for(caib: Caib, catalog: ScriptedCatalog) -> None:
    removable(catalog, ScriptedAnswer(200, DYING))
    catalog.answers["DELETE", "/images/x"] = ScriptedAnswer(202, DYING)
    ran = caib("remove", "x", "--force")
    assert (ran.code, ran.out) == (0, f"✓ Removed {WHERE}\n")


def test_an_entry_that_stays_is_a_time_out(caib: Caib, catalog: ScriptedCatalog) -> None:
    removable(catalog)
    catalog.answers["GET", "/images/x"] = ScriptedAnswer(200, DYING)
    ran = caib("remove", "x", "--force", "--timeout", "200ms")
    assert ran.code == 6
    assert ran.err.startswith('Error: catalog image "x" is still being removed after 0.2s\nHint: ')


def test_without_a_terminal_it_has_to_be_forced(caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib("remove", "x")
    assert (ran.code, ran.out, catalog.requests) == (2, "", [])
    assert (
        ran.err == f"Error: {WHERE} is not removed without being asked for\nHint: no terminal to ask at; say --force\n"
    )


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        pytest.param("y\n", 0, id="yes"),
        pytest.param("YES\n", 0, id="shouted"),
        pytest.param("n\n", 1, id="no"),
        pytest.param("\n", 1, id="nothing"),
        pytest.param("\x04", 1, id="end of input"),
    ],
)
def test_on_a_terminal_it_asks(catalog: ScriptedCatalog, tmp_path: Path, typed: str, code: int) -> None:
    removable(catalog)
    person, terminal = os.openpty()
    try:
        os.write(person, typed.encode())
        ran = subprocess.run(
            [str(Path(sys.executable).with_name("caib")), "catalog", "remove", "x"],
            stdin=terminal,
            env={"HOME": str(tmp_path), "CAIB_SERVER": catalog.url},
            capture_output=True,
            check=False,
            timeout=30,
        )
    finally:
        os.close(person)
        os.close(terminal)
    assert ran.returncode == code
    assert ran.stderr.decode().startswith(f"Remove {WHERE}? [y/N] ")
    assert [asked.method for asked in catalog.requests] == (["DELETE", "GET"] if code == 0 else [])


def test_a_dry_run_asks_nobody(caib: Caib, catalog: ScriptedCatalog) -> None:
    ran = caib("remove", "x", "--dry-run")
    assert (ran.code, ran.out, catalog.requests) == (
        0,
        "DELETE /api/v1alpha1/catalog/images/x?namespace=default\n",
        [],
    )


def test_an_entry_that_is_not_there_is_told_so(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["DELETE", "/images/x"] = problem(404, "NotFound", f"{WHERE} not found")
    assert caib("remove", "x", "--force").code == 4
