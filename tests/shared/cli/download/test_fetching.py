"""One file: resumed, checked, refused."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.cli.tree import run
from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, ScriptedRequest, problem
from image_catalog.testing.file_server import FileAnswer, FileServer

CONTENT = os.urandom(3 * 1024 * 1024 + 17)
NAME = "disk.raw"

Listed = Callable[..., dict[str, Any]]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.fixture
def item(listed: Listed, offer: Any) -> dict[str, Any]:
    found = listed(NAME, CONTENT)
    offer(found)
    return found


class TestWhole:
    def test_a_file_is_there_under_its_name_and_said_to_be_checked(
        self, download: Any, item: dict[str, Any], folder: Path, files: FileServer, catalog: ScriptedCatalog
    ) -> None:
        ran = download()
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == f"✓ {folder / NAME} (3.1 MB, checksum OK)\n"
        assert (folder / NAME).read_bytes() == CONTENT
        assert list(folder.iterdir()) == [folder / NAME]
        asked = [request.parameters for request in catalog.requests]
        assert asked[0] == {"namespace": "default"}
        assert asked[1] == {"namespace": "default", "artifact": NAME, "download": "true"}
        (request,) = files.requests
        assert (request.path, request.headers["accept-encoding"]) == (f"/{NAME}?signed=1", "identity")
        assert "authorization" not in request.headers, "the catalog's own token is shown to the catalog alone"
        assert item["checksum"] not in ran.err

    def test_scripts_are_told_what_was_written(self, download: Any, item: dict[str, Any], folder: Path) -> None:
        ran = download("--output", "json")
        assert json.loads(ran.out)["items"] == [
            {
                "name": NAME,
                "artifact": NAME,
                "path": str(folder / NAME),
                "status": "downloaded",
                "sizeBytes": len(CONTENT),
                "checksum": item["checksum"],
                "verified": True,
            }
        ]
        assert download("--output", "name").out == f"{folder / NAME}\n"

    @pytest.mark.usefixtures("item")
    def test_o_json_is_the_format_and_no_folder(
        self, caib: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ran = caib("catalog", "download", "autosd", "-o", "json")
        assert json.loads(ran.out)["items"][0]["path"] == NAME
        assert (tmp_path / NAME).read_bytes() == CONTENT
        assert caib("catalog", "download", "autosd", "-o", "json", "--output", "yaml").code == 2

    @pytest.mark.usefixtures("item")
    def test_what_is_there_already_is_not_fetched_again(self, download: Any, folder: Path, files: FileServer) -> None:
        download()
        ran = download()
        assert (ran.code, len(files.requests)) == (0, 1)
        assert "was there already" in ran.out
        (folder / NAME).write_bytes(flipped(CONTENT))
        assert download().code == 0
        assert (folder / NAME).read_bytes() == CONTENT

    def test_a_file_without_checksum_and_size_is_taken_as_it_comes(
        self, download: Any, offer: Any, folder: Path, files: FileServer
    ) -> None:
        files.put("/served", CONTENT)
        offer(
            {"type": "http", "name": "served.raw", "url": f"{files.url}/served", "downloadUrl": f"{files.url}/served"}
        )
        files.script = [FileAnswer(chunked=True)]
        ran = download()
        assert ran.out == f"✓ {folder / 'served.raw'} (3.1 MB, no checksum to check it with)\n"
        assert (folder / "served.raw").read_bytes() == CONTENT

    def test_an_empty_file_is_one(self, download: Any, listed: Listed, offer: Any, folder: Path) -> None:
        offer(listed("empty", b""))
        assert download().code == 0
        assert (folder / "empty").read_bytes() == b""


@pytest.mark.usefixtures("item")
class TestCuts:
    def test_ten_cuts_are_survived_and_no_byte_is_fetched_twice(
        self, download: Any, folder: Path, files: FileServer
    ) -> None:
        step = len(CONTENT) // 11
        files.script = [FileAnswer(cut_after=step) for _ in range(10)]
        ran = download()
        assert (ran.code, ran.err) == (0, "")
        assert (folder / NAME).read_bytes() == CONTENT
        assert [request.start for request in files.requests] == [step * number for number in range(11)]
        assert len({request.headers["if-range"] for request in files.requests[1:]}) == 1

    def test_a_later_run_goes_on_where_an_earlier_one_ended(self, download: Any, files: FileServer) -> None:
        files.script = [FileAnswer(cut_after=1000), *(FileAnswer(status=503) for _ in range(2))]
        ran = download("--retries", 1)
        assert ran.code == 1
        assert ran.err.splitlines() == [
            f"Error: {NAME}: the server answered 503, 2 times in a row",
            "Hint: 1000 bytes are kept; the same command goes on from there",
        ]
        assert download.left() == [f".{NAME}.part.json", f"{NAME}.part"]
        files.requests.clear()
        assert download().code == 0
        assert [request.start for request in files.requests] == [1000]
        assert download.left() == [NAME]

    def test_the_beginning_of_something_else_is_thrown_away(
        self, download: Any, listed: Listed, offer: Any, folder: Path, files: FileServer
    ) -> None:
        files.script = [FileAnswer(cut_after=1000), FileAnswer(status=404)]
        assert download().code == 1
        other = os.urandom(5000)
        offer(listed(NAME, other))
        files.requests.clear()
        assert download().code == 0
        assert [request.start for request in files.requests] == [0]
        assert (folder / NAME).read_bytes() == other

    def test_a_source_that_changed_meanwhile_begins_anew(
        self, download: Any, offer: Any, folder: Path, files: FileServer
    ) -> None:
        url = f"{files.url}/served"
        files.put("/served", CONTENT)
        offer({"type": "http", "name": NAME, "url": url, "downloadUrl": url})
        files.script = [FileAnswer(cut_after=1000), FileAnswer(status=404)]
        assert download().code == 1
        files.put("/served", b"another one")
        assert download().code == 0
        assert (folder / NAME).read_bytes() == b"another one"
        assert files.requests[-1].start == 1000, "the server is asked whether it is still the same"

    def test_an_earlier_beginning_that_was_damaged_costs_one_more_run_at_it(
        self, download: Any, folder: Path, files: FileServer
    ) -> None:
        files.script = [FileAnswer(cut_after=1000), FileAnswer(status=404)]
        download()
        (folder / f"{NAME}.part").write_bytes(b"x" * 1000)
        files.requests.clear()
        assert download().code == 0
        assert [request.start for request in files.requests] == [1000, 0]
        assert (folder / NAME).read_bytes() == CONTENT

    @pytest.mark.parametrize(
        "answer",
        [
            FileAnswer(ignore_range=True),
            FileAnswer(headers={"Content-Range": "bytes 7-9/10"}),
            FileAnswer(headers={"Content-Range": "nonsense"}),
            FileAnswer(status=416),
            FileAnswer(status=429, headers={"Retry-After": "0"}),
            FileAnswer(status=500),
        ],
        ids=["no ranges", "another range", "no range", "unsatisfiable", "slow down", "broken"],
    )
    def test_servers_that_resume_oddly(
        self, download: Any, folder: Path, files: FileServer, answer: FileAnswer
    ) -> None:
        files.script = [FileAnswer(cut_after=100_000), answer]
        assert download().code == 0
        assert (folder / NAME).read_bytes() == CONTENT

    def test_a_url_that_has_expired_is_asked_for_again(
        self, download: Any, files: FileServer, catalog: ScriptedCatalog
    ) -> None:
        files.script = [FileAnswer(cut_after=100_000), FileAnswer(status=403)]
        assert download().code == 0
        assert [request.parameters.get("download") for request in catalog.requests] == [None, "true", "true"]
        assert [request.start for request in files.requests] == [0, 100_000, 100_000]

    def test_a_catalog_that_restarts_is_asked_again(self, download: Any, catalog: ScriptedCatalog) -> None:
        key = "GET", "/images/autosd/artifacts"
        usual = catalog.answers[key]
        assert callable(usual)
        answers = [usual, lambda _: problem(503, "FunctionUnavailable", "in a moment"), usual]

        def answer(request: ScriptedRequest) -> ScriptedAnswer:
            return answers.pop(0)(request)

        catalog.answers[key] = answer
        assert download().code == 0
        assert not answers

    def test_two_that_want_the_same_file_do_not_spoil_it(self, download: Any, folder: Path, files: FileServer) -> None:
        gate = threading.Event()
        files.script = [FileAnswer(cut_after=1000, wait=gate)]
        first = threading.Thread(target=_run, args=(folder,))
        first.start()
        while not files.requests:
            first.join(timeout=0.01)
        ran = download()
        gate.set()
        first.join()
        assert ran.code == 1
        assert "is being written by somebody else" in ran.err
        assert (folder / NAME).read_bytes() == CONTENT

    @pytest.mark.parametrize("options", [(), ("--decompress",)], ids=["plain", "unpacked"])
    def test_a_link_where_a_note_goes_is_not_followed(
        self, download: Any, listed: Listed, offer: Any, options: tuple[str, ...]
    ) -> None:
        folder: Path = download.folder
        folder.mkdir()
        precious = folder.parent / "precious"
        precious.write_text("mine")
        packed = gzip.compress(CONTENT)
        offer(listed("disk.raw.gz", packed))
        for note in (".disk.raw.gz.part.json", ".disk.raw.caib.json"):
            (folder / note).symlink_to(precious)
        assert download(*options).code == 0
        assert precious.read_text() == "mine"

    def test_the_longest_name_has_room_for_its_notes(
        self, download: Any, listed: Listed, offer: Any, folder: Path
    ) -> None:
        name = "a" * 244
        offer(listed(name, CONTENT))
        assert download().code == 0
        assert (folder / name).read_bytes() == CONTENT


def _run(folder: Path) -> None:
    run(["catalog", "download", "autosd", "-o", str(folder)])


def test_a_proxy_is_told_the_whole_address(
    download: Any, offer: Any, files: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://files.example.com/disk.raw"
    digest = files.put(url, CONTENT)
    offer({"type": "http", "name": NAME, "url": url, "digest": digest})
    monkeypatch.setenv("HTTP_PROXY", files.url.replace("://", "://user:word@"))
    monkeypatch.setenv("http_proxy", files.url.replace("://", "://user:word@"))
    assert download().code == 0
    (request,) = files.requests
    assert (request.path, request.headers["host"]) == (url, "files.example.com")
    assert request.headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.usefixtures("item")
class TestRefused:
    def test_a_flipped_byte_leaves_no_file(self, download: Any, item: dict[str, Any], files: FileServer) -> None:
        files.script = [FileAnswer(change=flipped)]
        ran = download()
        assert ran.code == 1
        assert download.left() == []
        assert ran.err.startswith(f"Error: {NAME}: the checksum is wrong: expected {item['checksum']}, got sha256:")
        assert len(files.requests) == 1

    def test_a_flipped_byte_before_a_cut_is_found_too(self, download: Any, files: FileServer) -> None:
        files.script = [FileAnswer(change=lambda content: flipped(content[:1000]) + content[1000:], cut_after=2000)]
        assert download().code == 1
        assert download.left() == []

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (FileAnswer(headers={"Content-Length": "5"}), "the server has 5 bytes, and the catalog says 3145745"),
            (
                FileAnswer(change=lambda content: content + bytes(300_000), chunked=True),
                "more comes than the 3145745 bytes",
            ),
            (FileAnswer(status=404), "the server answered 404: the file is gone"),
            (FileAnswer(status=418), "the server answered 418"),
            (FileAnswer(headers={"Content-Length": "9" * 5000}), None),
            (FileAnswer(status=302, headers={"Location": "ftp://127.0.0.1/"}), "is no http or https URL"),
            (FileAnswer(status=302, headers={"Location": "//user@127.0.0.1/"}), "is no http or https URL"),
            (FileAnswer(status=302, headers={"Location": "/disk.raw"}), None),
        ],
        ids=[
            "another size",
            "too much",
            "gone",
            "teapot",
            "a length without end",
            "away from http",
            "a user in the URL",
            "a redirect",
        ],
    )
    def test_what_is_not_the_file(self, download: Any, files: FileServer, answer: FileAnswer, said: str | None) -> None:
        files.script = [answer]
        ran = download()
        assert ran.code == (0 if said is None else 1)
        assert (said or "") in ran.err
        assert (NAME in download.left()) == (said is None)

    def test_redirects_end(self, download: Any, files: FileServer) -> None:
        files.script = [FileAnswer(status=307, headers={"Location": f"/{NAME}"}) for _ in range(10)]
        ran = download()
        assert (ran.code, "redirects again and again" in ran.err) == (1, True)

    def test_access_that_is_denied_twice_is(self, download: Any, files: FileServer) -> None:
        files.script = [FileAnswer(status=403), FileAnswer(status=403)]
        ran = download()
        assert (ran.code, "the server answered 403: it does not give the file" in ran.err) == (1, True)

    def test_a_store_that_nobody_serves(self, download: Any, listed: Listed, offer: Any) -> None:
        offer(listed(NAME, CONTENT, downloadUrl="http://127.0.0.1:1/disk.raw"))
        ran = download("--retries", 1)
        assert ran.code == 1
        assert "127.0.0.1 cannot be reached: connection refused, 2 times in a row" in ran.err

    def test_what_does_not_fit_is_not_begun(
        self, download: Any, listed: Listed, offer: Any, folder: Path, files: FileServer
    ) -> None:
        offer(listed(NAME, b"small", sizeBytes=2**60))
        ran = download()
        assert ran.code == 1
        assert ran.err.startswith("Error: 1152921.5 TB are needed in ")
        assert not files.requests
        assert not folder.exists()
