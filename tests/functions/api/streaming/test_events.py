"""What watchers of ``GET /events`` are told, and where they go on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import stamina

from image_catalog.testing.event_streams import MIDNIGHT, MemoryLog, Watch, catalog_event, watcher_of
from image_catalog_functions.api.app import create_app
from image_catalog_functions.api.services import Services


async def test_an_event_comes_whole_with_its_attributes_and_an_id(watch: Watch, log: MemoryLog) -> None:
    event = catalog_event(1, targets=",qemu,raspberry-pi,")
    async with watch() as client:
        log.write(event)
        frame = await client.next()
    assert frame is not None
    assert (frame.name, frame.data, frame.id) == ("message", event, "1")
    assert client.headers["content-type"].startswith("text/event-stream")
    assert client.headers["cache-control"] == "no-store"
    assert "content-encoding" not in client.headers
