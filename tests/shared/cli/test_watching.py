"""``caib catalog watch``: what it prints, how it goes on, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from image_catalog.cli import filters
from image_catalog.cli.client import CatalogClient
from image_catalog.cli.errors import CommandError, RequestTimedOutError
from image_catalog.cli.frames import read_frames
from image_catalog.cli.options import GlobalOptions
from image_catalog.cli.reference.events import ATTRIBUTES
from image_catalog.cli.settings import resolve
from image_catalog.cli.waiting import Deadline
from image_catalog.cli.watching import EventWatch
from image_catalog.events import PREFIX, EventType, cesql
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, ScriptedRequest, problem
from image_catalog.testing.event_streams import catalog_event

OPENING = "retry: 10\nid: 7\n\n"


def frame(number: int, event: dict[str, Any] | None = None, *, name: str = "") -> str:
    named = f"event: {name}\n" if name else ""
    return f"id: {number}\n{named}data: {json.dumps(event or catalog_event(number))}\n\n"


def stream(*frames: str) -> ScriptedAnswer:
    return ScriptedAnswer(200, OPENING + "".join(frames), {"Content-Type": "text/event-stream; charset=utf-8"})


def cut(*frames: str) -> ScriptedAnswer:
    """Answer with a stream that breaks off."""
    whole = stream(*frames)
    return ScriptedAnswer(200, whole.body, {**whole.headers, "Content-Length": "100000", "Connection": "close"})


def ending(status: int, reason: str, detail: str = "it ends") -> str:
    return f"event: end\ndata: {json.dumps({'status': status, 'reason': reason, 'detail': detail})}\n\n"


class Watching:
    """A watch, with what it printed."""

    def __init__(self, catalog: ScriptedCatalog, home: Any) -> None:
        self._settings = resolve(GlobalOptions(server=catalog.url, token="t"), environ={"HOME": str(home)})
        self.shown: list[tuple[str, bool]] = []
        self.pauses: list[float] = []
        self.now = 0.0

    def run(self, *, count: int | None = None, timeout: float = 1e9, **parameters: str) -> None:
        deadline = Deadline(timedelta(seconds=timeout), clock=lambda: self.now, sleep=self._sleep)
        with CatalogClient(settings=self._settings) as client:
            EventWatch(catalog=client, parameters=parameters, show=self._show, deadline=deadline, count=count).run()

    def _show(self, event: Any, confirmed: bool) -> bool:  # noqa: FBT001 - as the watch calls it
        self.shown.append((event["id"], confirmed))
        return True

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def watching(catalog: ScriptedCatalog, home: Any) -> Watching:
    return Watching(catalog, home)


def resumed_by(catalog: ScriptedCatalog) -> list[str | None]:
    return [request.headers.get("last-event-id") for request in catalog.requests]


@pytest.mark.parametrize("broken", [cut, stream], ids=["cut off", "ended"])
def test_a_stream_that_breaks_goes_on_behind_the_last_event(
    catalog: ScriptedCatalog, watching: Watching, broken: Callable[..., ScriptedAnswer]
) -> None:
    half = 'id: 10\ndata: {"id": "event-10"'
    catalog.answers["GET", "/events"] = [
        broken(frame(8), frame(9), half),
        broken(": silence\nid: 12\n\n"),
        stream(frame(13)),
    ]
    watching.run(count=3)
    assert watching.shown == [("event-8", True), ("event-9", True), ("event-13", True)]
    assert resumed_by(catalog) == [None, "9", "12"]


def test_a_stream_that_ends_before_its_first_event_goes_on_where_it_began(
    catalog: ScriptedCatalog, watching: Watching
) -> None:
    catalog.answers["GET", "/events"] = [cut(), stream(frame(8))]
    watching.run(count=1)
    assert resumed_by(catalog) == [None, "7"]


def test_trouble_is_told_once_and_pauses_grow_until_the_server_is_back(
    catalog: ScriptedCatalog, watching: Watching, capsys: pytest.CaptureFixture[str]
) -> None:
    away = problem(503, "TooManyStreams", "no place is left")
    patient = ScriptedAnswer(503, away.body, {**away.headers, "Retry-After": "20"})
    catalog.answers["GET", "/events"] = [
        stream(ending(503, "Stopping", "it stops")),
        away,
        away,
        patient,
        stream(frame(8)),
    ]
    watching.run(count=1)
    assert watching.pauses == [1, 2, 4, 20]
    assert capsys.readouterr().err.splitlines() == [
        "no place is left; trying again until it answers or Ctrl-C",
        "the server answers again",
    ]


def test_what_is_not_kept_any_more_is_begun_anew_without_telling_twice(
    catalog: ScriptedCatalog, watching: Watching, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = problem(410, "EventIdGone", "not kept")
    catalog.answers["GET", "/events"] = [cut(frame(8)), gone, stream(frame(8), frame(9))]
    watching.run(count=2)
    assert [event for event, _ in watching.shown] == ["event-8", "event-9"]
    assert catalog.requests[-1].parameters["since"] == "2026-06-01T12:00:00Z"
    assert resumed_by(catalog) == [None, "8", None]
    assert "may be missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        pytest.param([problem(503, "AuditUnavailable", "no")], 1, id="from the start"),
        pytest.param([problem(501, "AuditNotConfigured", "no")], 1, id="no database"),
        pytest.param([problem(400, "InvalidParameter", "no")], 2, id="filter"),
        pytest.param([problem(401, "Unauthenticated", "no")], 3, id="token"),
        pytest.param([stream(ending(401, "Unauthenticated"))], 3, id="token that expired"),
        pytest.param([stream(ending(403, "Forbidden"))], 3, id="right that was lost"),
        pytest.param([cut(), problem(403, "Forbidden", "no")], 3, id="after a break"),
        pytest.param([stream("data: {nonsense\n\n"), problem(400, "X", "no")], 1, id="nonsense"),
        pytest.param([ScriptedAnswer(200, {"items": []})], 1, id="another server"),
    ],
)
def test_what_waiting_does_not_mend_ends_it(
    catalog: ScriptedCatalog, watching: Watching, answers: list[ScriptedAnswer], code: int
) -> None:
    catalog.answers["GET", "/events"] = answers
    with pytest.raises(CommandError) as caught:
        watching.run(count=1)
    assert caught.value.exit_code == code
    assert watching.shown == []


@pytest.mark.parametrize("count", [None, 5])
def test_time_that_is_up_ends_it(catalog: ScriptedCatalog, watching: Watching, count: int | None) -> None:
    catalog.answers["GET", "/events"] = [stream(frame(8)), stream()]
    with pytest.raises(RequestTimedOutError, match=r"^1( of 5)? events? came within --timeout 9s$") as caught:
        watching.run(count=count, timeout=9)
    assert caught.value.exit_code == 6
    assert sum(watching.pauses) == 9


def test_a_server_that_is_silent_for_too_long_counts_as_gone(catalog: ScriptedCatalog, watching: Watching) -> None:
    def answer(request: ScriptedRequest) -> ScriptedAnswer:
        watching.now = 100
        return cut() if "last-event-id" not in request.headers else stream(frame(8))

    catalog.answers["GET", "/events"] = answer
    with pytest.raises(RequestTimedOutError):
        watching.run(timeout=50)


def test_frames_are_read_as_the_standard_says() -> None:
    lines = b": hello\n\nretry: 10\nid: 1\n\nevent: x\r\ndata: [1,\r\ndata: 2]\r\n\r\n"
    lines += b"id\ndata:{}\n\nretry: soon\n\ndata: lost"
    read = [(f.name, f.id, f.data, f.retry) for f in read_frames(lines.split(b"\n"))]
    assert read == [
        ("message", None, None, None),
        ("message", "1", None, timedelta(milliseconds=10)),
        ("x", None, [1, 2], None),
        ("message", "", {}, None),
        ("message", None, None, None),
    ]


RECALLED = {
    **catalog_event(9, "image.recalled", catalognamespace="team-a", phase="Available"),
    "data": {"digest": f"sha256:{'ab' * 32}", "reason": "bricks\x1b[2J boards", "actor": "alice"},
}
REJECTED = {
    **catalog_event(10, "publish.rejected", catalogname="", time="2026-06-01T12:00:00.718751Z"),
    "data": {"reason": "ImageNotFound", "message": "there is no such tag", "actor": "unauthenticated"},
}


def test_people_read_a_line_for_each_event(caib: Callable[..., Any], catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/events"] = stream(frame(9, RECALLED), frame(10, REJECTED, name="unconfirmed"))
    ran = caib("catalog", "watch", "-A", "--count", "2")
    lines = [line.split(maxsplit=3) for line in ran.out.splitlines()]
    assert lines == [
        ["TIME", "EVENT", "ENTRY", "WHAT"],
        [
            "2026-06-01T12:00:00Z",
            "image.recalled",
            "team-a/autosd",
            r"sha256:abababababab, bricks\x1b[2J boards by alice",
        ],
        ["2026-06-01T12:00:00Z", "publish.rejected", "default/", "ImageNotFound: there is no such tag (unconfirmed)"],
    ]
    assert (ran.code, ran.err) == (0, "")
    assert dict(catalog.requests[0].parameters) == {"allNamespaces": "true"}
    assert catalog.requests[0].headers["accept"] == "text/event-stream"


@pytest.mark.parametrize(
    ("short", "data", "said"),
    [
        (
            "image.published",
            {"change": "version", "registryUrl": "quay.io/a:1", "sourceImageBuild": {"name": "b"}},
            "new version, quay.io/a:1, build b",
        ),
        ("image.unavailable", {"reason": "ImageNotFound", "message": "gone"}, "ImageNotFound: gone"),
        (
            "image.drifted",
            {"registryDigest": "sha256:11", "pinnedDigest": "sha256:22", "pinnedStillThere": False},
            "tag at sha256:11, pin at sha256:22, which is gone",
        ),
        ("image.verified", {"phase": "Available", "reason": "RegistryAccessible"}, "Available, RegistryAccessible"),
        ("image.removed", {"removedBy": "bob"}, "removed by bob"),
        ("publish.requested", {"imageBuild": {"name": "b"}}, "build b"),
        ("verification.requested", {"reference": "quay.io/a:1"}, "quay.io/a:1"),
        ("test.reported", {"result": "failed", "target": "rpi4"}, "failed on rpi4"),
        ("something.new", {}, ""),
    ],
)
def test_each_event_says_what_it_is_about(
    caib: Callable[..., Any], catalog: ScriptedCatalog, short: str, data: dict[str, Any], said: str
) -> None:
    catalog.answers["GET", "/events"] = stream(frame(9, {**catalog_event(9, short), "data": data}))
    lines = caib("catalog", "watch", "-n", "default", "--count", "1").out.splitlines()
    assert " ".join(lines[1].split()[2:]) == f"autosd {said}".strip()


def test_scripts_get_an_event_in_a_line_or_its_name(caib: Callable[..., Any], catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/events"] = stream(frame(9, RECALLED), frame(10, REJECTED), frame(11))
    ran = caib("catalog", "watch", "-o", "json", "--count", "2")
    assert [json.loads(line) for line in ran.out.splitlines()] == [RECALLED, REJECTED]
    ran = caib("catalog", "watch", "-o", "name", "--count", "2")
    assert ran.out.splitlines() == ["catalogimage/autosd", "catalogimage/autosd"]


def test_ctrl_c_ends_it_as_shells_count_it(catalog: ScriptedCatalog, tmp_path: Path) -> None:
    still_open = {"Content-Type": "text/event-stream", "Content-Length": "100000"}
    catalog.answers["GET", "/events"] = ScriptedAnswer(200, OPENING + frame(8), still_open)
    command = [
        sys.executable,
        "-c",
        "from image_catalog.cli.caib import main; main()",
        "catalog",
        "watch",
        "-o",
        "name",
    ]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "CAIB_SERVER": catalog.url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"catalogimage/autosd\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_the_command_line_becomes_the_query(caib: Callable[..., Any], catalog: ScriptedCatalog) -> None:
    catalog.answers["GET", "/events"] = stream(frame(8))
    caib("catalog", "watch", "-n", "team-a", "--since", "1h", "--filter", "phase = 'Available'", "--count", "1")
    asked = catalog.requests[0].parameters
    assert (asked["namespace"], asked["filter"]) == ("team-a", "phase = 'Available'")
    since = datetime.fromisoformat(asked["since"])
    assert timedelta(minutes=59) < datetime.now(UTC) - since < timedelta(minutes=61)
    caib("catalog", "watch", "--since", "2026-06-01T12:00:00+02:00", "--count", "1")
    assert catalog.requests[1].parameters["since"] == "2026-06-01T10:00:00+00:00"


def test_a_filter_that_the_api_refuses_is_told_with_what_it_understood(
    caib: Callable[..., Any], catalog: ScriptedCatalog
) -> None:
    catalog.answers["GET", "/events"] = problem(400, "InvalidParameter", "parameter filter is wrong", position=7)
    ran = caib("catalog", "watch", "--filter", "type == 'a'")
    assert ran.code == 2
    assert ran.err.splitlines() == ["Error: parameter filter is wrong", "Hint: it was understood as far as: type ="]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "neither a duration nor a time"),
        (["--filter", "colour=red"], "no event has the attribute colour"),
        (["--filter", " "], "--filter is empty"),
        (["--count", "0"], "--count"),
        (["-o", "yaml"], "yaml"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(caib: Callable[..., Any], arguments: list[str], said: str) -> None:
    ran = caib("catalog", "watch", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("Error:") == 1


@pytest.mark.parametrize(
    ("short", "matching", "other"),
    [
        ("type=image.available", {}, {"type": EventType.IMAGE_FAILED}),
        ("type=image.*", {}, {"type": EventType.PUBLISH_REJECTED}),
        (f"type={EventType.IMAGE_AVAILABLE}", {}, {"type": EventType.IMAGE_FAILED}),
        ("type=image.available,type=image.failed", {"type": EventType.IMAGE_FAILED}, {"type": EventType.IMAGE_DRIFTED}),
        ("type=image.available,target=rpi_4", {}, {"targets": ",rpiX4,"}),
        ("target=qemu", {}, {"targets": ",qemu-2,"}),
        ("name=auto*,namespace=default", {}, {"catalogname": "other"}),
        ("phase=Available,architecture=arm64", {}, {"phase": "Failed"}),
        (f"digest=sha256:{'0' * 64}", {}, {"digest": "sha256:1"}),
    ],
)
def test_the_short_form_of_a_filter_is_cesql(short: str, matching: dict[str, str], other: dict[str, str]) -> None:
    event = {
        "type": f"{PREFIX}image.available",
        "catalogname": "autosd",
        "catalognamespace": "default",
        "architecture": "arm64",
        "phase": "Available",
        "target": "rpi_4",
        "targets": ",rpi_4,qemu,",
        "digest": f"sha256:{'0' * 64}",
    }
    expression = cesql.parse(filters.as_cesql(short))
    assert expression.matches({**event, **matching})
    assert not expression.matches({**event, **other})


@pytest.mark.parametrize("source", ["type = 'a'", "phase='Available'", "EXISTS phase", "hop = 5", "type='a,b'"])
def test_everything_else_is_taken_as_it_was_written(source: str) -> None:
    assert filters.as_cesql(source) == source


def test_the_short_form_knows_the_attributes_that_there_are() -> None:
    assert set(filters.ATTRIBUTES) - {"id", "source", "subject", "type"} <= ATTRIBUTES.keys()
    assert filters.PREFIX == PREFIX
