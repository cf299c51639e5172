"""What a probe means for a CatalogRegistry, decided from the object alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from image_catalog.catalog.conditions import Finding
from image_catalog.catalog.reachability import (
    Counts,
    Probe,
    Probes,
    is_due,
    status_half_open,
    status_opened,
    status_probed,
)
from image_catalog.errors import RegistryFaultError, RegistryUnreachableError, TLSVerificationError
from image_catalog.models import CatalogRegistry, CatalogRegistryStatus, CircuitState, format_time

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ACCEPTED = Finding("True", "Accepted", "it applies")
SILENCE = RegistryUnreachableError("nobody is there")


def registry(**status: Any) -> CatalogRegistry:
    return CatalogRegistry.model_validate(
        {
            "metadata": {"name": "quay", "uid": "1", "generation": 1},
            "spec": {"host": "quay.io"},
            "status": {"observedGeneration": 1, **status},
        }
    )


def ago(**time: float) -> str:
    return format_time(NOW - timedelta(**time))


def probed(before: CatalogRegistry, probe: Probe) -> CatalogRegistryStatus:
    counts = Counts()
    counts.add(probe)
    after = status_probed(before, probe, counts, ACCEPTED)
    assert after is not None
    return after


@pytest.mark.parametrize(
    ("status", "last", "due"),
    [
        pytest.param({}, None, True, id="never"),
        pytest.param({"lastProbeTime": ago(seconds=50)}, None, False, id="a moment ago"),
        pytest.param({"lastProbeTime": ago(seconds=54)}, None, True, id="a tick that comes early"),
        pytest.param({"lastProbeTime": ago(minutes=4)}, NOW - timedelta(seconds=20), False, id="not written since"),
        pytest.param({"lastProbeTime": ago(seconds=5), "observedGeneration": 0}, None, True, id="another spec"),
        pytest.param({"circuit": "Open", "circuitSince": ago(seconds=20)}, None, False, id="opened a moment ago"),
        pytest.param({"circuit": "Open", "circuitSince": ago(seconds=30)}, None, True, id="opened long enough ago"),
        pytest.param({"circuit": "HalfOpen", "circuitSince": ago(seconds=59)}, None, False, id="somebody is at it"),
        pytest.param({"circuit": "HalfOpen", "circuitSince": ago(seconds=60)}, None, True, id="who was at it died"),
    ],
)
def test_when_a_registry_is_due(status: dict[str, Any], last: datetime | None, due: bool) -> None:  # noqa: FBT001 - a case
    recovery = timedelta(seconds=30)
    assert is_due(registry(**status), now=NOW, interval=MINUTE, recovery=recovery, last=last) is due


@pytest.mark.parametrize(
    ("error", "is_open", "before", "circuit"),
    [
        pytest.param(None, False, None, "Closed", id="first answer"),
        pytest.param(None, False, "HalfOpen", "Closed", id="it is back"),
        pytest.param(SILENCE, False, None, "Closed", id="first silence"),
        pytest.param(SILENCE, True, "Closed", "Open", id="the fifth in a row"),
        pytest.param(SILENCE, False, "HalfOpen", "Open", id="still silent"),
        pytest.param(RegistryFaultError("500"), False, "HalfOpen", "Open", id="still in trouble"),
        pytest.param(TLSVerificationError("who?"), False, "HalfOpen", "Closed", id="it answers, as somebody else"),
    ],
)
def test_the_circuit_after_a_probe(
    error: Any,
    is_open: bool,  # noqa: FBT001 - a case
    before: str | None,
    circuit: str,
) -> None:
    status = {"circuit": before, "circuitSince": ago(minutes=1)} if before else {}
    after = probed(registry(**status), Probe(NOW, error, is_open=is_open))
    assert after.circuit == circuit
    assert after.phase == ("Reachable" if error is None else "Unreachable")


def test_another_spec_starts_with_a_closed_circuit() -> None:
    before = registry(circuit="Open", circuitSince=ago(minutes=1), observedGeneration=0)
    assert probed(before, Probe(NOW, SILENCE)).circuit is CircuitState.CLOSED


def test_of_two_that_find_a_circuit_open_one_tries() -> None:
    before = registry(circuit="Open", circuitSince=ago(minutes=1))
    claimed = status_half_open(before, now=NOW)
    assert claimed is not None
    after = before.model_copy(update={"status": claimed})
    assert status_half_open(after, now=NOW + timedelta(seconds=1)) is None
    assert status_half_open(after, now=NOW + MINUTE) is not None


def test_a_registry_that_is_known_to_be_dead_is_not_told_of_again() -> None:
    opened = status_opened(registry(circuit="Closed"), at=NOW, message="refused")
    assert opened is not None
    assert (opened.circuit, opened.phase, opened.circuit_since) == ("Open", "Unreachable", NOW)
    after = registry().model_copy(update={"status": opened})
    assert status_opened(after, at=NOW + timedelta(seconds=1), message="refused") is None


def test_a_registry_that_keeps_answering_is_written_every_five_minutes() -> None:
    known = registry().model_copy(update={"status": probed(registry(), Probe(NOW))})
    counts, written = Counts(), []
    for minute in range(1, 11):
        probe = Probe(NOW + minute * MINUTE)
        counts.add(probe)
        after = status_probed(known, probe, counts, ACCEPTED)
        if after is not None:
            written.append(minute)
            known, counts = known.model_copy(update={"status": after}), Counts()
    assert written == [5, 10]
    (hour,) = known.status.probes
    assert (hour.probes, hour.answered) == (11, 11)


def test_a_day_has_twenty_four_hours() -> None:
    known = registry()
    for hour in range(30):
        error = SILENCE if hour == 6 else None
        known = known.model_copy(update={"status": probed(known, Probe(NOW + timedelta(hours=hour), error))})
    assert [found.hour for found in known.status.probes] == [NOW + timedelta(hours=hour) for hour in range(6, 30)]
    assert known.status.availability24h == round(23 / 24, 4)


def test_what_was_not_written_is_remembered_for_registries_that_are_there() -> None:
    probes, quay = Probes(), registry()
    probes.add(quay, Probe(NOW))
    counts = probes.add(quay, Probe(NOW + MINUTE, SILENCE))
    assert counts.hours == {NOW: (2, 1)}
    probes.keep([quay])
    assert probes.last(quay) == NOW + MINUTE
    probes.keep([])
    assert probes.last(quay) is None
