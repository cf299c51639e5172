"""Several files at once, each by a thread of its own; Ctrl-C ends them all and leaves what there is."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from image_catalog.cli.download.fetching import SPARE, Fetched, Patience, fetch, is_there
from image_catalog.cli.download.names import PART
from image_catalog.cli.download.part import PartFile, digest_of_file, write_note
from image_catalog.cli.download.sources import Source
from image_catalog.cli.download.unpacking import unpack
from image_catalog.cli.download.wanted import WantedFile
from image_catalog.cli.errors import CommandError
from image_catalog.cli.output import size_text

__all__ = ["Downloader", "Outcome", "Watcher", "refuse_full_disk"]

_PARTING: Final = timedelta(seconds=2)
"""How long files under way are given to come to an end after Ctrl-C; then their connections end with the process."""


class Watcher:
    """Told how far each file is; shows nothing."""

    def begin(self, file: WantedFile, what: str) -> None:
        """Tell that something is done with a file: ``download``, ``unpack`` or ``check``."""

    def progress(self, file: WantedFile, done: int, total: int | None) -> None:
        """Tell how many bytes are done, and of how many, where that is known."""

    def end(self, outcome: Outcome) -> None:
        """Tell what became of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a file.

    Attributes
    ----------
    file
        The file.
    path
        Where it is.
    size
        Its bytes, as downloaded.
    digest
        Its digest, as downloaded.
    verified
        Whether that is what the catalog says.
    was_there
        Whether it was there already.
    unpacked_size, unpacked_digest
        Those of the unpacked file.
    error
        Why there is none.
    """

    file: WantedFile
    path: Path
    size: int = 0
    digest: str | None = None
    verified: bool = False
    was_there: bool = False
    unpacked_size: int | None = None
    unpacked_digest: str | None = None
    error: CommandError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as scripts read it."""
        told: dict[str, Any] = {
            "name": self.file.name,
            "artifact": self.file.artifact,
            "path": str(self.path),
            "status": "failed" if self.error else "present" if self.was_there else "downloaded",
        }
        if self.error is not None:
            return told | {"message": self.error.message}
        told |= {"sizeBytes": self.size, "checksum": self.digest, "verified": self.verified}
        if self.unpacked_size is not None:
            told |= {"unpackedSizeBytes": self.unpacked_size, "unpackedChecksum": self.unpacked_digest}
        return {key: value for key, value in told.items() if value is not None}


