"""Entries and registries by their availability, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from image_catalog.catalog.availability import counted
from image_catalog.models import AvailabilityState
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.services import Services

AVAILABLE, _, UNREACHABLE, UNKNOWN = AvailabilityState
NAMESPACE = "watched"


def fill(services: Services, clock: StillClock) -> None:
    """Put four entries of two registries into the index: down for none, one and five of the last ten hours; and new."""
    for number, (name, url, hours) in enumerate(
        (("never", "quay.io/a/b:1", 0), ("once", "quay.io/a/b:2", 1), ("often", "ghcr.io/a/b:3", 5))
    ):
        found = None
        for hour in range(11):
            state = UNREACHABLE if hour < hours else AVAILABLE
            at = clock.now - timedelta(hours=10 - hour)
            found = counted(found, state, at=at, held=timedelta(hours=2))
        assert found is not None
        services.index.put(entry(name, url, number, {"availability": found.to_dict()}))
    services.index.put(entry("new", "ghcr.io/a/b:4", 9, {}))


def entry(name: str, url: str, number: int, status: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": NAMESPACE, "name": name, "uid": name, "resourceVersion": str(8_000_000 + number)}
    return {"metadata": metadata, "spec": {"registryUrl": url}, "status": status}


async def names(client: httpx.AsyncClient, **parameters: str) -> list[str]:
    answer = await client.get("images", params={"namespace": NAMESPACE, **parameters})
    assert answer.status_code == 200, answer.text
    return [item["metadata"]["name"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"minAvailability": "0.9"}, {"never", "once"}),
        ({"minAvailability": "0.90001"}, {"never"}),
        ({"minAvailability": "0"}, {"never", "once", "often"}),
        ({"minAvailability": "0.6", "availabilityWindow": "30d"}, {"never", "once"}),
        ({"minAvailability": "0.4", "registryUrl": "ghcr.io/a/b:3"}, {"often"}),
        ({"minAvailability": "0.4", "latest": "true"}, {"never"}),
        ({"availabilityWindow": "30d"}, {"never", "once", "often", "new"}),
    ],
    ids=lambda value: ",".join(sorted(value)),
)
async def test_entries_are_found_that_were_there_for_as_much_of_the_time_or_more(
    client: httpx.AsyncClient, services: Services, clock: StillClock, parameters: dict[str, str], found: set[str]
) -> None:
    fill(services, clock)
    listed = await names(client, **parameters)
    assert set(listed) == found if "latest" not in parameters else len(listed) == 1


async def test_the_least_available_come_first_when_asked_for(
    client: httpx.AsyncClient, services: Services, clock: StillClock
) -> None:
    fill(services, clock)
    assert await names(client, sort="availability") == ["never", "once", "often", "new"]
    assert await names(client, sort="availability", order="asc") == ["often", "once", "never", "new"]


@pytest.mark.parametrize(
    ("query", "parameter", "told"),
    [
        ("minAvailability=1.01", "minAvailability", "from 0 to 1"),
        ("minAvailability=-1", "minAvailability", "from 0 to 1"),
        ("minAvailability=99%25", "minAvailability", "from 0 to 1"),
        ("minAvailability=nan", "minAvailability", "from 0 to 1"),
        ("minAvailability=", "minAvailability", "from 0 to 1"),
        ("availabilityWindow=7d", "availabilityWindow", "24h, 30d"),
    ],
    ids=["above", "below", "a text", "no number", "empty", "another window"],
)
async def test_what_is_not_possible_is_refused_by_name(
    client: httpx.AsyncClient, query: str, parameter: str, told: str
) -> None:
    answer = await client.get(f"images?{query}")
    assert (answer.status_code, answer.json()["details"]["parameter"]) == (400, parameter)
    assert told in answer.json()["detail"]


class TestRegistries:
    async def test_each_registry_is_told_of_with_what_its_entries_say(
        self, client: httpx.AsyncClient, services: Services, clock: StillClock
    ) -> None:
        fill(services, clock)
        answer = await client.get("registries", params={"namespace": NAMESPACE})
        ghcr, quay = answer.json()["items"]
        assert (ghcr["host"], ghcr["entries"], quay["host"], quay["entries"]) == ("ghcr.io", 2, "quay.io", 2)
        assert (ghcr["availability"]["last24h"], quay["availability"]["last24h"]) == (0.5, 0.95)
        assert quay["availability"]["images30d"] == 0.95
        assert ghcr["availability"]["known24h"] == pytest.approx(10 / (24 + 5 / 60 + 24))

    async def test_pages_go_on_where_one_ended(
        self, client: httpx.AsyncClient, services: Services, clock: StillClock
    ) -> None:
        fill(services, clock)
        first = (await client.get(f"registries?namespace={NAMESPACE}&limit=1")).json()
        assert first["metadata"]["remainingItemCount"] == 1
        token = first["metadata"]["continue"]
        second = (await client.get(f"registries?namespace={NAMESPACE}&continue={token}")).json()
        assert [page["items"][0]["host"] for page in (first, second)] == ["ghcr.io", "quay.io"]
        assert second["metadata"]["continue"] == ""

    async def test_an_answer_that_is_known_is_not_sent_again(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("registries?allNamespaces=true")
        again = await client.get("registries?allNamespaces=true", headers={"If-None-Match": answer.headers["etag"]})
        assert (answer.status_code, again.status_code) == (200, 304)
        assert sum(item["entries"] for item in answer.json()["items"]) == 120

    async def test_the_figures_say_the_same(
        self, client: httpx.AsyncClient, services: Services, clock: StillClock
    ) -> None:
        del client
        fill(services, clock)
        everywhere = {found.registry: found for found in services.index.registries(None, clock.now)}
        for host, window in (("quay.io", "24h"), ("ghcr.io", "30d")):
            labels = {"registry": host, "window": window}
            tallies = {kind.value: tally for kind, tally in everywhere[host].tallies.items()}
            shown = REGISTRY.get_sample_value("image_catalog_registry_availability_ratio", labels)
            known = REGISTRY.get_sample_value("image_catalog_registry_availability_known_ratio", labels)
            assert (shown, known) == (tallies[window].answered_ratio, tallies[window].known_ratio)
