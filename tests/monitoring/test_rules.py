"""The alerts: complete, each with its page, the same for both kinds of Prometheus, and firing when they should."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from image_catalog.testing.promql import Prometheus, parse, selectors

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "knative" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
GROUPS: list[dict[str, Any]] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


def test_both_files_have_the_same_alerts() -> None:
    rule = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())
    assert rule["spec"]["groups"] == GROUPS, "run `make rules`"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("ImageCatalog")
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert all(text.strip() for text in alert["annotations"].values())
    assert alert["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{name}.md")
    assert promql_parser.parse_duration(alert.get("for", "1s")) <= timedelta(minutes=15)
    assert all((selector.name or "").startswith("image_catalog_") for selector in selectors(parse(alert["expr"])))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_no_label_that_its_expression_drops(name: str) -> None:
    alert = ALERTS[name]
    said = set(re.findall(r"\$labels\.(\w+)", yaml.safe_dump(alert["annotations"])))
    assert said <= {label for labels in re.findall(r"by \(([^)]*)\)", alert["expr"]) for label in labels.split(", ")}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_page_that_says_how_to_look_and_how_to_mend(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == ["What it means", "What users notice", "How to look", "How to mend it"]
    assert "```sh\n" in page.split("## How to look")[1]


def test_every_page_has_its_alert_and_stands_in_the_list() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)
    listed = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert listed == [(name, name, alert["labels"]["severity"]) for name, alert in ALERTS.items()]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Two scrapes between which something goes wrong, and whom the alert names."""

    before: str
    after: str
    names: str = ""


def _histogram(name: str, *, quick: int, slow: int, bound: str, labels: str = "") -> str:
    comma = f"{labels}," if labels else ""
    return (
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{{comma}le="{bound}"}} {quick}\n'
        f'{name}_bucket{{{comma}le="14400.0"}} {quick + slow}\n'
        f'{name}_bucket{{{comma}le="+Inf"}} {quick + slow}\n'
        f"{name}_count{{{labels}}} {quick + slow}\n"
    )


def _events(ok: int, transient: int) -> str:
    name = 'image_catalog_events_total{function="verify",type="x",outcome='
    return f'{name}"ok"}} {ok}\n{name}"transient"}} {transient}\n'


def _requests(ok: int, failed: int) -> str:
    name = 'image_catalog_api_requests_total{method="GET",route="/images",code='
    return f'{name}"200"}} {ok}\n{name}"500"}} {failed}\n'


def _reads(quick: int, slow: int) -> str:
    labels = 'method="GET",route="/images"'
    name = "image_catalog_api_request_duration_seconds"
    # Nine of ten are answered from memory, and not timed.
    return _requests(10 * (quick + slow), 0) + _histogram(name, quick=quick, slow=slow, bound="0.5", labels=labels)


def _waits(name: str, slow: int, labels: str = "") -> str:
    return _histogram(name, quick=90, slow=slow, bound="300.0", labels=labels)


_TICK = "image_catalog_last_tick_timestamp_seconds "
_AVAILABLE = 'image_catalog_registry_availability_ratio{registry="quay.io",window="24h"} '
_LETTERS = 'image_catalog_dead_letters_total{function="publish",type="x"} '
_CIRCUIT = 'image_catalog_registry_circuit_state{registry="quay.io"} '
_BUDGET = 'image_catalog_registry_budget_ratio{registry="quay.io"} '
_STALE = 'image_catalog_api_index_age_seconds{kind="CatalogImage"} '
_BUILDS = 'image_catalog_api_index_age_seconds{kind="ImageBuild"} '
_AGE = "image_catalog_event_age_seconds"
_LAG = "image_catalog_audit_lag_seconds"

TROUBLES = {
    "ImageCatalogFunctionFailing": Trouble(_events(0, 0), _events(70, 30), "verify"),
    "ImageCatalogNoTicks": Trouble("", ""),
    "ImageCatalogDeadLetters": Trouble(f"{_LETTERS}0\n", f"{_LETTERS}1\n", "publish"),
    "ImageCatalogEventsWait": Trouble(
        _waits(_AGE, 0, 'function="verify"'), _waits(_AGE, 10, 'function="verify"'), "verify"
    ),
    "ImageCatalogRegistryUnreachable": Trouble(f"{_CIRCUIT}0\n", f"{_CIRCUIT}2\n", "quay.io"),
    "ImageCatalogVerificationLate": Trouble("", "image_catalog_due_oldest_seconds 1801\n"),
    "ImageCatalogRegistryLimitTooLow": Trouble(f"{_BUDGET}2\n", f"{_BUDGET}0.9\n", "quay.io"),
    "ImageCatalogAvailabilityFalling": Trouble(f"{_AVAILABLE}1\n", f"{_AVAILABLE}0.94\n", "quay.io"),
    "ImageCatalogIndexStale": Trouble(f"{_STALE}0\n", f"{_STALE}121\n", "CatalogImage"),
    "ImageCatalogBuildListStale": Trouble(f"{_BUILDS}0\n", f"{_BUILDS}301\n", "ImageBuild"),
    "ImageCatalogAPIErrors": Trouble(_requests(0, 0), _requests(97, 3)),
    "ImageCatalogAPISlow": Trouble(_reads(0, 0), _reads(40, 60)),
    "ImageCatalogAuditLag": Trouble(_waits(_LAG, 0), _waits(_LAG, 10)),
}

