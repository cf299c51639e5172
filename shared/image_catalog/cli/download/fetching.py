"""One file, from its first byte to its last: gone on with after cuts, and refused when it is not what it must be."""

from __future__ import annotations

import random
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from image_catalog.cli.download.part import PartFile, digest_of_file
from image_catalog.cli.download.sources import Source
from image_catalog.cli.download.streams import Stream, TransferError
from image_catalog.cli.download.wanted import WantedFile
from image_catalog.cli.errors import CommandError

__all__ = ["SPARE", "ChecksumError", "Fetched", "Patience", "StoppedError", "fetch", "is_there"]

_BUFFER: Final = 256 * 1024
"""Most that is read at once: larger pieces leave the processor's cache before their hash is made."""

_SIZE = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_PASSING = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})
SPARE: Final = 16 * 1024 * 1024
"""Space on the disk that is left to others."""

_LOOK_EVERY: Final = 64 * 1024 * 1024
"""How often the space is looked at of a file whose size nobody knows."""


class ChecksumError(CommandError):
    """What came is not what was asked for."""

    reason = "ChecksumMismatch"


class StoppedError(CommandError):
    """Somebody pressed Ctrl-C."""

    reason = "Interrupted"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a transfer that broke is gone on with.

    Attributes
    ----------
    attempts
        Attempts one after another that bring nothing new.
    first_pause, longest_pause
        The wait after the first, doubled by each one after it.
    total
        Attempts in all: a server that cuts every few bytes must not keep us for ever.
    """

    attempts: int = 8
    first_pause: timedelta = timedelta(milliseconds=200)
    longest_pause: timedelta = timedelta(seconds=30)
    total: int = 1000


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is whole.

    Attributes
    ----------
    size
        Its bytes.
    digest
        Its digest.
    verified
        Whether that is what it had to be; nobody says of some.
    """

    size: int
    digest: str
    verified: bool


def is_there(file: WantedFile) -> Fetched | None:
    """Return what stands in a file's place if it is the very file; `None` if it has to be fetched."""
    if file.digest is None or not file.path.is_file():
        return None
    size = file.path.stat().st_size
    if file.size not in {None, size} or digest_of_file(file.path, file.digest.partition(":")[0]) != file.digest:
        return None
    return Fetched(size, file.digest, verified=True)


def fetch(
    file: WantedFile,
    part: PartFile,
    source: Source,
    *,
    stop: threading.Event,
    progress: Callable[[int, int | None], None],
    patience: Patience,
) -> Fetched:
    """Fetch what is missing of a file, until it is whole and what it must be.

    Parameters
    ----------
    file
        The file.
    part
        What there is of it.
    source
        Where the rest comes from.
    stop
        Set when no more is to be fetched; what there is stays.
    progress
        Told how many bytes there are, and of how many, where that is known.
    patience
        How often a transfer that broke is gone on with.

    Raises
    ------
    ChecksumError
        Raised if it is not what it must be; nothing of it is left.
    StoppedError
        Raised when `stop` was set.
    CommandError
        Raised if it is not to be had.
    """
    fetcher = _Fetcher(file, part, source, stop, progress)
    progress(part.size, file.size)
    resumed = bool(part.kept)
    fetcher.persist(patience)
    if resumed and file.digest not in {None, part.digest}:
        # What an earlier run has left may be at fault: once, all of it is fetched anew.
        part.restart()
        fetcher.persist(patience)
    if file.digest not in {None, part.digest}:
        part.discard()
        raise ChecksumError(
            f"{file.name}: the checksum is wrong: expected {file.digest}, got {part.digest}",
            hint="the file was not kept; somebody on the way, or the store itself, has changed it",
        )
    return Fetched(part.size, part.digest, verified=file.digest is not None)


