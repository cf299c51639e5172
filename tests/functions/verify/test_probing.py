"""Registries with a CatalogRegistry are probed; its status says what was found, and what is wrong with it."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from image_catalog.config import RegistryPolicy, Settings
from image_catalog.testing.cluster import Effect
from image_catalog.testing.registry_faults import Answer, rate_limited
from image_catalog.testing.world import World

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:{}"


def says(world: World, condition: str = "Reachable", name: str = "registry") -> tuple[str, str]:
    found = world.listed(name).status.condition(condition)
    assert found is not None
    return found.status, found.reason


class TestProbing:
    async def test_a_registry_that_answers_is_reachable(self, world: World) -> None:
        world.add_registry()
        await world.pass_time(minutes=1)
        assert world.network.asked() == ["GET quay.io/v2/"]
        status = world.listed().status
        assert (status.phase, status.circuit, status.availability24h) == ("Reachable", "Closed", 1.0)
        assert status.last_probe_time == world.clock.now()
        assert status.observed_generation == world.listed().metadata.generation
        assert says(world) == ("True", "Answered")
        assert says(world, "Accepted") == ("True", "Accepted")
        assert not world.notes("CatalogRegistry")

    @pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 429])
    async def test_any_answer_of_its_api_will_do(self, world: World, status: int) -> None:
        world.registry.fail(Answer(status))
        world.add_registry()
        await world.pass_time(minutes=1)
        assert says(world) == ("True", "Answered")

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    async def test_a_server_in_trouble_has_not_answered(self, world: World, status: int) -> None:
        world.registry.fail(Answer(status))
        world.add_registry()
        await world.pass_time(minutes=1)
        assert (world.listed().status.phase, says(world)) == ("Unreachable", ("False", "RegistryError"))

    async def test_it_shows_no_credential(self, world: World) -> None:
        world.add_registry()
        await world.pass_time(minutes=1)
        assert not world.network.shown("quay.io")

    async def test_one_that_asked_for_no_request_is_not_probed_before_its_time(self, world: World) -> None:
        world.add_registry()
        world.registry.fail(rate_limited(retry_after=timedelta(minutes=10)))
        await world.add(url=URL.format("1"))
        world.network.requests.clear()
        await world.pass_time(minutes=1)
        assert not world.network.requests
        assert world.listed().status.phase is None
        world.registry.recover()
        await world.pass_time(minutes=10)
        assert world.listed().status.phase == "Reachable"

    async def test_a_tick_that_comes_twice_probes_once(self, world: World) -> None:
        world.add_registry()
        world.clock.advance(timedelta(minutes=1))
        for _ in range(3):
            world.pipeline.tick()
        await world.pipeline.drain()
        assert len(world.network.requests) == 1

    async def test_a_registry_that_keeps_answering_is_written_now_and_then(self, world: World) -> None:
        world.add_registry()
        for _ in range(21):
            await world.pass_time(minutes=1)
        assert len(world.network.requests) == 21
        assert [call.rule[1:] for call in world.pipeline.cluster.calls if call.verb == "patch"] == [
            ("catalogregistries/status", "patch")
        ] * 5

    async def test_a_mirror_is_probed_where_it_is(self, world: World) -> None:
        world.network.serve("https://mirror.test", lambda _: httpx.Response(401))
        world.add_registry(endpoint="https://mirror.test/quay")
        await world.pass_time(minutes=1)
        assert world.network.asked() == ["GET mirror.test/quay/v2/"]
        assert world.listed().status.phase == "Reachable"

    async def test_a_changed_spec_is_looked_at_at_the_next_tick(self, world: World) -> None:
        world.add_registry()
        await world.pass_time(minutes=1)
        world.add_registry(endpoint="https://nowhere.test")
        await world.pass_time(seconds=20)
        assert world.listed().status.phase == "Unreachable"
        assert world.listed().status.observed_generation == 2

    async def test_a_wildcard_names_no_host_to_probe(self, world: World) -> None:
        world.add_registry(host="*.example.com")
        for _ in range(3):
            await world.pass_time(minutes=1)
        assert not world.network.requests
        assert (world.listed().status.phase, says(world)) == (None, ("Unknown", "NotProbed"))
        assert says(world, "Accepted") == ("True", "Accepted")
        assert len([call for call in world.pipeline.cluster.calls if call.verb == "patch"]) == 1

    async def test_registries_are_probed_side_by_side(self, world: World) -> None:
        for number in range(20):
            world.add_registry(f"registry-{number}", host=f"registry-{number}.test")
        world.add_registry()
        await world.pass_time(minutes=1)
        assert len(world.network.requests) == 21
        assert world.listed().status.phase == "Reachable"
        assert says(world, name="registry-7") == ("False", "RegistryUnreachable")

    async def test_a_status_that_cannot_be_written_keeps_nobody_from_the_others(self, world: World) -> None:
        world.add_registry("another", host="registry.test")
        world.add_registry()
        world.pipeline.cluster.fail(Effect.UNAVAILABLE, verb="patch", resource="catalogregistries", times=1)
        await world.pass_time(minutes=1)
        assert not world.pipeline.dead_letters
        phases = [world.listed(name).status.phase for name in ("another", "registry")]
        assert phases.count(None) <= 1
        await world.pass_time(minutes=1)
        assert [world.listed(name).status.phase for name in ("another", "registry")] == ["Unreachable", "Reachable"]

    async def test_a_conflict_is_decided_anew(self, world: World) -> None:
        world.add_registry()
        world.pipeline.cluster.fail(Effect.CONFLICT, verb="patch", resource="catalogregistries")
        await world.pass_time(minutes=1)
        status = world.listed().status
        assert [(hour.probes, hour.answered) for hour in status.probes] == [(1, 1)]


class TestAvailability:
    async def test_it_is_the_share_of_probes_that_were_answered(self, world: World) -> None:
        world.add_registry()
        for _ in range(30):
            await world.pass_time(minutes=1)
        world.take_down()
        for _ in range(10):
            await world.pass_time(minutes=1)
        world.bring_back()
        await world.pass_time(minutes=1)
        status = world.listed().status
        assert sum(hour.probes for hour in status.probes) == 41
        assert status.availability24h == round(31 / 41, 4)

    async def test_what_is_older_than_a_day_does_not_count(self, world: World) -> None:
        world.add_registry()
        world.take_down()
        await world.pass_time(minutes=1)
        world.bring_back()
        for _ in range(24):
            await world.pass_time(hours=1)
        status = world.listed().status
        assert len(status.probes) == 24
        assert status.availability24h == 1.0

    async def test_another_process_goes_on_counting(self, world: World) -> None:
        world.add_registry()
        for _ in range(6):
            await world.pass_time(minutes=1)
        world.pipeline.restart("verify")
        world.take_down()
        await world.pass_time(minutes=1)
        (hour,) = world.listed().status.probes
        assert (hour.probes, hour.answered) == (7, 6)


class TestAccepted:
    async def test_of_two_for_one_host_the_older_counts_and_the_other_says_so(self, world: World) -> None:
        world.add_registry("zebra")
        world.clock.advance(timedelta(minutes=1))
        world.add_registry("ape", endpoint="https://nowhere.test")
        await world.pass_time(minutes=1)
        assert world.network.asked() == ["GET quay.io/v2/"]
        assert says(world, "Accepted", "zebra") == ("True", "Accepted")
        assert says(world, "Accepted", "ape") == ("False", "HostTaken")
        world.push()
        assert (await world.add()).status.phase == "Available"

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            pytest.param({"host": "quay..io"}, "InvalidHost", id="no host"),
            pytest.param({"host": "registry"}, "InvalidHost", id="a host that no reference can name"),
            pytest.param({"host": "quay.io:99999"}, "InvalidHost", id="no port"),
            pytest.param({"host": "*.1.2.3"}, "InvalidHost", id="a wildcard of numbers"),
            pytest.param({"host": "quay.io", "endpoint": "https://under_score"}, "InvalidEndpoint", id="endpoint"),
            pytest.param({"host": "quay.io", "tokenRealms": ["https://auth.test"]}, "InvalidTokenRealm", id="realm"),
            pytest.param({"host": "quay.io", "tls": {"caBundle": "-----BEGIN"}}, "InvalidCABundle", id="CA bundle"),
        ],
    )
    async def test_what_applies_to_nothing_is_said(self, world: World, spec: dict[str, object], reason: str) -> None:
        world.add_registry(**spec)  # type: ignore[arg-type]  # the host is among it
        await world.pass_time(minutes=1)
        assert says(world, "Accepted") == ("False", reason)

    async def test_an_endpoint_may_have_a_path(self, world: World) -> None:
        world.network.serve("https://mirror.test", lambda _: httpx.Response(200))
        world.add_registry(endpoint="https://mirror.test/proxy/quay/")
        await world.pass_time(minutes=1)
        assert says(world, "Accepted") == ("True", "Accepted")

    async def test_what_was_mended_is_said_too(self, world: World) -> None:
        world.add_registry(tokenRealms=["https://auth.test"])
        await world.pass_time(minutes=1)
        world.add_registry(tokenRealms=["auth.test"])
        await world.pass_time(minutes=1)
        assert says(world, "Accepted") == ("True", "Accepted")


class TestListedOnly:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(registry_policy=RegistryPolicy.LISTED)

    async def test_listed_registries_are_probed(self, world: World) -> None:
        world.add_registry()
        await world.pass_time(minutes=1)
        assert world.listed().status.phase == "Reachable"
