"""Which files are downloaded, several at once, and what is said of them."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.testing.catalog_api import ScriptedAnswer, ScriptedCatalog, ScriptedRequest
from image_catalog.testing.file_server import FileAnswer, FileServer

Listed = Callable[..., dict[str, Any]]


class TestChoice:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ((), ["boot.img", "system_a.img", "system_b.img"]),
            (("--artifact", "boot.img"), ["boot.img"]),
            (("--artifact", "system_*"), ["system_a.img", "system_b.img"]),
            (("--artifact", "boot.img", "--artifact", "*_b.*"), ["boot.img", "system_b.img"]),
            (("--artifact", "*", "--jobs", 1), ["boot.img", "system_a.img", "system_b.img"]),
        ],
        ids=["all", "a name", "a pattern", "both", "one after the other"],
    )
    def test_files_are_chosen_by_name_or_pattern(
        self, download: Any, listed: Listed, offer: Any, options: tuple[Any, ...], expected: list[str]
    ) -> None:
        offer(*(listed(name, name.encode()) for name in ("boot.img", "system_a.img", "system_b.img")))
        assert download(*options).code == 0
        assert download.left() == expected

    def test_a_name_that_none_has_is_told_with_those_that_there_are(
        self, download: Any, listed: Listed, offer: Any
    ) -> None:
        offer(listed("boot.img", b"boot"), listed("disk.raw", b"disk"))
        ran = download("--artifact", "system.img")
        assert ran.code == 4
        assert ran.err == 'Error: no artifact is called "system.img"\nHint: there are: boot.img, disk.raw\n'

    def test_a_name_is_a_name_before_it_is_a_pattern(self, download: Any, listed: Listed, offer: Any) -> None:
        offer(listed("disk[1].raw", b"one"), listed("disk1.raw", b"two"))
        assert download("--artifact", "disk[1].raw").code == 0
        assert download.left() == ["disk[1].raw"]

    def test_files_of_one_name_are_told_apart_by_their_digests(self, download: Any, listed: Listed, offer: Any) -> None:
        one, two = listed("boot.img", b"one"), listed("boot.img.2", b"two")
        offer(one, {**two, "name": "Boot.img"})
        assert download().code == 0
        assert [re.sub(r"[0-9a-f]{12}", "…", name) for name in download.left()] == ["Boot-….img", "boot-….img"]

    def test_a_file_without_a_name_is_called_by_its_digest(self, download: Any, listed: Listed, offer: Any) -> None:
        item = listed("whatever", b"content")
        del item["name"]
        offer(item)
        assert download().code == 0
        assert download.left() == [f"artifact-{item['digest'].removeprefix('sha256:')[:12]}"]

    def test_two_that_would_be_one_file_are_refused(self, download: Any, listed: Listed, offer: Any) -> None:
        offer(listed("disk.raw", b"disk"), listed("disk.raw.gz", b"packed"))
        assert download().code == 0
        ran = download("--decompress")
        assert (ran.code, "two artifacts would both become" in ran.err) == (1, True)

    def test_a_name_that_leads_elsewhere_ends_it_before_anything_is_written(
        self, download: Any, listed: Listed, offer: Any, files: FileServer
    ) -> None:
        offer(listed("boot.img", b"boot"), {**listed("evil", b"evil"), "name": "../evil"})
        ran = download()
        assert ran.code == 1
        assert "'../evil' has a name that no file is given here" in ran.err
        assert not files.requests
        assert not download.folder.exists()

    def test_folders_of_a_bucket_are_kept(self, download: Any, listed: Listed, offer: Any) -> None:
        offer(listed("boot/boot.img", b"boot"))
        assert download().code == 0
        assert download.left() == ["boot/boot.img"]


class TestNothingToDownload:
    def test_an_entry_without_artifacts_says_what_to_do(self, download: Any, offer: Any) -> None:
        offer()
        ran = download()
        assert ran.code == 4
        assert ran.err == (
            'Error: catalog image "autosd" has no artifacts: it is a container image alone\n'
            "Hint: pull it with: podman pull quay.io/acme/autosd:cs9; "
            "or have its build export a disk image, and publish it again\n"
        )

    def test_what_to_pull_is_named_by_digest_alone(self, download: Any, offer: Any) -> None:
        # Tools of containers/image refuse a tag beside a digest.
        offer(metadata={"registryUrl": "host:5000/acme/autosd:cs9", "digest": "sha256:ab"})
        assert "podman pull host:5000/acme/autosd@sha256:ab;" in download().err

    def test_nobody_is_told_to_pull_what_is_recalled(self, download: Any, offer: Any) -> None:
        offer(metadata={"registryUrl": "quay.io/acme/autosd:cs9", "recall": {"reason": "bricks boards"}})
        ran = download()
        assert (ran.code, ran.err.splitlines()[0]) == (1, 'Error: catalog image "autosd" is recalled: bricks boards')
        assert "podman" not in ran.err

    def test_a_store_that_cannot_be_opened_says_why(self, download: Any, listed: Listed, offer: Any) -> None:
        trouble = {"reason": "SecretNotFound", "message": 'Secret "s3-keys" not found'}
        offer(unavailable=trouble)
        ran = download()
        said = 'cannot be downloaded: SecretNotFound: Secret "s3-keys" not found'
        assert (ran.code, said in ran.err) == (1, True)
        item = listed("disk.raw", b"disk")
        del item["downloadUrl"]
        offer(item, unavailable=trouble)
        ran = download()
        assert (ran.code, f"disk.raw {said}" in ran.err) == (1, True)

    def test_an_entry_that_is_not_there(self, download: Any) -> None:
        assert download().code == 4

    def test_what_changed_since_it_was_listed_is_not_taken_for_it(
        self, download: Any, listed: Listed, offer: Any, catalog: ScriptedCatalog
    ) -> None:
        offer(listed("disk.raw", b"disk"))
        first = catalog.answers["GET", "/images/autosd/artifacts"]
        offer(listed("disk.raw", b"another"))
        second = catalog.answers["GET", "/images/autosd/artifacts"]
        answers = iter([first, second])

        def changed(request: ScriptedRequest) -> ScriptedAnswer:
            answer = next(answers)
            assert callable(answer)
            return answer(request)

        catalog.answers["GET", "/images/autosd/artifacts"] = changed
        ran = download()
        assert (ran.code, "has changed since the download began" in ran.err) == (1, True)

    def test_a_folder_that_is_a_file(self, caib: Any, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        ran = caib("catalog", "download", "autosd", "-o", tmp_path / "file")
        assert (ran.code, "is no directory" in ran.err) == (2, True)

    def test_a_dry_run_writes_nothing(self, download: Any, listed: Listed, offer: Any, files: FileServer) -> None:
        offer(listed("disk.raw", b"disk"))
        ran = download("--dry-run")
        assert json.loads(ran.out)["items"][0]["path"] == str(download.folder / "disk.raw")
        assert not files.requests
        assert not download.folder.exists()


class TestRecalls:
    def test_what_is_recalled_is_refused_unless_it_is_asked_for(
        self, download: Any, listed: Listed, offer: Any
    ) -> None:
        offer(listed("disk.raw", b"disk", recall={"reason": "bricks boards"}))
        ran = download()
        assert ran.code == 1
        assert ran.err.startswith('Error: catalog image "autosd" is recalled: bricks boards\n')
        ran = download("--allow-recalled")
        assert ran.code == 0
        assert ran.err == 'Warning: catalog image "autosd" is recalled: bricks boards\n'


class TestSeveral:
    def test_one_that_fails_keeps_none_of_the_others_away(
        self, download: Any, listed: Listed, offer: Any, files: FileServer
    ) -> None:
        items = [listed(f"{number}.raw", os.urandom(1000)) for number in range(5)]
        del files.files["/1.raw"], files.files["/3.raw"]
        offer(*items)
        ran = download("--output", "json")
        assert ran.code == 1
        assert download.left() == ["0.raw", "2.raw", "4.raw"]
        assert [item["status"] for item in json.loads(ran.out)["items"]] == [
            "downloaded", "failed", "downloaded", "failed", "downloaded"
        ]  # fmt: skip
        assert ran.err.splitlines()[:3] == [
            "✗ 1.raw: the server answered 404: the file is gone",
            "✗ 3.raw: the server answered 404: the file is gone",
            "Error: 2 of 5 files were not downloaded",
        ]

    def test_as_many_are_under_way_as_is_said(
        self, download: Any, listed: Listed, offer: Any, files: FileServer
    ) -> None:
        gate = threading.Event()
        offer(*(listed(f"{number}.raw", b"content") for number in range(4)))
        files.script = [FileAnswer(cut_after=3, wait=gate) for _ in range(4)]
        thread = threading.Thread(target=download, args=("--jobs", "2"))
        thread.start()
        while len(files.requests) < 2:
            thread.join(timeout=0.01)
        assert len(files.requests) == 2
        gate.set()
        thread.join()
        assert len(download.left()) == 4


def test_ctrl_c_leaves_what_has_come_and_the_next_run_goes_on(
    download: Any, listed: Listed, offer: Any, files: FileServer, catalog: ScriptedCatalog
) -> None:
    content, gate = os.urandom(400_000), threading.Event()
    offer(listed("disk.raw", content))
    files.script = [FileAnswer(cut_after=300_000, wait=gate)]
    process = subprocess.Popen(
        [Path(sys.executable).with_name("caib"), "catalog", "download", "autosd", "-o", download.folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CAIB_SERVER": catalog.url},
    )
    part = download.folder / "disk.raw.part"
    while not (part.exists() and part.stat().st_size == 300_000):
        assert process.poll() is None
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    gate.set()
    assert (process.returncode, out) == (130, "")
    assert err == "Error: interrupted\nHint: what has come is kept; the same command goes on from there\n"
    assert part.stat().st_size == 300_000
    files.requests.clear()
    assert download().code == 0
    assert [request.start for request in files.requests] == [300_000]
    assert (download.folder / "disk.raw").read_bytes() == content


def test_a_terminal_sees_a_bar_of_each_file(
    download: Any, listed: Listed, offer: Any, files: FileServer, catalog: ScriptedCatalog
) -> None:
    content, gate = os.urandom(600_000), threading.Event()
    offer(listed("disk.raw.gz", gzip.compress(content)))
    files.script = [FileAnswer(cut_after=300_000, wait=gate)]
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [
            *(Path(sys.executable).with_name("caib"), "catalog", "download", "autosd", "-o", download.folder),
            "--decompress",
        ],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "CAIB_SERVER": catalog.url, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(terminal)
    seen = b""
    while b"300.0/" not in seen:
        seen += os.read(master, 4096)
    gate.set()
    out, _ = process.communicate(timeout=20)
    os.close(master)
    assert process.returncode == 0
    assert b"disk.raw.gz" in seen
    assert b"\x1b[" in seen, "the bar is drawn anew in its place"
    assert out.decode().startswith("✓ ")
    assert "\x1b" not in out.decode(), "nothing of it goes into a pipe"