@dataclass(slots=True)
class _Fetcher:
    file: WantedFile
    part: PartFile
    source: Source
    stop: threading.Event
    progress: Callable[[int, int | None], None]
    total: int | None = None

    def persist(self, patience: Patience) -> None:
        """Fetch until there is no more to come."""
        self.total = self.file.size
        pause, vain = patience.first_pause, 0
        for _ in range(patience.total):
            before = self.part.size
            try:
                if self._is_whole() or self._attempt():
                    return
                failure = TransferError("the connection was cut")
            except TransferError as e:
                failure = e
            if self.stop.is_set():
                raise StoppedError(f"{self.file.name}: interrupted")
            vain, pause = (0, patience.first_pause) if self.part.size > before else (vain + 1, pause)
            if vain >= patience.attempts:
                break
            self._wait(failure, pause)
            pause = min(pause * 2, patience.longest_pause) if vain else pause
        raise CommandError(
            f"{self.file.name}: {failure.message}" + (f", {vain} times in a row" if vain > 1 else ""),
            hint=f"{self.part.size} bytes are kept; the same command goes on from there",
        ) from failure

    def _wait(self, failure: TransferError, pause: timedelta) -> None:
        asked = min(failure.retry_after or timedelta(), timedelta(minutes=1))
        spread = pause * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
        if self.stop.wait(max(asked, spread).total_seconds()):
            raise StoppedError(f"{self.file.name}: interrupted")

    def _is_whole(self) -> bool:
        """Return whether there is nothing to ask for; what is too long is begun anew."""
        if self.total is None or self.part.size < self.total:
            return False
        if self.part.size > self.total:
            self.part.restart()
        return self.part.size == self.total

    def _attempt(self) -> bool:
        """Ask for the rest; return whether the end was reached."""
        with self.source.open(offset=self.part.size, etag=self.part.etag) as stream:
            if stream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and self.part.size:
                # It is shorter than what there is, so that it is another one.
                self.part.restart()
                return False
            if stream.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise _refusal(self.file, stream)
            self._begin(stream)
            self._copy(stream)
        return self.total is None or self.part.size == self.total

    def _begin(self, stream: Stream) -> None:
        """Find out where the answer begins and ends."""
        start, total = 0, self._number(stream.headers.get("content-length"))
        if stream.status == HTTPStatus.PARTIAL_CONTENT:
            said = _CONTENT_RANGE.fullmatch(stream.headers.get("content-range", ""))
            if said is None or int(said[1]) != self.part.size:
                # Not what was asked for, and of no use.
                self.part.restart()
                raise TransferError("the server gives another part than the one that was asked for")
            start, total = int(said[1]), self._number(said[3])
        if self.file.size is not None and total not in {None, self.file.size}:
            raise CommandError(
                f"{self.file.name}: the server has {total} bytes, and the catalog says {self.file.size}",
                hint="the file has changed since it was published; have it published again",
            )
        self.total = total if self.file.size is None else self.file.size
        etag = stream.headers.get("etag")
        if start == 0:
            self.part.restart(etag)
        elif etag != self.part.etag:
            self.part.remember(etag)

    def _copy(self, stream: Stream) -> None:
        """Take what comes, as much as the file has room for."""
        buffer, looked = memoryview(bytearray(_BUFFER)), 0
        while count := stream.read_into(buffer):
            if self.total is not None and self.part.size + count > self.total:
                self.part.restart()
                raise CommandError(f"{self.file.name}: more comes than the {self.total} bytes that it has")
            self.part.append(buffer[:count])
            self.progress(self.part.size, self.total)
            if self.part.size == self.total and self.file.digest is not None:
                # Its checksum says whether this was all; who keeps the connection open need not be waited for.
                return
            looked += count
            if self.total is None and looked >= _LOOK_EVERY:
                looked = 0
                _refuse_full(self.part)
            if self.stop.is_set():
                raise StoppedError(f"{self.file.name}: interrupted")

    @staticmethod
    def _number(text: str | None) -> int | None:
        # Longer ones are no sizes, and Python refuses to read them.
        return int(text) if text is not None and _SIZE.fullmatch(text) else None


def _refuse_full(part: PartFile) -> None:
    if shutil.disk_usage(part.path.parent).free < SPARE:
        raise CommandError(f"the disk of {part.path.parent} is full")


def _refusal(file: WantedFile, stream: Stream) -> CommandError:
    answered = f"the server answered {stream.status}"
    if stream.status in _PASSING:
        said = stream.headers.get("retry-after", "")[:6]
        wait = timedelta(seconds=int(said)) if said.isascii() and said.isdigit() else None
        return TransferError(answered, status=stream.status, retry_after=wait)
    answered = f"{file.name}: {answered}"
    if stream.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        hint = "see what is there with: caib catalog verify NAME --deep"
        return CommandError(f"{answered}: the file is gone", hint=hint)
    if stream.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return CommandError(f"{answered}: it does not give the file", hint="have its credential checked, or log in")
    return CommandError(answered)
