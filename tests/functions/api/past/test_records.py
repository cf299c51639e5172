"""``GET /audit``: every filter, paging, rights, and what is said without a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from image_catalog.config import Settings
from image_catalog.testing.clock import StillClock

pytestmark = pytest.mark.story

sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NEED_IT = ("audit", "images?asOf=1h", "images/x/history?kind=all")

DIGEST = f"sha256:{'1' * 64}"


@pytest.fixture
async def filled(past: Any) -> None:
    """Let things happen, a minute apart from noon on."""
    one, two = past.object(0), past.object(1, namespace="team-a")
    await past.happens("image.published", one, actor="alice", digest=DIGEST)
    await past.happens("publish.rejected", one, actor="mallory", outcome="refused", keeps=False)
    await past.happens("image.changed", past.object(0), actor="unknown (kubectl-edit)")
    await past.happens("image.unavailable", one, actor="image-catalog", outcome="failed", keeps=False)
    await past.happens("image.published", two, actor="bob")
    await past.happens("image.removed", past.object(0), actor="alice")


async def ask(client: httpx.AsyncClient, **params: Any) -> list[str]:
    """Return actor and kind of the records, newest first."""
    answer = await client.get("audit", params=params)
    assert answer.status_code == 200, answer.text
    return [f"{item['actor']} {item['kind']}" for item in answer.json()["items"]]


@pytest.mark.usefixtures("filled")
async def test_records_come_newest_first_with_who_what_when_and_how_it_ended(client: httpx.AsyncClient) -> None:
    (first,) = (await client.get("audit", params={"kind": "image.published"})).json()["items"]
    assert {key: first[key] for key in ("actor", "kind", "time", "outcome", "digest", "confirmed", "position")} == {
        "actor": "alice",
        "kind": "image.published",
        "time": "2026-06-01T12:00:00Z",
        "outcome": "succeeded",
        "digest": DIGEST,
        "confirmed": True,
        "position": 1,
    }
    assert first["previousHash"] == "0" * 64
    assert await ask(client) == [
        "alice image.removed",
        "image-catalog image.unavailable",
        "unknown (kubectl-edit) image.changed",
        "mallory publish.rejected",
        "alice image.published",
    ]


FILTERS: list[tuple[Mapping[str, Any], list[str]]] = [
    ({"actor": "alice"}, ["alice image.removed", "alice image.published"]),
    ({"outcome": "refused"}, ["mallory publish.rejected"]),
    ({"digest": DIGEST}, ["alice image.published"]),
    ({"namespace": "team-a"}, ["bob image.published"]),
    ({"allNamespaces": "true", "kind": "image.published"}, ["bob image.published", "alice image.published"]),
    ({"kind": ["image.changed", "image.removed"]}, ["alice image.removed", "unknown (kubectl-edit) image.changed"]),
    ({"kind": "image.published, publish.rejected"}, ["mallory publish.rejected", "alice image.published"]),
    ({"since": "2026-06-01T12:03:00Z"}, ["alice image.removed", "image-catalog image.unavailable"]),
    ({"until": "2026-06-01T14:01:00+02:00"}, ["alice image.published"]),
    ({"since": "4m", "until": "2m"}, ["image-catalog image.unavailable", "unknown (kubectl-edit) image.changed"]),
    ({"name": "nobody"}, []),
]


@pytest.mark.usefixtures("filled")
async def test_every_filter_narrows(client: httpx.AsyncClient) -> None:
    assert [(params, await ask(client, **params)) for params, _ in FILTERS] == FILTERS


@pytest.mark.usefixtures("filled")
async def test_pages_neither_repeat_nor_skip_while_records_come_in(
    client: httpx.AsyncClient, past: Any, clock: StillClock
) -> None:
    whole, pages, token = await ask(client, since="1d"), [], None
    while True:
        page = (
            await client.get("audit", params={"since": "1d", "limit": 2, **({"continue": token} if token else {})})
        ).json()
        pages += [f"{item['actor']} {item['kind']}" for item in page["items"]]
        token = page["metadata"]["continue"]
        if not token:
            break
        await past.happens("image.published", past.object(3), actor="meanwhile")
        clock.advance(minutes=3)
    assert pages == whole
    again = await client.get("audit", params={"since": "2d", "limit": 2, "continue": "x"})
    assert again.json()["reason"] == "InvalidContinue"


IMPOSSIBLE = {
    "kind=image.publishd": "kind",
    "since=yesterday": "since",
    "until=2026-06-01": "until",
    "until=2026-06-31T00:00:00Z": "until",
    "outcome=good": "outcome",
    "digest=abc": "digest",
    "limit=501": "limit",
    "who=alice": "who",
}


@sqlite_alone
async def test_what_is_impossible_is_refused_by_its_name(client: httpx.AsyncClient) -> None:
    answers = {query: (await client.get(f"audit?{query}")).json() for query in IMPOSSIBLE}
    assert {query: answer["details"]["parameter"] for query, answer in answers.items()} == IMPOSSIBLE
    assert {answer["status"] for answer in answers.values()} == {400}


@sqlite_alone
@pytest.mark.usefixtures("filled")
async def test_an_answer_has_an_etag_and_comes_compressed(client: httpx.AsyncClient) -> None:
    first = await client.get("audit", headers={"accept-encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    known = {"if-none-match": first.headers["etag"]}
    assert (await client.get("audit", headers=known)).status_code == 304
    assert (await client.head("audit")).content == b""


class TestWithoutADatabase:
    @pytest.fixture
    def settings(self) -> Settings:
        """Have no database."""
        return Settings()

    async def test_the_answer_names_the_setting(self, client: httpx.AsyncClient) -> None:
        for path in NEED_IT:
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["reason"]) == (501, "AuditNotConfigured")
            assert answer.json()["details"] == {"setting": "IMAGE_CATALOG_DATABASE_URL"}


class TestWhileTheDatabaseIsDown:
    @pytest.fixture
    def database_url(self) -> str:
        """Name a file in a folder that is not there."""
        return "sqlite:////nowhere/at/all/audit.db"

    async def test_the_answer_says_when_to_ask_again(self, client: httpx.AsyncClient) -> None:
        for path in NEED_IT:
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["reason"]) == (503, "AuditUnavailable")
            assert int(answer.headers["retry-after"]) > 0
