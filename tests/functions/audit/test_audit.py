"""What no function could take is logged, counted, and shown where people look."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from image_catalog.events import EventType
from image_catalog.local.knative import CloudEvent
from image_catalog.testing.cluster import Effect
from image_catalog.testing.registry_faults import server_error
from image_catalog.testing.world import World

pytestmark = pytest.mark.story


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One kind of database is enough here."""
    return f"sqlite:///{tmp_path / 'audit.db'}"


def count(event_type: str, function: str) -> float:
    labels = {"type": event_type, "function": function}
    return REGISTRY.get_sample_value("image_catalog_dead_letters_total", labels) or 0.0


async def test_a_build_that_nobody_could_publish_gets_a_warning(world: World) -> None:
    world.push()
    world.registry.fail(server_error())
    before = count("dev.knative.apiserver.resource.update", "publish")
    await world.complete()
    ((kind, reason, message),) = world.notes("ImageBuild")
    assert (kind, reason) == ("Warning", "DeadLetter")
    assert "publish" in message
    assert "503" in message
    assert count("dev.knative.apiserver.resource.update", "publish") == before + 1
    (event,) = world.all("events")
    build = world.raw("imagebuilds", "autosd")
    assert build is not None
    assert event["involvedObject"]["uid"] == build["metadata"]["uid"]


async def test_a_dead_letter_is_logged_with_what_the_broker_knew(world: World) -> None:
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {"broken": True}, subject="team-a/autosd")
    with structlog.testing.capture_logs() as logs:
        await world.pipeline.deliver("audit", letter)
    (line,) = [line for line in logs if line["event"] == "dead letter"]
    assert line["log_level"] == "error"
    assert (line["destination"], line["answer"], line["id"]) == ("verify", "500", letter.id)
    assert world.notes()[0][:2] == ("Warning", "DeadLetter")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"detail": "data.name is missing", "reason": "InvalidEvent"}', "InvalidEvent: data.name is missing"),
        (
            b'{"detail": "bad", "reason": "InvalidEvent", "violations": [{"path": "data.at", "message": "is empty"}]}',
            "InvalidEvent: bad: data.at is empty",
        ),
        (b"<h1>Bad\nGateway</h1>", "<h1>Bad Gateway</h1>"),
        (b"x" * 500, "x" * 299 + "…"),
    ],
    ids=["a function's", "with what is wrong", "a proxy's", "long"],
)
async def test_a_dead_letter_says_why_it_was_refused(world: World, body: bytes, why: str) -> None:
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
    # A broker cuts it, also in the middle of a character.
    cut = base64.b64encode(body).decode().rstrip("=") + "Y"
    letter = letter.extended({"knativeerrordata": base64.b64encode(body).decode() if body[:1] != b"x" else cut})
    with structlog.testing.capture_logs() as logs:
        await world.pipeline.deliver("audit", letter)
    (line,) = [line for line in logs if line["event"] == "dead letter"]
    assert line["why"] == why
    assert f"(answer 500, {why})" in world.notes()[0][2]


async def test_a_dead_letter_whose_reason_cannot_be_read_is_shown_without_it(world: World) -> None:
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
    await world.pipeline.deliver("audit", letter.extended({"knativeerrordata": "no base64"}))
    assert "(answer 500)" in world.notes()[0][2]


@pytest.mark.parametrize(
    ("event_type", "data", "kind"),
    [
        (EventType.VERIFICATION_REQUESTED, {"name": "autosd", "namespace": "team-a"}, "catalogimages"),
        (EventType.PUBLISH_REQUESTED, {"imageBuild": {"name": "autosd", "namespace": "team-a"}}, "imagebuilds"),
    ],
    ids=["entry", "build"],
)
async def test_the_warning_names_the_uid_that_kubectl_describe_goes_by(
    world: World, event_type: EventType, data: dict[str, Any], kind: str
) -> None:
    world.push()
    await world.complete()
    stored = world.raw(kind, "autosd")
    assert stored is not None
    await world.pipeline.deliver("audit", _letter(world, event_type, data, subject="team-a/autosd"))
    (involved,) = [event["involvedObject"] for event in world.all("events") if event["reason"] == "DeadLetter"]
    assert (involved["kind"], involved["uid"]) == (stored["kind"], stored["metadata"]["uid"])


