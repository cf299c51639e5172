"""``GET /images/{name}/history``: versions with who published them, and all that happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from image_catalog.config import Settings
from image_catalog.models import format_time
from image_catalog.testing.catalog_samples import sample_image
from image_catalog.testing.clock import StillClock
from image_catalog_functions.api.services import Services

NAME = "rhivos1-qemu-amd64-0"


def digest(number: int) -> str:
    """Return a digest."""
    return f"sha256:{number:064x}"


@pytest.fixture
async def filled(client: httpx.AsyncClient, past: Any, services: Services, clock: StillClock) -> None:
    """Publish four versions; the entry shows the last two."""
    assert client
    times = []
    for number in range(4):
        times.append(format_time(clock()))
        await past.happens(
            "image.published",
            past.object(),
            actor=f"user-{number}",
            digest=digest(number),
            data={"shown": {"change": "version" if number else "created"}},
        )
        await past.happens("image.available", past.object(), actor="image-catalog", keeps=False)
    # What nobody confirms makes no version.
    await past.happens(
        "image.published",
        past.object(),
        actor="liar",
        confirmed=False,
        data={"shown": {"change": "version"}},
        keeps=False,
    )
    shown = past.object()
    shown["status"] |= {
        # The event is emitted a while after the write.
        "publishedAt": (written := format_time(datetime.fromisoformat(times[3]) - timedelta(seconds=30))),
        "registryMetadata": {"resolvedDigest": digest(3)},
        "history": [{"digest": digest(2), "publishedAt": times[2], "supersededAt": written}],
    }
    services.index.put(shown)


async def versions(client: httpx.AsyncClient, **params: Any) -> list[tuple[str, str, bool]]:
    """Return digest number, publisher and whether it is current, of each version on all pages."""
    found: list[tuple[str, str, bool]] = []
    token = None
    while token != "":
        page = (
            await client.get(f"images/{NAME}/history", params={**params, **({"continue": token} if token else {})})
        ).json()
        found += [(item["digest"][-1], item["publishedBy"], item["current"]) for item in page["items"]]
        token = page["metadata"]["continue"]
    return found


@pytest.mark.usefixtures("filled")
async def test_versions_older_than_the_entry_shows_come_from_the_audit(client: httpx.AsyncClient) -> None:
    expected = [("3", "user-3", True), ("2", "user-2", False), ("1", "user-1", False), ("0", "user-0", False)]
    assert await versions(client) == expected
    assert await versions(client, limit=1) == expected
    assert await versions(client, actor="user-1") == [expected[2]]
    assert await versions(client, since="2026-06-01T12:04:00Z") == expected[:2]
    assert await versions(client, until="2026-06-01T12:02:00Z") == expected[3:]
    assert await versions(client, outcome="failed") == []
    page = (await client.get(f"images/{NAME}/history")).json()
    assert [item.get("supersededAt") for item in page["items"]] == [
        None,
        *(item["publishedAt"] for item in page["items"][:-1]),
    ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("filled")
async def test_what_is_removed_keeps_its_history(
    client: httpx.AsyncClient, past: Any, services: Services, clock: StillClock
) -> None:
    services.index.remove("default", NAME)
    removed = format_time(clock())
    await past.happens("image.removed", past.object(), actor="alice")
    page = (await client.get(f"images/{NAME}/history")).json()
    assert [item["current"] for item in page["items"]] == [False] * 4
    assert page["items"][0]["supersededAt"] == removed
    assert "resourceVersion" not in page["metadata"]
    records = (await client.get(f"images/{NAME}/history", params={"kind": "all", "limit": 2})).json()
    assert [item["kind"] for item in records["items"]] == ["image.removed", "image.published"]
    token = records["metadata"]["continue"]
    rest = (await client.get(f"images/{NAME}/history", params={"kind": "all", "limit": 2, "continue": token})).json()
    assert [item["actor"] for item in rest["items"]] == ["image-catalog", "user-3"]
    some = (await client.get(f"images/{NAME}/history", params={"kind": "image.removed", "actor": "alice"})).json()
    assert len(some["items"]) == 1
    for path in ("images/never/history", "images/never/history?kind=all"):
        assert (await client.get(path)).status_code == 404


class TestWhileTheDatabaseIsDown:
    @pytest.fixture
    def database_url(self) -> str:
        """Name a file in a folder that is not there."""
        return "sqlite:////nowhere/at/all/audit.db"

    async def test_an_entry_shows_its_last_versions_and_says_what_is_missing(
        self, client: httpx.AsyncClient, past: Any, services: Services
    ) -> None:
        services.index.put(past.object())
        page = (await client.get(f"images/{NAME}/history")).json()
        assert page["items"][0]["current"] is True
        assert page["metadata"]["note"].startswith("the history does not answer just now")
        assert (await client.get(f"images/{NAME}/history?actor=alice")).status_code == 503


class TestWithoutADatabase:
    @pytest.fixture
    def settings(self) -> Settings:
        """Have no database."""
        return Settings()

    async def test_an_entry_shows_its_last_versions_and_says_what_to_set(
        self, client: httpx.AsyncClient, services: Services
    ) -> None:
        services.index.put(sample_image(0, namespaces=("default",)))
        page = (await client.get(f"images/{NAME}/history")).json()
        assert page["items"][0]["current"] is True
        assert "IMAGE_CATALOG_DATABASE_URL" in page["metadata"]["note"]
        assert (await client.get(f"images/{NAME}/history?actor=alice")).status_code == 501
        assert (await client.get("images/never/history")).status_code == 404
