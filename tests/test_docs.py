"""The pages say what the code does: every table of names is compared with the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from image_catalog.catalog.conditions import ConditionType
from image_catalog.catalog.lifecycle import FAILED_REASONS
from image_catalog.cli import settings as caib_settings
from image_catalog.cli.errors import ExitCode
from image_catalog.errors import CatalogError
from image_catalog.models import (
    CatalogImageSpec,
    CatalogImageStatus,
    CatalogMetadata,
    CatalogRegistrySpec,
    CatalogRegistryStatus,
    Phase,
    RegistryMetadata,
    names,
)
from image_catalog.models.crds import crd_manifests
from image_catalog.models.events import PhaseReason, RejectionReason
from image_catalog.models.reasons import ReportRefusal

ROOT = Path(__file__).resolve().parents[1]
PHASES = (ROOT / "docs" / "phases.md").read_text()
RESOURCES = (ROOT / "docs" / "resources.md").read_text()
EVIDENCE = (ROOT / "docs" / "evidence.md").read_text()
CAIB = (ROOT / "docs" / "caib.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
ARTIFACTS = (ROOT / "docs" / "artifacts.md").read_text()


def section(page: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of any level."""
    return re.split(r"^#+ ", page.split(f"{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Return the rows of the first table of a text, without its head."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[2:]]


def first_words(text: str) -> list[str]:
    """Return the names in the first column of a table."""
    return [row[0].strip().strip("|").strip().strip("`") for row in rows(text)]


def aliases(model: type[BaseModel]) -> set[str]:
    """Return a model's fields as they are written on the wire."""
    return {field.alias or name for name, field in model.model_fields.items()}


def quoted(text: str) -> set[str]:
    """Return every word between backticks."""
    return set(re.findall(r"`([A-Za-z]+)(?:\[\])?`", text))


def test_every_phase_is_explained() -> None:
    assert first_words(section(PHASES, "# Phases and reasons")) == list(Phase)


def test_every_reason_has_one_row_with_its_phase_and_what_to_do() -> None:
    table = rows(section(PHASES, "## Reasons"))
    assert sorted(row[0].strip("|` ") for row in table) == sorted(PhaseReason)
    phases = {row[0].strip("|` "): row[1].strip("`") for row in table}
    for reason, phase in phases.items():
        expected = Phase.FAILED if reason in FAILED_REASONS else Phase.UNAVAILABLE
        assert phase == (Phase.AVAILABLE if reason == PhaseReason.REGISTRY_ACCESSIBLE else expected)
    assert all(row[3].rstrip("| ") for row in table)


def test_every_condition_is_explained() -> None:
    shown = {"Available", *first_words(section(PHASES, "## The other conditions"))}
    assert shown == set(get_args(ConditionType))


def test_every_reason_of_a_refused_report_is_explained() -> None:
    assert first_words(section(EVIDENCE, "## What is refused")) == list(ReportRefusal)


def test_every_reason_of_a_refusal_is_explained() -> None:
    text = section(PHASES, "## When a publication is refused")
    assert set(RejectionReason) <= quoted(text)
    assert set(first_words(text)) <= set(RejectionReason)
    assert set(RejectionReason) - set(first_words(text)) <= set(PhaseReason)


@pytest.mark.parametrize(
    ("heading", "model"), [("### spec", CatalogImageSpec), ("### status", CatalogImageStatus)], ids=["spec", "status"]
)
def test_every_field_of_an_entry_is_explained(heading: str, model: type[BaseModel]) -> None:
    assert first_words(section(RESOURCES, heading)) == [_alias(model, name) for name in model.model_fields]


def _alias(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


@pytest.mark.parametrize(
    ("heading", "field", "model"),
    [("### spec", "metadata", CatalogMetadata), ("### status", "registryMetadata", RegistryMetadata)],
    ids=["metadata", "registryMetadata"],
)
def test_every_field_within_is_named(heading: str, field: str, model: type[BaseModel]) -> None:
    row = next(row for row in rows(section(RESOURCES, heading)) if row[0].strip("|` ") == field)
    assert aliases(model) <= quoted(" ".join(row[1:]))


def test_every_field_of_a_registry_is_explained() -> None:
    shown = set(first_words(section(RESOURCES, "## CatalogRegistry")))
    fields = {"spec": CatalogRegistrySpec, "status": CatalogRegistryStatus}
    assert shown == {f"{part}.{name}" for part, model in fields.items() for name in aliases(model)}


def test_short_names_and_selectors_are_those_of_the_crds() -> None:
    for name in ("catalogimages", "catalogregistries"):
        crd = crd_manifests()[f"{name}.yaml"]
        assert f"`{name}`, short name `{crd['spec']['names']['shortNames'][0]}`" in RESOURCES
        for selectable in crd["spec"]["versions"][0].get("selectableFields", []):
            assert f"`{selectable['jsonPath'].removeprefix('.')}`" in RESOURCES


def test_labels_annotations_and_the_finalizer_are_those_that_the_code_knows() -> None:
    known = {
        value + ("<name>" if name in {"LABEL_ARCHITECTURE_PREFIX", "LABEL_TARGET_PREFIX"} else "")
        for name, value in vars(names).items()
        if name.startswith(("LABEL_", "ANNOTATION_", "FINALIZER"))
    }
    assert set(re.findall(rf"`([a-z.]*{re.escape(names.GROUP)}/[^`]+)`", RESOURCES)) == known


def test_the_keys_of_the_configuration_file_are_those_that_caib_reads() -> None:
    assert first_words(section(CAIB, "## The configuration file")) == list(caib_settings._KEYS)


def test_the_exit_codes_are_those_that_caib_ends_with() -> None:
    assert [int(code) for code in first_words(section(CAIB, "## Exit codes"))] == list(ExitCode)


def test_a_reason_that_an_error_gives_is_one_that_a_page_explains() -> None:
    outside_of_phases = {"InternalError", "AuditUnavailable", "ClusterUnavailable", "WriteConflict", "SinkUnavailable"}
    explained = quoted(PHASES) | quoted(ARTIFACTS) | outside_of_phases
    unexplained = {error.reason for error in _subclasses(CatalogError)} - explained
    assert unexplained <= {"InvalidEvent", "InvalidExpression", "NotFound"}


def _subclasses(kind: type[CatalogError]) -> Iterable[type[CatalogError]]:
    for subclass in kind.__subclasses__():
        # Tests make errors of their own, and a command's say their message and an exit code, never their reason.
        if subclass.__module__.startswith("image_catalog") and not subclass.__module__.startswith("image_catalog.cli"):
            yield subclass
            yield from _subclasses(subclass)


def test_every_layer_stands_on_the_page_about_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    shown = set(re.findall(r"`(image_catalog[\w.]*?)(?:\.\*)?`", section(ARCHITECTURE, "## Layers")))
    assert shown - {"image_catalog.testing"} == named
