"""The pages of docs/reference are what the code says, and say all of it."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from image_catalog.cli.reference.events import ATTRIBUTES, OCCASIONS
from image_catalog.cli.reference.examples import example_of
from image_catalog.cli.reference.writing import PAGES, main
from image_catalog.config import Settings
from image_catalog.events import EventType, image_attributes
from image_catalog.events.schema import event_schema
from image_catalog.events.types import PUBLIC_TYPES
from image_catalog.events.wire import parse_event
from image_catalog.models import CatalogImage

FOLDER = Path(__file__).resolve().parents[4] / "docs" / "reference"
SETTING = re.compile(r"^\| `(IMAGE_CATALOG_\w+)` \| (?:–|`(.*?)`) \|", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_committed_page_is_what_the_code_says(page: str) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == PAGES[page](), "run `make docs`"


def test_a_page_that_is_behind_is_named_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--output", str(tmp_path)]) == 0
    assert {line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()} == set(PAGES)
    (tmp_path / "settings.md").write_text("old")
    assert main(["--output", str(tmp_path), "--check"]) == 1
    assert capsys.readouterr() == ("", f"behind the code: {tmp_path / 'settings.md'}; run `make docs`\n")
    assert main(["--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'settings.md'}\n"
    assert main(["--output", str(tmp_path), "--check"]) == 0


@pytest.mark.parametrize("page", sorted(path.name for path in FOLDER.glob("*.md")))
def test_what_is_no_row_of_a_table_is_short(page: str) -> None:
    text = re.sub(r"```.*?```", "", (FOLDER / page).read_text(), flags=re.DOTALL)
    prose = [line for line in text.splitlines() if not line.startswith("|") and "](" not in line]
    assert [line for line in prose if len(line) > 120] == []


@pytest.mark.parametrize("event_type", PUBLIC_TYPES, ids=lambda t: t.short)
def test_the_example_of_an_event_is_one_that_the_catalog_takes(event_type: EventType) -> None:
    example = example_of(event_type)
    raw = parse_event({"content-type": "application/cloudevents+json"}, json.dumps(example).encode())
    assert raw.attributes["type"] == event_type
    jsonschema_rs.validator_for(event_schema(event_type)).validate(example["data"])
    assert raw.extensions.keys() <= ATTRIBUTES.keys()


@pytest.mark.parametrize("function", ["audit", "cleanup", "publish", "reverify", "verify"])
def test_the_page_says_which_function_sends_a_type_and_which_wakes_on_it(function: str) -> None:
    wiring = importlib.import_module(f"image_catalog_functions.{function}.main")
    sent = {t for t in PUBLIC_TYPES if function in OCCASIONS[t].sender.split(", ")}
    assert sent == set(wiring.EMITS) & set(PUBLIC_TYPES)
    # That audit wakes on each stands above the table: its filter is their prefix.
    exact = {trigger.attributes.get("type") for trigger in wiring.TRIGGERS if trigger.dialect == "exact"}
    assert {t for t in PUBLIC_TYPES if OCCASIONS[t].wakes == function} == exact & set(PUBLIC_TYPES)


def test_the_page_lists_the_attributes_that_events_have() -> None:
    image = CatalogImage.from_object(
        {
            "metadata": {"name": "a", "namespace": "b"},
            "spec": {
                "registryUrl": "quay.io/a/b",
                "digest": "sha256:" + "a" * 64,
                "metadata": {"architecture": "arm64", "distro": "cs9", "targets": [{"name": "qemu"}]},
            },
            "status": {"phase": "Available"},
        }
    )
    assert set(image_attributes(image)) == set(ATTRIBUTES)


def test_every_setting_can_be_given_as_the_page_writes_its_default() -> None:
    shown = SETTING.findall((FOLDER / "settings.md").read_text())
    assert [name for name, _ in shown] == [f"IMAGE_CATALOG_{name.upper()}" for name in Settings.model_fields]
    assert Settings.from_environment({name: value for name, value in shown if value}) == Settings.model_construct()
