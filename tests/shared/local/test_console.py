from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from image_catalog.events import EventType, SourceType
from image_catalog.local.console import describe_event, event_line, plain_console
from image_catalog.local.knative import DeliveryRecord, Outcome

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
API = "/apis/automotive.sdv.cloud.redhat.com/v1alpha1/namespaces/default"


def delivery(**changes: object) -> DeliveryRecord:
    facts: dict[str, object] = {
        "event_type": EventType.IMAGE_AVAILABLE,
        "event_id": "1",
        "source": "/x",
        "subject": "default/cs9",
        "trigger": "publish",
        "function": "publish",
        "attempt": 1,
        "status": 204,
        "elapsed": timedelta(milliseconds=12.4),
        "outcome": Outcome.DELIVERED,
        "error": "",
    }
    return DeliveryRecord(**(facts | changes))  # type: ignore[arg-type]  # one dictionary of facts of many types


REFUSED: dict[str, object] = {
    "event_type": EventType.PUBLISH_REJECTED, "subject": "default/", "outcome": Outcome.UNHEARD, "status": 202
}  # fmt: skip


@pytest.mark.parametrize(
    ("event_type", "subject", "source", "expected"),
    [
        (EventType.IMAGE_AVAILABLE, "default/cs9", "", ("image.available", "default/cs9")),
        (EventType.PUBLISH_REQUESTED, None, "", ("publish.requested", "-")),
        (SourceType.RESOURCE_ADDED, f"{API}/imagebuilds/nightly", "", ("ImageBuild added", "default/nightly")),
        (SourceType.RESOURCE_UPDATED, f"{API}/catalogimages/cs9", "", ("CatalogImage updated", "default/cs9")),
        (SourceType.RESOURCE_DELETED, f"{API}/catalogimages/cs9", "", ("CatalogImage deleted", "default/cs9")),
        (SourceType.RESOURCE_ADDED, "/apis/example.com/v1/gadgets/one", "", ("gadgets added", "/one")),
        (SourceType.PING, None, "/apis/v1/namespaces/image-catalog/pingsources/sweep", ("cron tick", "sweep")),
        ("com.example.other", "x", "", ("com.example.other", "x")),
    ],
    ids=["ours", "no subject", "build", "entry", "deleted", "other kind", "tick", "foreign"],
)
def test_an_event_is_told_in_the_words_of_people(
    event_type: str, subject: str | None, source: str, expected: tuple[str, str]
) -> None:
    assert describe_event(event_type, subject, source) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "image.available default/cs9 → publish delivered 204 12 ms"),
        ({"attempt": 3}, "image.available default/cs9 → publish delivered 204 (attempt 3) 12 ms"),
        (
            {"outcome": Outcome.RETRY, "status": None, "error": "no answer"},
            "image.available default/cs9 → publish retry no answer 12 ms",
        ),
        (
            {"outcome": Outcome.DEAD_LETTERED, "status": 422},
            "image.available default/cs9 → publish dead-lettered 422 12 ms",
        ),
        (
            {"outcome": Outcome.DEAD_LETTERED, "status": 422, "error": "InvalidEvent: data.name is missing"},
            "image.available default/cs9 → publish dead-lettered 422 InvalidEvent: data.name is missing 12 ms",
        ),
        (
            {"outcome": Outcome.UNHEARD, "status": None, "attempt": 0, "function": ""},
            "image.available default/cs9 told to whoever subscribes",
        ),
        (
            REFUSED | {"data": b'{"registryUrl": "quay.io/a/b:1", "reason": "ImageNotFound", "message": "it is gone"}'},
            "publish.rejected quay.io/a/b:1 ImageNotFound: it is gone told to whoever subscribes",
        ),
        (
            REFUSED | {"data": b'{"sourceImageBuild": {"name": "b1"}, "reason": "Invalid", "message": "no"}'},
            "publish.rejected default/b1 Invalid: no told to whoever subscribes",
        ),
        (REFUSED | {"data": b"[1]"}, "publish.rejected default/ told to whoever subscribes"),
        (
            REFUSED | {"event_type": "com.redhat.automotive.catalog.publish.requestd", "subject": None},
            "publish.requestd - nobody takes it: the catalog has no such type",
        ),
    ],
    ids=[
        "delivered", "again", "no answer", "dead letter", "dead letter with its reason", "unheard",
        "refused without a name", "refused build", "data that is none", "no type of ours",
    ],
)  # fmt: skip
def test_a_delivery_is_one_line(changes: dict[str, object], expected: str) -> None:
    clock, *words = event_line(delivery(**changes)).plain.split()
    assert datetime.strptime(clock, "%H:%M:%S.%f").replace(tzinfo=UTC)
    assert " ".join(words) == expected


@pytest.mark.parametrize("stderr", [False, True], ids=["stdout", "stderr"])
def test_a_long_line_is_neither_wrapped_nor_cut(capsys: pytest.CaptureFixture[str], *, stderr: bool) -> None:
    line = "x" * 3000
    plain_console(stderr=stderr).print(line)
    captured = capsys.readouterr()
    assert (captured.err if stderr else captured.out) == f"{line}\n"
    assert (captured.out if stderr else captured.err) == ""
