"""Whoever writes past the store is found out."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy

from image_catalog.audit import AuditStore, BreakKind, Link, NewRecord, read_links
from image_catalog.audit._tables import records as record_table
from image_catalog.audit.chain import link_hash

pytestmark = pytest.mark.story

Make = Callable[..., NewRecord]
Tamper = Callable[..., None]
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "audit.md").read_text()


@pytest.fixture
def tamper(database_url: str) -> Tamper:
    """Run SQL as somebody would who owns the database."""

    def run(*statements: str, **values: Any) -> None:
        url = database_url.replace("postgresql://", "postgresql+psycopg://")
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sqlalchemy.text(statement), values)
        engine.dispose()

    return run


@pytest.fixture
async def kept(store: AuditStore, make: Make) -> list[Link]:
    """Keep two chains, and return the links that were logged."""
    kept = await store.append([make(f"e{i}", "one", state=i + 1, actor="anna") for i in range(4)])
    kept += await store.append([make(f"f{i}", "two") for i in range(3)])
    return [Link(record.chain, record.position, record.hash) for record in kept]


def found(breaks: list[Any]) -> list[tuple[str, int, BreakKind]]:
    return [(one.chain, one.position, one.kind) for one in breaks]


async def test_chains_that_nobody_touched_hold(store: AuditStore, kept: list[Link]) -> None:
    verified = await store.verify(kept)
    assert (verified.chains, verified.records, verified.links, verified.breaks) == (2, 7, 7, [])
    assert await store.links() == [kept[3], kept[6]]


CHANGES = (
    "actor = 'mallory'",
    "message = 'x'",
    "time = time + 1",
    "recorded_at = recorded_at + 1",
    "data = '[]'",
    "kind = 'image.failed'",
    "outcome = 'refused'",
    "digest = 'sha256:0'",
    "registry_url = 'quay.io/a/b'",
    "event_id = 'x'",
    "name = 'x'",
    "namespace = NULL",
    "confirmed = NOT confirmed",
    "folds = NOT folds",
    "amount = 2",
    "part = 1",
    "seq = 99",
    "state_digest = NULL",
)


async def test_a_record_that_was_changed_is_found(
    store: AuditStore, kept: list[Link], tamper: Tamper, database_url: str
) -> None:
    assert kept
    row = read_row(database_url, "e1")
    back = ", ".join(f"{name} = :{name}" for name in row)
    # Every column can be changed, and each change is seen.
    assert set(row) - {change.partition(" = ")[0] for change in CHANGES} == {
        *("chain_id", "position", "previous_hash", "hash")
    }
    for change in CHANGES:
        tamper(f"UPDATE records SET {change} WHERE position = 2 AND name IN ('one', 'x')")  # noqa: S608 - constants
        breaks = (await store.verify()).breaks
        assert ("default/one", 2, BreakKind.CHANGED) in found(breaks), change
        tamper(f"UPDATE records SET {back} WHERE position = 2 AND name IN ('one', 'x')", **row)  # noqa: S608 - constants
    assert (await store.verify()).breaks == []


def read_row(database_url: str, event_id: str) -> dict[str, Any]:
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        query = sqlalchemy.select(record_table).where(record_table.c.event_id == event_id)
        row = dict(connection.execute(query).mappings().one())
    engine.dispose()
    return row


async def test_a_record_that_was_changed_with_its_hash_is_found(
    store: AuditStore, kept: list[Link], database_url: str
) -> None:
    rehash(database_url, "e1", actor="mallory")
    assert found((await store.verify()).breaks) == [("default/one", 3, BreakKind.MISPLACED)]
    assert found((await store.verify(kept)).breaks) == [
        ("default/one", 2, BreakKind.CHANGED),
        ("default/one", 3, BreakKind.MISPLACED),
    ]


def rehash(database_url: str, event_id: str, **changes: Any) -> str:
    """Change a record, and make its hash fit; return that."""
    engine = sqlalchemy.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    of_the_event = record_table.c.event_id == event_id
    with engine.begin() as connection:
        row = connection.execute(sqlalchemy.select(record_table).where(of_the_event)).mappings().one()
        changed = {**row, **changes}
        changes["hash"] = link_hash({**changed, "chain": f"{row['namespace']}/{row['name']}"})
        connection.execute(sqlalchemy.update(record_table).where(of_the_event).values(**changes))
    engine.dispose()
    return str(changes["hash"])


async def test_a_record_that_was_removed_is_found(store: AuditStore, kept: list[Link], tamper: Tamper) -> None:
    tamper("DELETE FROM states WHERE seq = 2", "DELETE FROM records WHERE seq = 2")
    assert found((await store.verify()).breaks) == [
        ("default/one", 2, BreakKind.MISSING),
        ("*", 7, BreakKind.MISSING),
    ]
    assert kept


async def test_a_record_that_was_slipped_in_is_found(store: AuditStore, kept: list[Link], tamper: Tamper) -> None:
    columns = ", ".join(column.name for column in record_table.columns if column.name not in {"seq", "position"})
    copied = columns.replace("event_id", "'x'").replace("state_digest", "NULL")
    tamper(
        "UPDATE records SET position = 9 WHERE seq = 4",
        f"INSERT INTO records (seq, position, {columns}) "  # noqa: S608 - constants
        f"SELECT 8, 4, {copied} FROM records WHERE seq = 3",
    )
    assert ("default/one", 4, BreakKind.CHANGED) in found((await store.verify()).breaks)
    assert kept


async def test_records_that_were_exchanged_are_found(store: AuditStore, kept: list[Link], tamper: Tamper) -> None:
    tamper(
        "UPDATE records SET position = 99 WHERE seq = 2",
        "UPDATE records SET position = 2 WHERE seq = 3",
        "UPDATE records SET position = 3 WHERE seq = 2",
    )
    broken = found((await store.verify()).breaks)
    assert {("default/one", 2, BreakKind.CHANGED), ("default/one", 3, BreakKind.MISPLACED)} <= set(broken)
    assert kept


async def test_a_tail_that_was_cut_shows_in_the_head_or_in_the_log(
    store: AuditStore, kept: list[Link], tamper: Tamper
) -> None:
    tamper("DELETE FROM records WHERE event_id = 'f2'")
    assert ("default/two", 3, BreakKind.CUT) in found((await store.verify()).breaks)
    # Somebody who knows where chains end makes that fit as well; only what is kept elsewhere tells.
    tamper("UPDATE chains SET position = 2, hash = :hash WHERE subject = 'default/two'", hash=kept[5].hash)
    assert (await store.verify()).breaks == []
    assert found((await store.verify(kept)).breaks) == [("default/two", 3, BreakKind.CUT)]


async def test_a_chain_that_is_gone_shows_in_the_count_and_in_the_log(
    store: AuditStore, kept: list[Link], tamper: Tamper
) -> None:
    of_the_chain = "(SELECT id FROM chains WHERE subject = 'default/one')"
    tamper(
        f"DELETE FROM states WHERE chain_id = {of_the_chain}",  # noqa: S608 - constants
        f"DELETE FROM records WHERE chain_id = {of_the_chain}",  # noqa: S608 - constants
        "DELETE FROM chains WHERE subject = 'default/one'",
    )
    assert found((await store.verify()).breaks) == [("*", 7, BreakKind.MISSING)]
    assert ("default/one", 4, BreakKind.CUT) in found((await store.verify(kept)).breaks)


async def test_a_beginning_that_was_cut_needs_more_than_an_anchor(
    store: AuditStore, kept: list[Link], tamper: Tamper
) -> None:
    tamper(
        "DELETE FROM records WHERE event_id = 'f0'",
        "INSERT INTO anchors SELECT chain_id, 1, previous_hash, 1, 0 FROM records WHERE event_id = 'f1'",
    )
    assert found((await store.verify()).breaks) == [("*", 7, BreakKind.MISSING)]
    tamper("UPDATE anchors SET hash = 'x'")
    assert ("default/two", 1, BreakKind.CHANGED) in found((await store.verify(kept)).breaks)


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE states SET uid = 'x' WHERE seq = 2", 2),
        ("UPDATE states SET removed = NOT removed WHERE seq = 3", 3),
        ("UPDATE states SET object = (SELECT object FROM states WHERE seq = 1) WHERE seq = 3", 3),
        ("UPDATE states SET packing = 1 - packing WHERE seq = 3", 3),
        ("DELETE FROM states WHERE seq = 1", 1),
    ],
    ids=["uid", "removed", "object", "packing", "gone"],
)
async def test_a_state_that_was_changed_is_found(
    store: AuditStore, kept: list[Link], tamper: Tamper, statement: str, position: int
) -> None:
    tamper(statement)
    assert found((await store.verify()).breaks) == [("default/one", position, BreakKind.STATE)]
    assert kept


async def test_a_state_that_cannot_be_read_is_found(store: AuditStore, kept: list[Link], tamper: Tamper) -> None:
    tamper("UPDATE states SET object = :object WHERE seq = 1", object=b"x")
    assert found((await store.verify()).breaks) == [("default/one", 1, BreakKind.STATE)]
    assert kept


async def test_a_state_that_no_record_brought_is_found(store: AuditStore, kept: list[Link], tamper: Tamper) -> None:
    tamper("UPDATE states SET seq = 100, proof_seq = 100 WHERE seq = 2")
    assert found((await store.verify()).breaks) == [
        ("default/one", 2, BreakKind.STATE),
        ("default/one", 0, BreakKind.STATE),
    ]
    tamper("UPDATE states SET seq = 5, proof_seq = 5 WHERE seq = 100")
    assert ("default/two", 1, BreakKind.STATE) in found((await store.verify()).breaks)
    assert kept


async def test_what_is_appended_meanwhile_breaks_nothing(store: AuditStore, make: Make, kept: list[Link]) -> None:
    appending = [store.append([make(f"g{i}", f"n{i % 3}", state=i + 10)]) for i in range(60)]
    verifying = asyncio.create_task(store.verify(kept))
    await asyncio.gather(*appending)
    assert (await verifying).breaks == []


def test_links_are_read_from_logs_of_any_kind() -> None:
    link = Link("a/b", 3, "f" * 64)
    log = orjson.dumps({"event": "audit appended", "links": [link.to_dict(), {"chain": 3}], "level": "info"})
    other = b'{"event": "delivered"}'
    lines = [b"[pod/audit-1] 2026-03-01T12:00:00Z " + log, other, b"plain", b"{", orjson.dumps(link.to_dict()), b"{1}"]
    assert list(read_links(lines)) == [link, link]
    console = (
        f"2026-03-01 12:00 [info     ] audit appended    ids=['[{{x links=[{{}}]'] links=[{link.to_dict()}] records=1"
    )
    assert list(read_links([console, "audit appended links=[{'chain': object}]", "links=[{}]"])) == [link]


async def test_anybody_can_verify_a_chain_by_what_the_page_says(
    store: AuditStore, make: Make, database_url: str
) -> None:
    await store.append([make("a", message="ünï ✓ \x00", data={"b": 0.1, "a": ["✓", None]}, state=1), make("b")])
    columns = set(re.findall(r"`(\w+)`", PAGE.split("That is all of them but the hash:")[1].split("\n\n")[0]))
    before = "0" * 64
    for event_id in ("a", "b"):
        row = read_row(database_url, event_id) | {"chain": "default/one"}
        assert columns == set(row) - {"hash", "chain_id"}
        content = {name: value for name, value in row.items() if name in columns and value is not None}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert row["previous_hash"] == before
        before = hashlib.sha256(text.encode()).hexdigest()
        assert row["hash"] == before


def test_the_hash_of_a_record_is_what_it_was_when_the_first_were_kept() -> None:
    # Whatever changes: chains that exist must be verified for ever.
    row = {
        "seq": 7,
        "chain": "default/autosd",
        "position": 3,
        "event_id": "5f0c",
        "part": 0,
        "kind": "image.published",
        "namespace": "default",
        "name": "autosd",
        "time": 1_767_225_600_000_000,
        "recorded_at": 1_767_225_600_000_001,
        "actor": "anna",
        "outcome": "succeeded",
        "digest": None,
        "registry_url": None,
        "message": "ünï",
        "confirmed": True,
        "folds": False,
        "amount": 1,
        "data": '{"a":1}',
        "state_digest": None,
        "previous_hash": "0" * 64,
    }
    assert link_hash(row) == "bba24181abba9e001fbc8ed320b70775f1abd969efe1c20bb7b28d9109f87122"
