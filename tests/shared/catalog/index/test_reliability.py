"""What the entries of a registry say of it together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from image_catalog.catalog.availability import Tally, counted
from image_catalog.catalog.index import Index, Query, RegistryReliability, Sort
from image_catalog.models import AvailabilityState, AvailabilityWindow, format_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGIN = NOW - timedelta(hours=10)
HOUR = 3_600
DAY, MONTH = AvailabilityWindow
AVAILABLE, MISSING, UNREACHABLE, UNKNOWN = AvailabilityState


def entry(
    name: str,
    *states: AvailabilityState,
    url: str = "quay.io/acme/os:1",
    namespace: str = "team-a",
    begin: datetime = BEGIN,
    version: int = 1,
) -> dict[str, Any]:
    """Make an entry that is checked at each full hour from a beginning on, and found in these states."""
    found = None
    for hour, state in enumerate((*states, UNKNOWN)):
        found = counted(found, state, at=begin + timedelta(hours=hour), held=timedelta(hours=2))
    assert found is not None
    metadata = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"registryUrl": url}, "status": {"availability": found.to_dict()}}


def only(index: Index, namespace: str | None = None, now: datetime = NOW) -> RegistryReliability:
    (found,) = index.registries(namespace, now)
    return found


def test_a_registry_is_as_available_as_all_its_entries_say_together() -> None:
    index = Index()
    index.put(entry("one", *[AVAILABLE] * 10))
    index.put(entry("two", *[AVAILABLE] * 5, *[UNREACHABLE] * 3, *[MISSING] * 2, url="QUAY.io/acme/other"))
    found = only(index)
    assert (found.registry, found.entries) == ("quay.io", 2)
    assert found.tallies[DAY] == Tally(15 * HOUR, 2 * HOUR, 3 * HOUR, 28 * HOUR)
    assert found.tallies[DAY].answered_ratio == 17 / 20
    assert found.tallies[DAY].ratio == 15 / 20


def test_what_an_entry_said_before_no_longer_counts() -> None:
    index = Index()
    index.put(entry("one", *[UNREACHABLE] * 10))
    index.put(entry("one", *[AVAILABLE] * 10, version=2))
    assert only(index).tallies[MONTH].ratio == 1
    assert index.remove("team-a", "one")
    assert index.registries(None, NOW) == []


def test_an_entry_that_moves_to_another_registry_counts_there() -> None:
    index = Index()
    index.put(entry("one", AVAILABLE))
    index.put(entry("one", AVAILABLE, url="ghcr.io/acme/os:1", version=2))
    assert only(index).registry == "ghcr.io"


def test_each_namespace_is_asked_for_itself_or_all_of_them() -> None:
    index = Index()
    index.put(entry("one", *[AVAILABLE] * 10))
    index.put(entry("one", *[UNREACHABLE] * 10, namespace="team-b", url="ghcr.io/acme/os:1"))
    assert only(index, "team-b").registry == "ghcr.io"
    assert [found.registry for found in index.registries(None, NOW)] == ["ghcr.io", "quay.io"]
    assert index.registries("team-c", NOW) == []


def test_of_what_nobody_checked_within_the_window_nothing_is_known() -> None:
    index = Index()
    index.put(entry("one", *[AVAILABLE] * 10))
    index.put(entry("two", *[UNREACHABLE] * 10, begin=BEGIN - timedelta(days=2)))
    found = only(index)
    assert found.tallies[DAY] == Tally(10 * HOUR, 0, 0, (14 + 24) * HOUR)
    assert found.tallies[MONTH].unreachable == 10 * HOUR
    late = only(index, now=NOW + timedelta(days=40))
    assert late.entries == 2
    assert late.tallies[MONTH] == Tally(0, 0, 0, 2 * 30 * 24 * HOUR)


@pytest.mark.parametrize("status", [{}, {"availability": {"since": 7}}, {"availability": []}], ids=str)
def test_an_entry_that_says_nothing_counts_as_one_of_which_nothing_is_known(status: dict[str, Any]) -> None:
    index = Index()
    index.put({**entry("one", AVAILABLE), "status": status})
    assert only(index).tallies[DAY] == Tally(0, 0, 0, 24 * HOUR)


def test_a_status_that_somebody_made_up_does_no_harm() -> None:
    index = Index()
    made_up = {"since": "0001-01-02T00:00:00Z", "asOf": "0001-01-01T00:00:00Z", "hours": "0-99:99999M", "days": "1:0U"}
    index.put({**entry("one", AVAILABLE), "status": {"availability": made_up}})
    assert min(only(index).tallies[DAY]) == 0


def test_an_entry_whose_reference_is_none_has_no_registry() -> None:
    index = Index()
    index.put(entry("one", AVAILABLE, url="no reference at all"))
    assert index.registries(None, NOW) == []


class TestFinding:
    """Entries by their availability."""

    def index(self) -> Index:
        index = Index()
        for number in range(10):
            index.put(entry(f"image-{number}", *[UNREACHABLE] * number, *[AVAILABLE] * (10 - number)))
        index.put({**entry("new", AVAILABLE), "status": {"lastVerificationTime": format_time(NOW)}})
        return index

    @pytest.mark.parametrize(("least", "count"), [(0, 10), (0.1, 10), (0.5, 6), (0.5000001, 5), (0.9, 2), (1, 1)])
    def test_those_that_have_as_much_as_is_asked_for_or_more(self, least: float, count: int) -> None:
        found = self.index().find(Query(min_availability=least, sort=Sort.NAME))
        assert [each.name for each in found.entries] == [f"image-{number}" for number in range(count)]

    def test_the_least_available_come_first_or_last_and_the_unknown_at_the_end(self) -> None:
        index = self.index()
        best = [each.name for each in index.find(Query(sort=Sort.AVAILABILITY)).entries]
        worst = [each.name for each in index.find(Query(sort=Sort.AVAILABILITY, descending=False)).entries]
        assert best == [*(f"image-{number}" for number in range(10)), "new"]
        assert worst == [*(f"image-{number}" for number in reversed(range(10))), "new"]

    def test_pages_go_on_where_one_ended(self) -> None:
        index, names, after = self.index(), [], None
        while True:
            page = index.find(Query(sort=Sort.AVAILABILITY, limit=3, after=after))
            names += [each.name for each in page.entries]
            after = page.next
            if after is None:
                break
        assert len(names) == len(set(names)) == 11