async def test_an_object_that_cannot_be_read_gets_its_warning_without_a_uid(world: World) -> None:
    world.pipeline.cluster.fail(Effect.FORBIDDEN, verb="get", actor="audit")
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
    assert (await world.pipeline.deliver("audit", letter)).status_code == 204
    (event,) = world.all("events")
    assert "uid" not in event["involvedObject"]


async def test_an_event_that_two_functions_refused_is_shown_for_each(world: World) -> None:
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
    await world.pipeline.deliver("audit", letter)
    other = letter.extended({"knativeerrordest": "http://cleanup.image-catalog.svc.cluster.local/"})
    await world.pipeline.deliver("audit", other)
    assert {message.split()[2] for _, _, message in world.notes()} == {"verify", "cleanup"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8081/", "127.0.0.1:8081"),
        ("http://someone@[::1]:8081/", "[::1]:8081"),
        ("http://[nonsense/", "unknown"),
    ],
    ids=["IPv4", "IPv6", "nonsense"],
)
async def test_an_address_is_no_name_of_a_function(world: World, url: str, shown: str) -> None:
    before = count(EventType.VERIFICATION_REQUESTED, "unknown")
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
    await world.pipeline.deliver("audit", letter.extended({"knativeerrordest": url}))
    assert f"the function {shown} could not" in world.notes()[0][2]
    assert count(EventType.VERIFICATION_REQUESTED, "unknown") == before + 1


async def test_who_posts_letters_with_names_of_his_own_makes_no_series_without_end(world: World) -> None:
    before = count(EventType.VERIFICATION_REQUESTED, "other")
    for number in range(3):
        letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
        await world.pipeline.deliver("audit", letter.extended({"knativeerrordest": f"http://made-up-{number}.test/"}))
        assert count(EventType.VERIFICATION_REQUESTED, f"made-up-{number}") == 0
    assert count(EventType.VERIFICATION_REQUESTED, "other") == before + 3


async def test_a_dead_letter_that_comes_twice_is_shown_once(world: World) -> None:
    letter = _letter(world, EventType.VERIFICATION_REQUESTED, {}, subject="team-a/autosd")
    for _ in range(2):
        assert (await world.pipeline.deliver("audit", letter)).status_code == 204
    assert len(world.notes()) == 1


async def test_types_of_strangers_share_a_label(world: World) -> None:
    before = count("other", "unknown")
    letter = world.pipeline.event("com.example.anything", [1, 2, 3])  # type: ignore[arg-type]  # as strangers do
    assert (await world.pipeline.deliver("audit", letter)).status_code == 204
    assert count("other", "unknown") == before + 1
    assert not world.all("events")


@pytest.mark.parametrize("subject", ["team-a", "/", "team-a/", None], ids=["no name", "nothing", "empty", "none"])
async def test_a_dead_letter_about_nothing_in_particular_is_counted_all_the_same(
    world: World, subject: str | None
) -> None:
    letter = _letter(world, EventType.PUBLISH_REQUESTED, {}, **({"subject": subject} if subject else {}))
    assert (await world.pipeline.deliver("audit", letter)).status_code == 204
    assert not world.all("events")


async def test_a_dead_letter_begets_no_event(world: World) -> None:
    await world.pipeline.deliver("audit", _letter(world, EventType.IMAGE_AVAILABLE, {}, subject="team-a/autosd"))
    assert not world.pipeline.emitted


def _letter(world: World, event_type: EventType, data: dict[str, Any], **attributes: str) -> CloudEvent:
    event = world.pipeline.event(event_type, data, **attributes)
    return event.extended(
        {"knativeerrordest": "http://verify.image-catalog.svc.cluster.local/", "knativeerrorcode": "500"}
    )
