"""A dispatcher whose collaborators fail."""

from __future__ import annotations

import httpx
import structlog
from starlette.responses import Response

from image_catalog.local.knative import CloudEvent, Delivery, Destination, Settings, Trigger
from image_catalog.local.knative.cloudevent import Headers
from image_catalog.local.knative.dispatcher import Dispatcher, Parcel, Route
from image_catalog.local.knative.sending import Sender
from image_catalog.testing.knative import ScriptedSubscriber, SkippingClock

TRIGGER = Trigger("default", "work", "events", Destination(uri="http://work"), lambda _event: True, Delivery())
EVENT = CloudEvent({"specversion": "1.0", "id": "1", "type": "test", "source": "/test"})


async def crash(_event: CloudEvent, _headers: Headers, _ttl: int) -> int:
    raise RuntimeError("a fault of our own, which no answer of a subscriber causes")


async def test_a_delivery_that_crashes_is_told_and_leaves_the_dispatcher_idle() -> None:
    replying = ScriptedSubscriber(Response(headers={f"ce-{name}": value for name, value in EVENT.attributes.items()}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(replying)) as client:
        dispatcher = Dispatcher(
            TRIGGER,
            route=Route("http://work", "http://work", "http://ingress", None),
            sender=Sender(client=client, max_answer_bytes=1000),
            replies=crash,
            clock=SkippingClock(),
            settings=Settings(),
            observer=lambda _record: None,
        )
        with structlog.testing.capture_logs() as logs:
            dispatcher.take(Parcel(EVENT, {}, 255))
            await dispatcher.wait_idle()

    assert [entry["event"] for entry in logs] == ["delivery crashed"]
    assert dispatcher.idle