QUIET = {
    "ImageCatalogFunctionFailing": Trouble(_events(0, 0), _events(90, 10)),
    "ImageCatalogNoTicks": Trouble(f"{_TICK}4080\n", ""),
    "ImageCatalogDeadLetters": Trouble(f"{_LETTERS}4\n", f"{_LETTERS}4\n"),
    "ImageCatalogEventsWait": Trouble(_waits(_AGE, 9), _waits(_AGE, 9)),
    "ImageCatalogRegistryUnreachable": Trouble(f"{_CIRCUIT}2\n", f"{_CIRCUIT}0\n"),
    "ImageCatalogVerificationLate": Trouble("", "image_catalog_due_oldest_seconds 60\n"),
    "ImageCatalogRegistryLimitTooLow": Trouble(f"{_BUDGET}0.5\n", f"{_BUDGET}1\n"),
    "ImageCatalogAvailabilityFalling": Trouble(f"{_AVAILABLE}0.9\n", f"{_AVAILABLE}0.99\n"),
    "ImageCatalogIndexStale": Trouble(f"{_STALE}200\n", f"{_STALE}0\n{_BUILDS}900\n"),
    "ImageCatalogBuildListStale": Trouble(f"{_BUILDS}900\n", f"{_BUILDS}0\n{_STALE}900\n"),
    "ImageCatalogAPIErrors": Trouble(_requests(0, 0), _requests(99, 1)),
    "ImageCatalogAPISlow": Trouble(_reads(0, 0), _reads(60, 40)),
    "ImageCatalogAuditLag": Trouble(_waits(_LAG, 9), _waits(_LAG, 9)),
}


def _ask(name: str, trouble: Trouble) -> list[str]:
    prometheus = Prometheus.empty()
    # Long before as well, so that what there was then is new to nobody.
    for at in range(0, 4320, 240):
        prometheus.scrape(trouble.before, at=float(at))
    prometheus.scrape(trouble.after, at=4320.0)
    return [" ".join(value for _, value in labels) for labels in prometheus.query(ALERTS[name]["expr"], at=4320.0)]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_when_it_should_and_names_who_is_meant(name: str) -> None:
    (fired,) = _ask(name, TROUBLES[name])
    assert TROUBLES[name].names in fired


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_silent_while_all_is_well_enough(name: str) -> None:
    assert _ask(name, QUIET[name]) == []


def test_a_registry_that_waits_for_the_request_that_decides_does_not_answer() -> None:
    """Of one without probes the next attempt is minutes away; an alert that waits began anew with each."""
    assert _ask("ImageCatalogRegistryUnreachable", Trouble(f"{_CIRCUIT}2\n", f"{_CIRCUIT}1\n")) == ["quay.io"]


def _no_ticks(prometheus: Prometheus, *, since: int, until: int) -> list[bool]:
    """Tell for each minute whether the alert about ticks fires."""
    expression = ALERTS["ImageCatalogNoTicks"]["expr"]
    return [bool(prometheus.query(expression, at=float(at))) for at in range(since, until, 60)]


def test_sweeps_are_not_taken_for_ticks() -> None:
    """Each wakes the same function for a moment; of ticks its process knows nothing."""
    prometheus = Prometheus.empty()
    for at in range(0, 3601, 60):
        prometheus.scrape(f"{_TICK}{at}\n", at=float(at), pod="ticks")
    assert not any(_no_ticks(prometheus, since=60, until=4500))
    for swept in range(3600, 10800, 600):
        for at in range(swept, swept + 91, 30):
            prometheus.scrape(f"{_TICK}0\n", at=float(at), pod=f"sweep-{swept}")
    assert not any(_no_ticks(prometheus, since=60, until=4500))
    assert all(_no_ticks(prometheus, since=4560, until=10800))


def test_a_process_that_outlives_its_ticks_hides_nothing() -> None:
    """So it is where they come no more, and where they fail after one that did not."""
    prometheus = Prometheus.empty()
    for at in range(0, 7200, 30):
        prometheus.scrape(f"{_TICK}{min(at, 600)}\n", at=float(at), pod="one")
    assert not any(_no_ticks(prometheus, since=60, until=1501))
    assert all(_no_ticks(prometheus, since=1560, until=7200))


def test_ticks_that_go_to_another_process_are_ticks() -> None:
    prometheus = Prometheus.empty()
    for at in range(0, 7200, 60):
        for pod, seen in (("old", min(at, 600)), ("new", 0 if at < 660 else at)):
            prometheus.scrape(f"{_TICK}{seen}\n", at=float(at), pod=pod)
    assert not any(_no_ticks(prometheus, since=60, until=7200))


def test_a_letter_that_was_there_at_the_first_scrape_of_a_process_is_seen() -> None:
    prometheus = Prometheus.empty()
    prometheus.scrape(f"{_LETTERS}1\n", at=4300.0)
    assert prometheus.query(ALERTS["ImageCatalogDeadLetters"]["expr"], at=4320.0)
