from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from image_catalog.events import EventType, SourceType
from image_catalog.local.console import age, describe_event, entry_table, event_line, plain_console
from image_catalog.local.knative import DeliveryRecord, Outcome
from image_catalog.models import CatalogImage

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
            {"outcome": Outcome.UNHEARD, "status": None, "attempt": 0, "function": ""},
            "image.available default/cs9 told to whoever subscribes",
        ),
    ],
    ids=["delivered", "again", "no answer", "dead letter", "unheard"],
)
def test_a_delivery_is_one_line(changes: dict[str, object], expected: str) -> None:
    clock, *words = event_line(delivery(**changes)).plain.split()
    assert datetime.strptime(clock, "%H:%M:%S.%f").replace(tzinfo=UTC)
    assert " ".join(words) == expected


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=119, seconds=59), "119m"),
        (timedelta(hours=2), "2h"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=2), "2d"),
        (timedelta(days=400), "400d"),
    ],
    ids=str,
)
def test_an_age_is_written_as_kubectl_does(passed: timedelta, expected: str) -> None:
    assert age(NOW - passed, now=NOW) == expected


def test_an_unknown_age_is_said() -> None:
    assert age(None, now=NOW) == "<unknown>"


def entry(name: str, spec: dict[str, object], **status: object) -> CatalogImage:
    return CatalogImage.from_object(
        {
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": "2026-11-21T11:00:00Z"},
            "spec": {"registryUrl": f"quay.io/acme/{name}:1.0", **spec},
            "status": status,
        }
    )


def variants(*architectures: str) -> dict[str, object]:
    found = [{"architecture": name, "os": "linux", "digest": "sha256:" + "a" * 64} for name in architectures]
    return {"resolvedDigest": "sha256:" + "b" * 64, "platformVariants": found}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (entry("new", {}), "new quay.io/acme/new:1.0 Pending 60m"),
        (
            entry(
                "one",
                {"metadata": {"architecture": "aarch64", "distro": "cs9", "targets": [{"name": "a"}, {"name": "b"}]}},
                phase="Available",
            ),
            "one quay.io/acme/one:1.0 arm64 cs9 a,b Available 60m",
        ),
        (
            entry("many", {"metadata": {"architecture": "arm64"}}, registryMetadata=variants("arm64", "amd64")),
            "many quay.io/acme/many:1.0 arm64,amd64 Pending 60m",
        ),
        (
            entry("typed", {}, registryMetadata={"resolvedDigest": "x", "platform": {"architecture": "amd64"}}),
            "typed quay.io/acme/typed:1.0 amd64 Pending 60m",
        ),
        (
            entry("disk", {}, registryMetadata={"resolvedDigest": "x", "platform": {"architecture": ""}}),
            "disk quay.io/acme/disk:1.0 Pending 60m",
        ),
    ],
    ids=["nothing known", "by its word", "index", "by the registry", "no platform"],
)
def test_an_entry_is_one_row(image: CatalogImage, expected: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(entry_table([image], now=NOW))
    assert isinstance(console.file, io.StringIO)
    head, row = console.file.getvalue().splitlines()
    assert head.split() == ["NAME", "REGISTRY", "ARCHITECTURE", "DISTRO", "TARGET", "PHASE", "AGE"]
    assert " ".join(row.split()) == expected


@pytest.mark.parametrize("stderr", [False, True], ids=["stdout", "stderr"])
def test_a_long_line_is_neither_wrapped_nor_cut(capsys: pytest.CaptureFixture[str], *, stderr: bool) -> None:
    line = "x" * 3000
    plain_console(stderr=stderr).print(line)
    captured = capsys.readouterr()
    assert (captured.err if stderr else captured.out) == f"{line}\n"
    assert (captured.out if stderr else captured.err) == ""
