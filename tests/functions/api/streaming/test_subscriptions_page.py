"""Every subscription of docs/subscriptions.md, given to the local broker and to the API with the same events."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from image_catalog.cli.filters import as_cesql
from image_catalog.cli.reference.events import ATTRIBUTES
from image_catalog.events import PREFIX, EventType
from image_catalog.local.manifests import load_manifests
from image_catalog.testing.event_streams import MemoryLog, Watch, catalog_event
from image_catalog.testing.knative import ScriptedSubscriber, running_knative
from image_catalog_functions.api.streaming.streams import StreamLimits

pytestmark = pytest.mark.story

PAGE = (Path(__file__).parents[4] / "docs" / "subscriptions.md").read_text()
RPI = {"target": "qemu", "targets": ",qemu,raspberry-pi,", "phase": "Available"}


def _from_outside(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if not name.startswith("catalog") and name != "architecture"}


EVENTS: Mapping[str, dict[str, Any]] = {
    "rpi": catalog_event(1, **RPI),
    "rpi-first": catalog_event(2, **{**RPI, "target": "raspberry-pi", "targets": ",raspberry-pi,"}),
    "rpi-elsewhere": catalog_event(3, **RPI, catalognamespace="team-a"),
    "rpi-5": catalog_event(4, target="raspberry-pi-5", targets=",raspberry-pi-5,"),
    "rpi-drifted": catalog_event(5, "image.drifted", **RPI),
    "no-target": catalog_event(6),
    "recalled": catalog_event(7, "image.recalled", catalognamespace="team-a"),
    "restored": catalog_event(8, "image.restored", catalognamespace="team-a"),
    "recalled-elsewhere": catalog_event(9, "image.recalled", catalognamespace="team-ab"),
    "release-drifted": catalog_event(10, "image.drifted", catalogname="autosd-release"),
    "release-drifted-in-sandbox": catalog_event(
        11, "image.drifted", catalogname="autosd-release", catalognamespace="sandbox"
    ),
    "release-removed": catalog_event(12, "image.removed", catalogname="autosd-release"),
    "rejected": catalog_event(13, "publish.rejected", catalogname=""),
    "failed": catalog_event(14, "image.failed"),
    "failed-in-a-test": catalog_event(15, "image.failed", catalognamespace="test-7"),
    "unavailable": catalog_event(16, "image.unavailable"),
    "reported": _from_outside(catalog_event(17, "test.reported")),
    "reported-elsewhere": _from_outside(catalog_event(18, "test.reported", catalognamespace="team-a")),
}

EXPECTED = {
    "A new image for a board": {"rpi", "rpi-first", "rpi-elsewhere"},
    "Anything of mine is recalled": {"recalled", "restored"},
    "A tag moved": {"release-drifted"},
    "What failed": {"rejected", "failed"},
}


@dataclass(frozen=True, slots=True)
class Example:
    """A Trigger of the page, and the commands below it that are told the same."""

    trigger: dict[str, Any]
    filters: tuple[str, ...]


def _examples() -> dict[str, Example]:
    found = {}
    triggers = PAGE.split("## Triggers\n", 1)[1].split("\n## ", 1)[0]
    for part in triggers.split("\n### ")[1:]:
        if "```yaml" not in part:
            continue
        manifest, commands = re.findall(r"```(?:yaml|sh)\n(.*?)```", part, re.DOTALL)
        words = [shlex.split(line) for line in commands.splitlines()]
        assert all(word[:5] == ["caib", "catalog", "watch", "-A", "--filter"] for word in words)
        found[part.partition("\n")[0]] = Example(yaml.safe_load(manifest), tuple(word[5] for word in words))
    return found


EXAMPLES = _examples()


def test_every_example_is_tried() -> None:
    assert EXAMPLES.keys() == EXPECTED.keys()
    names = {name for example in EXAMPLES.values() for name in _names_in(example.trigger["spec"]["filters"])}
    # Every dialect is shown, and beside them stand attributes alone.
    assert names >= _DIALECTS
    assert names - _DIALECTS <= {"type", "subject", *ATTRIBUTES}


_DIALECTS = {"exact", "prefix", "suffix", "all", "any", "not", "cesql"}


def _names_in(entry: Any) -> set[str]:
    inner = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()
    own = entry.keys() if isinstance(entry, dict) else set()
    return {*own, *(name for each in inner for name in _names_in(each))}


@pytest.mark.parametrize("heading", EXAMPLES)
async def test_a_trigger_passes_on_what_the_page_says(heading: str) -> None:
    subscriber, (broker,) = ScriptedSubscriber(), [m for m in load_manifests() if m["kind"] == "Broker"]
    trigger = EXAMPLES[heading].trigger
    assert trigger["spec"]["broker"] == broker["metadata"]["name"]
    assert trigger["metadata"]["namespace"] == broker["metadata"]["namespace"]
    assert trigger["spec"]["delivery"].keys() == broker["spec"]["delivery"].keys()
    if "uri" in trigger["spec"]["subscriber"]:
        # Somebody else's address.
        trigger = {**trigger, "spec": {**trigger["spec"], "subscriber": _SUBSCRIBER}}
    services = {trigger["spec"]["subscriber"]["ref"]["name"]: subscriber, "audit": ScriptedSubscriber()}
    async with running_knative(broker, trigger, subscribers=services) as knative, httpx.AsyncClient() as client:
        for event in EVENTS.values():
            answer = await client.post(
                knative.broker_url, json=event, headers={"Content-Type": "application/cloudevents+json"}
            )
            assert answer.status_code == 202
        await knative.wait_idle()
    assert _names({event.id for event in subscriber.events}) == EXPECTED[heading]


_SUBSCRIBER = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "subscriber"}}


@pytest.mark.parametrize(
    ("heading", "filter_"),
    [
        pytest.param(heading, filter_, id=f"{heading}-{number}")
        for heading, example in EXAMPLES.items()
        for number, filter_ in enumerate(example.filters)
    ],
)
async def test_the_same_filter_at_the_api_lets_the_same_events_through(
    watch: Watch, log: MemoryLog, heading: str, filter_: str
) -> None:
    for event in EVENTS.values():
        log.write(event, confirmed=event["type"] != EventType.PUBLISH_REJECTED)
    parameters = {"allNamespaces": "true", "filter": as_cesql(filter_)}
    async with watch(headers={"Last-Event-ID": "0"}, **parameters) as client:
        told = await client.ids(len(EXPECTED[heading]))
        await client.until(lambda: client.last == str(len(EVENTS)))
        log.write({**catalog_event(99), "id": "no more"})
    assert _names(set(told)) == EXPECTED[heading]
    assert client.unread == 0


def _names(ids: set[str]) -> set[str]:
    return {name for name, event in EVENTS.items() if event["id"] in ids}


def test_the_limits_are_those_that_hold() -> None:
    limits = StreamLimits()
    shown = re.findall(r"^\| [^|]+ \| (\d+)(?: s)? \|$", PAGE, re.MULTILINE)
    held = [limits.heartbeat, limits.recheck, limits.clients, limits.clients_each, limits.send, limits.behind]
    assert shown == [str(int(v.total_seconds())) if isinstance(v, timedelta) else str(v) for v in held]


def test_the_types_that_the_page_names_are_those_that_there_are() -> None:
    assert set(re.findall(rf"{re.escape(PREFIX)}[a-z.]+", PAGE)) <= set(EventType)
    assert {PREFIX + short for short in re.findall(r"`((?:image|publish|test)\.[a-z]+)`", PAGE)} <= set(EventType)
