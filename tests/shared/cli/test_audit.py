"""``image-catalog audit`` and ``dead-letters`` as operators run them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

import pytest
import structlog

from image_catalog.audit import AuditStore, NewDeadLetter, NewRecord
from image_catalog.cli.audit import parse_age
from image_catalog.cli.errors import ExitCode
from image_catalog.cli.operator import app
from image_catalog.events import parse_event
from image_catalog.testing.postgres import Postgres

Run = Callable[..., Any]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Forget where a command logs to: that stream is gone when its test is."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def three_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database of three records of two entries, which tests begin with a copy of."""
    folder = tmp_path_factory.mktemp("audit")
    records = [
        NewRecord(event_id=str(i), kind="image.published", namespace="default", name=name, time=NOW)
        for i, name in enumerate(["one", "one", "two"])
    ]
    fill(folder, lambda store: store.append(records))
    return folder / "audit.db"


@pytest.fixture
def audit(run: Run, tmp_path: Path, three_records: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands on a database of three records of two entries."""
    monkeypatch.setenv("IMAGE_CATALOG_DATABASE_URL", f"sqlite:///{tmp_path / 'audit.db'}")
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(three_records, tmp_path / "audit.db")
    return lambda *arguments: run(app, *arguments)


def fill(folder: Path, write: Callable[[AuditStore], Awaitable[Any]]) -> None:
    async def work() -> None:
        store = AuditStore.open(f"sqlite:///{folder / 'audit.db'}")
        await write(store)
        await store.aclose()

    asyncio.run(work())


def tamper(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "audit.db", isolation_level=None)
    connection.execute(statement)
    connection.close()


def test_chains_that_hold_are_counted(audit: Run) -> None:
    ran = audit("audit", "verify")
    assert (ran.code, ran.out, ran.err) == (0, "2 chains of 3 records hold\n", "")


def test_a_break_is_shown_and_ends_with_one(audit: Run, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE records SET actor = 'mallory' WHERE seq = 1")
    ran = audit("audit", "verify")
    assert ran.code == ExitCode.ERROR
    assert ran.out.splitlines() == [
        "CHAIN         POSITION   KIND      MESSAGE",
        "default/one   1          Changed   record 1 was changed",
    ]
    assert ran.err == "1 breaks: what the audit says of these chains is not what it once said\n"
    ran = audit("audit", "verify", "-o", "json")
    assert ran.code == ExitCode.ERROR
    assert json.loads(ran.out)["breaks"][0] | {"message": ""} == {
        "chain": "default/one",
        "position": 1,
        "kind": "Changed",
        "message": "",
    }


@contextmanager
def standard_input(stream: TextIO) -> Iterator[None]:
    """Let commands read from a stream."""
    before, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = before


def test_a_tail_that_was_cut_shows_by_the_links_that_were_kept(audit: Run, tmp_path: Path) -> None:
    links = audit("audit", "links").out
    assert [json.loads(line)["position"] for line in links.splitlines()] == [2, 1]
    (tmp_path / "links").write_text(links)
    ran = audit("audit", "verify", "--links", tmp_path / "links")
    assert ran.out == "2 chains of 3 records hold, and 2 logged links are found again\n"

    tamper(tmp_path, "DELETE FROM records WHERE seq = 3")
    tamper(tmp_path, "DELETE FROM chains WHERE subject = 'default/two'")
    assert audit("audit", "verify").code == 0
    with standard_input(io.StringIO(links)):
        ran = audit("audit", "verify", "--links", "-")
    assert ran.code == ExitCode.ERROR
    assert "the log has links of a chain that is not there" in ran.out


def test_a_file_without_links_proves_nothing(audit: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("nothing\n")
    ran = audit("audit", "verify", "--links", tmp_path / "log")
    assert (ran.code, ran.err.splitlines()[0]) == (ExitCode.ERROR, f"Error: {tmp_path / 'log'} has no links")


def test_what_is_old_is_removed_and_counted(audit: Run) -> None:
    ran = audit("audit", "prune", "--older-than", "90d", "--yes")
    assert ran.out.startswith("removed 0 records of 0 chains, 0 states and 0 dead letters from before ")
    ran = audit("audit", "prune", "--older-than", "1us", "-y", "-o", "json")
    assert json.loads(ran.out)["removed"] == {"records": 1, "states": 0, "deadLetters": 0, "chains": 1}
    assert audit("audit", "verify").out == "3 chains of 3 records hold\n"


def test_what_would_be_removed_is_told_and_left_where_nobody_can_be_asked(audit: Run) -> None:
    ran = audit("audit", "prune", "--older-than", "1us")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    said, hint = ran.err.splitlines()
    assert said.startswith("Error: 1 records of 1 chains, and 0 dead letters that are done with, from before ")
    assert said.endswith(" UTC: they are not removed without being asked for")
    assert hint == "Hint: no terminal to ask at; say --yes"
    assert audit("audit", "verify").out == "2 chains of 3 records hold\n"


@pytest.mark.parametrize(("typed", "left"), [("y\n", "3 chains of 3"), ("\n", "2 chains of 3")], ids=["yes", "no"])
def test_on_a_terminal_it_is_asked_before_anything_is_removed(audit: Run, typed: str, left: str) -> None:
    person, terminal = os.openpty()
    try:
        os.write(person, typed.encode())
        with open(terminal, encoding="utf-8", closefd=False) as stdin, standard_input(stdin):
            ran = audit("audit", "prune", "--older-than", "1us")
    finally:
        os.close(person)
        os.close(terminal)
    assert ran.err.startswith("Remove 1 records of 1 chains, and 0 dead letters that are done with, from before ")
    assert "Only a backup brings them back. [y/N] " in ran.err
    assert ran.code == (0 if typed == "y\n" else 1)
    assert audit("audit", "verify").out == f"{left} records hold\n"


@pytest.mark.parametrize(("text", "age"), [("90d", timedelta(days=90)), ("1h30m", timedelta(minutes=90))])
def test_an_age_is_read(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "0d", "d", "-1d", "90", "1 d"])
def test_what_is_no_age_is_refused(audit: Run, text: str) -> None:
    ran = audit("audit", "prune", "--older-than", text)
    assert ran.code == ExitCode.USAGE
    assert "is no age above zero: write 90d or 12h" in ran.err


def test_a_database_is_migrated_by_hand(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert run(app, "audit", "migrate", "--database", url).out == "version 0001, was empty\n"
    assert run(app, "audit", "migrate", "--database", url).out == "version 0001, as before\n"


def test_without_a_database_the_local_stack_is_meant(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGE_CATALOG_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    ran = run(app, "audit", "verify")
    assert ran.code == ExitCode.ERROR
    assert ran.err.startswith("Error: no database is named, and no local stack has left one in build/local\nHint: ")
    (tmp_path / "build" / "local").mkdir(parents=True)
    fill(tmp_path / "build" / "local", lambda store: store.migrate())
    assert run(app, "audit", "verify").out == "0 chains of 0 records hold\n"


def test_a_database_that_cannot_be_used_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    ran = run(app, "audit", "verify", "--database", f"sqlite:///{tmp_path / 'absent' / 'audit.db'}")
    assert (ran.code, len(ran.err.splitlines())) == (ExitCode.ERROR, 1)
    assert ran.err.startswith("Error: the audit's database cannot be used: unable to open database file")


class Receiver:
    """Takes events, or refuses them."""

    def __init__(self) -> None:
        self.status = 204
        self.taken: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("content-length", "3")
                self.end_headers()
                self.wfile.write(b"no\n")

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def receiver() -> Any:
    """Listen where a dead letter was to go."""
    made = Receiver()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def letters(audit: Run, tmp_path: Path, receiver: Receiver) -> Run:
    """Run commands on a database with two dead letters."""
    attributes = {
        "specversion": "1.0",
        "id": "a",
        "source": "/s",
        "type": "com.example.image.published",
        "subject": "default/öne",
        "datacontenttype": "application/json",
        "knativeerrordest": receiver.url,
        "knativeerrorcode": "503",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    }
    first = NewDeadLetter(
        event_id="a",
        destination=receiver.url,
        type=attributes["type"],
        subject="default/öne",
        attributes=attributes,
        body=b'{"a": 1}',
        why="answer 503",
        time=NOW,
    )
    second = NewDeadLetter(
        event_id="b", destination="", type="t", subject="", attributes={"id": "b"}, body=b"\xff", why="", time=NOW
    )

    async def keep(store: AuditStore) -> None:
        await store.keep_dead_letter(first)
        await store.keep_dead_letter(second)

    fill(tmp_path, keep)
    return audit


def test_letters_are_listed(letters: Run, receiver: Receiver) -> None:
    head, *rows = letters("dead-letters", "list").out.splitlines()
    assert head.split() == ["ID", "LAST", "COUNT", "STATE", "TYPE", "SUBJECT", "DESTINATION", "WHY"]
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert "image.published" in rows[1]
    assert receiver.url in rows[1]
    (item,) = json.loads(letters("dead-letters", "list", "--limit", "1", "-o", "json").out)["items"]
    assert (item["id"], item["last"], item["state"]) == (2, "2026-03-01T12:00:00Z", "open")
    assert letters("dead-letters", "list", "-o", "name").out == "2\n1\n"
    assert letters("dead-letters", "list", "--state", "dropped").err == "no dead letters are dropped\n"


def test_a_letter_is_shown_whole(letters: Run) -> None:
    shown = json.loads(letters("dead-letters", "show", "1", "-o", "json").out)
    assert shown["attributes"]["knativeerrorcode"] == "503"
    assert (shown["data"], shown["why"]) == ('{"a": 1}', "answer 503")
    assert "dataBase64: /w==" in letters("dead-letters", "show", "2").out


def test_an_event_is_sent_again_as_it_was_first(letters: Run, receiver: Receiver) -> None:
    ran = letters("dead-letters", "replay", "1")
    assert (ran.code, ran.out) == (0, f"dead letter 1 was taken by {receiver.url}\n")
    ((headers, body),) = receiver.taken
    event = parse_event(headers, body)
    assert (event.attributes["id"], event.attributes["subject"], event.json()) == ("a", "default/öne", {"a": 1})
    assert headers["traceparent"] == f"00-{'a' * 32}-{'b' * 16}-01"
    assert not [name for name in headers if "knative" in name]
    assert letters("dead-letters", "list", "--state", "replayed", "-o", "name").out == "1\n"


def test_a_function_of_the_local_stack_is_found_where_it_listens(
    letters: Run, receiver: Receiver, tmp_path: Path
) -> None:
    named = forged_letter("http://verify.image-catalog.svc.cluster.local/")
    fill(tmp_path, lambda store: store.keep_dead_letter(named))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "services.json").write_text(json.dumps({"verify": receiver.url.rstrip("/")}))
    assert letters("dead-letters", "replay", "3").out == f"dead letter 3 was taken by {receiver.url}\n"
    assert [body for _, body in receiver.taken] == [b"{}"]


def test_an_event_that_is_not_taken_stays_open(letters: Run, receiver: Receiver) -> None:
    receiver.status = 503
    ran = letters("dead-letters", "replay", "1")
    assert (ran.code, ran.err) == (
        ExitCode.ERROR,
        f"Error: dead letter 1 was not taken: {receiver.url} answered 503, no\n",
    )
    assert letters("dead-letters", "list", "-o", "name").out == "2\n1\n"


def test_a_letter_without_a_destination_is_sent_where_it_is_told(letters: Run, receiver: Receiver) -> None:
    ran = letters("dead-letters", "replay", "2")
    assert ran.err.splitlines() == [
        "Error: dead letter 2 has no destination that can be called",
        "Hint: name one with --to URL",
    ]
    assert letters("dead-letters", "replay", "2", "--to", receiver.url).code == 0
    assert receiver.taken[0][1] == b"\xff"


def forged_letter(destination: str) -> NewDeadLetter:
    return NewDeadLetter(
        event_id="c",
        destination=destination,
        type="t",
        subject="",
        attributes={"id": "c"},
        body=b"{}",
        why="",
        time=NOW,
    )


@pytest.mark.parametrize(
    "destination",
    [
        "http://internal.example.com/",
        "http://169.254.169.254/latest",
        "http://verify.image-catalog.svc.evil.test/",
        "http://verify.image-catalog.svc@evil.test/",
    ],
    ids=["elsewhere", "metadata", "begins like a function's", "has a function's for a user"],
)
def test_a_letter_that_a_stranger_made_up_goes_nowhere_by_an_operators_hand(
    letters: Run, tmp_path: Path, destination: str
) -> None:
    fill(tmp_path, lambda store: store.keep_dead_letter(forged_letter(destination)))
    ran = letters("dead-letters", "replay", "3")
    assert (ran.code, ran.err.splitlines()[0]) == (
        ExitCode.ERROR,
        f"Error: dead letter 3 says that it was to go to {destination}, which is no function's address",
    )


def test_a_clusters_letter_does_not_go_to_the_operators_own_machine(
    run: Run, receiver: Receiver, postgres: Postgres
) -> None:
    with postgres.database() as url:

        async def keep() -> None:
            store = AuditStore.open(url)
            await store.keep_dead_letter(forged_letter(receiver.url))
            await store.aclose()

        asyncio.run(keep())
        ran = run(app, "dead-letters", "replay", "1", "--database", url)
    assert (ran.code, receiver.taken) == (ExitCode.ERROR, [])
    assert "no function's address" in ran.err


def test_a_destination_that_does_not_answer_is_named(letters: Run, receiver: Receiver) -> None:
    receiver.server.socket.close()
    ran = letters("dead-letters", "replay", "1", "--to", "http://127.0.0.1:1/")
    assert ran.code == ExitCode.ERROR
    assert "http://127.0.0.1:1/ did not answer (ConnectError)" in ran.err


def test_a_letter_is_dropped_by_whoever_says_so(letters: Run) -> None:
    assert letters("dead-letters", "drop", "1", "2").out == "dead letter 1 dropped\ndead letter 2 dropped\n"
    assert letters("dead-letters", "list", "--state", "all", "-o", "name").out == "2\n1\n"
    assert letters("dead-letters", "list").err == "no dead letters are open\n"


@pytest.mark.parametrize("command", ["show", "replay", "drop"])
def test_a_letter_that_is_not_there_is_told(letters: Run, command: str) -> None:
    ran = letters("dead-letters", command, "9")
    assert (ran.code, ran.err.splitlines()[0]) == (ExitCode.NOT_FOUND, "Error: there is no dead letter 9")
