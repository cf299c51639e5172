"""``caib catalog resolve``: what it asks, what it prints where, and how it ends when nothing fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, problem

Caib = Callable[..., Any]
DIGEST = f"sha256:{'ab' * 32}"
REFERENCE = f"quay.io/acme/autosd@{DIGEST}"
LOSER = {
    "name": "autosd-4101",
    "namespace": "default",
    "reason": "Recalled",
    "message": "it was recalled: boots only once",
    "digest": DIGEST.replace("a", "c"),
    "publishedAt": "2020-01-01T00:00:00Z",
}
FOUND = {
    "reference": REFERENCE,
    "platformDigest": DIGEST,
    "name": "autosd-4102",
    "namespace": "default",
    "rejected": [LOSER],
    "remainingRejectedCount": 11,
}
RESOLVE = ("resolve", "--target", "rpi4")


def test_the_bare_reference_is_all_that_a_script_reads(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/resolve"] = ScriptedAnswer(200, FOUND)
    ran = caib(*RESOLVE)
    assert (ran.code, ran.out) == (0, f"{REFERENCE}\n")
    assert ran.err == "autosd-4102 in namespace default; 12 lost, -o table says why\n"


def test_every_wish_is_asked_for(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/resolve"] = ScriptedAnswer(200, FOUND)
    words = ["--distro", "cs9", "--distro-version", "9.4", "--architecture", "aarch64", "--tag", "lts,gold"]
    words += ["--tag", "signed", "--no-bootc-capable", "--build-mode", "image", "--min-availability", "0.99"]
    words += ["--verified-only", "--max-age", "30d", "--limit", "3", "-A"]
    assert caib(*RESOLVE, *words).code == 0
    assert sorted(parse_qsl(catalog.requests[-1].query)) == [
        ("allNamespaces", "true"),
        ("architecture", "aarch64"),
        ("bootcCapable", "false"),
        ("buildMode", "image"),
        ("distro", "cs9"),
        ("distroVersion", "9.4"),
        ("limit", "3"),
        ("maxAge", "30d"),
        ("minAvailability", "0.99"),
        ("tag", "gold"),
        ("tag", "lts"),
        ("tag", "signed"),
        ("target", "rpi4"),
        ("verifiedOnly", "true"),
    ]


@pytest.mark.parametrize(
    ("form", "heading"),
    [("table", "NAME NAMESPACE AGE RESULT WHY"), ("wide", "NAME NAMESPACE AGE RESULT DIGEST WHY")],
    ids=["table", "wide"],
)
def test_a_table_says_why_the_others_lost(caib: Caib, catalog: ScriptedCatalog, form: str, heading: str) -> None:
    catalog.answers["GET", "/resolve"] = ScriptedAnswer(200, FOUND)
    ran = caib(*RESOLVE, "-o", form)
    head, chosen, loser = ran.out.splitlines()
    assert head.split() == heading.split()
    assert chosen.split()[:3] == ["autosd-4102", "default", "Chosen"]
    assert chosen.endswith(REFERENCE)
    assert "Recalled" in loser
    assert loser.endswith("it was recalled: boots only once")
    assert ran.err == "11 more lost; --limit N shows up to 500\n"


def test_scripts_get_the_whole_answer_or_the_name(caib: Caib, catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/resolve"] = ScriptedAnswer(200, FOUND)
    assert json.loads(caib(*RESOLVE, "-o", "json").out) == FOUND
    assert caib(*RESOLVE, "-o", "name").out == "catalogimage/autosd-4102\n"


def test_nothing_that_fits_ends_with_4_and_the_reasons(caib: Caib, catalog: ScriptedCatalog) -> None:
    detail = "the one image for rpi4 in namespace default does not fit: Recalled 1"
    details = {"target": "rpi4", "rejected": [LOSER], "remainingRejectedCount": 0}
    catalog.answers["GET", "/resolve"] = problem(404, "NoImageFits", detail, **details)
    ran = caib(*RESOLVE)
    assert (ran.code, ran.out) == (4, "")
    _, loser, error = ran.err.splitlines()
    assert loser.split()[0] == "autosd-4101"
    assert error == f"Error: {detail}"
    ran = caib(*RESOLVE, "-o", "json")
    assert (ran.code, json.loads(ran.out)) == (4, details)
    assert ran.err == f"Error: {detail}\n"


def test_a_board_is_asked_for(caib: Caib) -> None:
    ran = caib("resolve")
    assert ran.code == 2
    assert "--target" in ran.err