@dataclass(kw_only=True)
class Downloader:
    """Downloads files.

    Parameters
    ----------
    source
        Makes what a file's bytes come from.
    watcher
        Told how far each is.
    decompress
        Whether packed files are unpacked.
    jobs
        How many at once.
    patience
        How often a transfer that broke is gone on with.
    """

    source: Callable[[WantedFile], Source]
    watcher: Watcher
    decompress: bool = False
    jobs: int = 3
    patience: Patience = field(default_factory=Patience)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, files: Sequence[WantedFile]) -> list[Outcome]:
        """Download every file, and return what became of each, in their order.

        Raises
        ------
        KeyboardInterrupt
            Raised on Ctrl-C, after what is under way has been let go.
        """
        waiting: SimpleQueue[tuple[int, WantedFile]] = SimpleQueue()
        for numbered in enumerate(files):
            waiting.put(numbered)
        outcomes: dict[int, Outcome] = {}
        unforeseen: list[Exception] = []

        def work() -> None:
            try:
                while not self._stop.is_set():
                    number, file = waiting.get_nowait()
                    outcomes[number] = self._download(file)
                    self.watcher.end(outcomes[number])
            except Empty:
                pass
            except Exception as e:  # noqa: BLE001 - raised where somebody sees it
                unforeseen.append(e)
                self._stop.set()

        self._wait_for([threading.Thread(target=work, daemon=True) for _ in range(min(self.jobs, len(files)))])
        if unforeseen:
            raise unforeseen[0]
        return [outcomes[number] for number in sorted(outcomes)]

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            # A thread in the middle of a read ends with the process: what it has written is good to go on with.
            self._stop.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(_PARTING.total_seconds() / len(threads))
            raise

    def _download(self, file: WantedFile) -> Outcome:
        try:
            return self._unpacked(file) if self.decompress and file.packed else self._plain(file)
        except CommandError as e:
            return Outcome(file=file, path=file.path, error=e)
        except OSError as e:
            said = e.strerror or type(e).__name__
            return Outcome(file=file, path=file.path, error=CommandError(f"{file.name}: {said.lower()}"))

    def _plain(self, file: WantedFile) -> Outcome:
        self.watcher.begin(file, "check")
        there = is_there(file)
        if there is not None:
            return _outcome(file, file.path, there, was_there=True)
        with PartFile(file.path, digest=file.digest) as part:
            fetched = self._fetch(file, part)
            part.finish(file.path)
        return _outcome(file, file.path, fetched)

    def _unpacked(self, file: WantedFile) -> Outcome:
        """Keep the unpacked file alone, and a note of what it was made of, by which a second run knows it."""
        target = file.unpacked_path
        self.watcher.begin(file, "check")
        known = _known(file, target)
        if known is not None:
            return known
        with PartFile(file.path, digest=file.digest) as part:
            fetched = self._fetch(file, part)
            self.watcher.begin(file, "unpack")
            made = unpack(
                part.path,
                file.packed or "",
                target,
                expected=file.unpacked_size,
                stop=self._stop,
                progress=lambda done, total: self.watcher.progress(file, done, total),
            )
            part.discard()
        outcome = _outcome(file, target, fetched, unpacked=(made.size, made.digest))
        write_note(_note_of(target), outcome.to_dict())
        return outcome

    def _fetch(self, file: WantedFile, part: PartFile) -> Fetched:
        self.watcher.begin(file, "download")
        return fetch(
            file,
            part,
            self.source(file),
            stop=self._stop,
            progress=lambda done, total: self.watcher.progress(file, done, total),
            patience=self.patience,
        )


def refuse_full_disk(files: Sequence[WantedFile], directory: Path, *, decompress: bool) -> None:
    """Refuse what will not fit, before a byte of it is fetched.

    Parameters
    ----------
    files
        What is to be downloaded.
    directory
        Where to.
    decompress
        Whether packed files are unpacked, for which both must fit.

    Raises
    ------
    CommandError
        Raised with what is needed and what is free.
    """
    needed = 0
    for file in files:
        unpacked = (file.unpacked_size or 0) if decompress and file.packed else 0
        there = file.path.with_name(file.path.name + PART)
        needed += max((file.size or 0) - (there.stat().st_size if there.is_file() else 0), 0) + unpacked
    place = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed + SPARE > free:
        raise CommandError(
            f"{size_text(needed)} are needed in {directory}, and {size_text(free)} are free",
            hint="make room, choose another directory with -o, or single files with --artifact",
        )


def _outcome(
    file: WantedFile,
    path: Path,
    fetched: Fetched,
    *,
    was_there: bool = False,
    unpacked: tuple[int, str] | None = None,
) -> Outcome:
    return Outcome(
        file=file,
        path=path,
        size=fetched.size,
        digest=fetched.digest,
        verified=fetched.verified,
        was_there=was_there,
        unpacked_size=unpacked[0] if unpacked else None,
        unpacked_digest=unpacked[1] if unpacked else None,
    )


def _note_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.caib.json")


def _known(file: WantedFile, target: Path) -> Outcome | None:
    """Return what stands in the unpacked file's place if it was made of the very file, and nobody has changed it."""
    if file.digest is None or not target.is_file():
        return None
    try:
        note: Mapping[str, Any] = json.loads(_note_of(target).read_text())
        same = note["checksum"] == file.digest and note["unpackedSizeBytes"] == target.stat().st_size
        if not same or digest_of_file(target, "sha256") != note["unpackedChecksum"]:
            return None
        size = int(note["sizeBytes"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    whole = Fetched(size, file.digest, verified=True)
    return _outcome(file, target, whole, was_there=True, unpacked=(target.stat().st_size, note["unpackedChecksum"]))
