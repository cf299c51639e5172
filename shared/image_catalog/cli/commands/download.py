"""``caib catalog download``: has the files of an image on this machine."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from image_catalog.cli.errors import (
    ApiError,
    CommandError,
    NotFoundError,
    RequestTimedOutError,
    ServerUnreachableError,
    UsageError,
)
from image_catalog.cli.flags import DataFormat, EntryName
from image_catalog.cli.options import CatalogCommand, GlobalOptions
from image_catalog.cli.output import notice, print_document
from image_catalog.cli.writing import InterruptedCommandError

if TYPE_CHECKING:
    from image_catalog.cli.client import CatalogClient
    from image_catalog.cli.download.running import Outcome
    from image_catalog.cli.download.wanted import WantedFile

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_PASSING = frozenset({429, 502, 503, 504})
"""How the catalog says that it may do better in a moment: a download of an hour outlives its restarts."""

_MOST_JOBS = 16
_MOST_RETRIES = 100


@app.command("download", cls=CatalogCommand)
def download(
    ctx: typer.Context,
    name: EntryName,
    *,
    artifact: Annotated[
        list[str] | None,
        typer.Option(
            "--artifact", metavar="NAME|PATTERN", help="Only this file, or those that a pattern fits; may be repeated."
        ),
    ] = None,
    directory: Annotated[
        str, typer.Option("--directory", "-o", metavar="DIR", help="Where the files go; made when absent.")
    ] = ".",
    output: Annotated[
        DataFormat | None,
        typer.Option("--output", metavar="FORMAT", help="Print what was written as data; -o json does the same."),
    ] = None,
    decompress: Annotated[bool, typer.Option("--decompress", help="Unpack files packed with gzip, lz4 or xz.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=_MOST_JOBS, help="How many files at once.")] = 3,
    retries: Annotated[
        int, typer.Option("--retries", min=0, max=_MOST_RETRIES, help="Attempts to go on that may be in vain in a row.")
    ] = 7,
    allow_recalled: Annotated[
        bool, typer.Option("--allow-recalled", help="Download what must not be used any more, too.")
    ] = False,
) -> None:
    """Download files of an image, and check that they are what the catalog says."""
    from image_catalog.cli.download.fetching import Patience  # noqa: PLC0415 - `--help` needs none
    from image_catalog.cli.download.running import Downloader, refuse_full_disk  # noqa: PLC0415 - the same
    from image_catalog.cli.download.showing import Bars  # noqa: PLC0415 - the same
    from image_catalog.cli.download.wanted import choose, wanted_files  # noqa: PLC0415 - the same

    options: GlobalOptions = ctx.obj
    place, output = _read_output(directory, output)
    with options.connect() as catalog:
        answer = catalog.artifacts(name).document
        if not answer.get("items"):
            _refuse_recalled(name, answer, (), allowed=allow_recalled)
        items = choose(_present(name, answer), artifact or ())
        _refuse_recalled(name, answer, items, allowed=allow_recalled)
        files = wanted_files(items, place, decompress=decompress)
        refuse_full_disk(files, place, decompress=decompress)
        if options.dry_run:
            print_document({"items": [_planned(file) for file in files]}, output or DataFormat.JSON)
            return
        try:
            with Bars() as bars:
                source = _Sources(catalog, name, options.certificate_authority).source
                patience = Patience(attempts=retries + 1)
                downloader = Downloader(
                    source=source, watcher=bars, decompress=decompress, jobs=jobs, patience=patience
                )
                outcomes = downloader.run(files)
        except KeyboardInterrupt:
            raise InterruptedCommandError(
                "interrupted", hint="what has come is kept; the same command goes on from there"
            ) from None
    _tell(outcomes, output)


class _Sources:
    """Makes what files come from; the catalog is asked by one thread at a time."""

    def __init__(self, catalog: CatalogClient, name: str, authority: Path | None) -> None:
        from image_catalog.cli.download.sources import RegistryKeys  # noqa: PLC0415 - as above
        from image_catalog.cli.download.streams import Client  # noqa: PLC0415 - as above

        self._catalog, self._name, self._lock = catalog, name, threading.Lock()
        self._client = Client(certificate_authority=authority)
        self._keys = RegistryKeys(certificate_authority=authority)

    def source(self, file: WantedFile) -> Any:
        from image_catalog.cli.download.sources import CatalogSource  # noqa: PLC0415 - as above

        return CatalogSource(file, client=self._client, locate=self._locate, keys=self._keys)

    def _locate(self, file: WantedFile) -> str:
        """Ask for the address anew, which the audit keeps as a download."""
        from image_catalog.cli.download.streams import TransferError  # noqa: PLC0415 - as above

        try:
            with self._lock:
                answer = self._catalog.artifacts(self._name, artifact=file.artifact, download=True).document
        except (RequestTimedOutError, ServerUnreachableError) as e:
            raise TransferError(e.message) from e
        except ApiError as e:
            if e.status not in _PASSING:
                raise
            raise TransferError(e.message, status=e.status, retry_after=e.retry_after) from e
        for item in answer.get("items") or ():
            if (item.get("checksum") or item.get("digest")) == file.digest and item.get("name") == file.artifact:
                if url := item.get("downloadUrl"):
                    return str(url)
                raise _closed(file.name, answer)
        raise CommandError(
            f"{file.name} has changed since the download began", hint="begin again: the image has another version now"
        )


def _read_output(directory: str, output: DataFormat | None) -> tuple[Path, DataFormat | None]:
    """Tell a format from a directory: everywhere else in caib -o is the format."""
    if directory in set(DataFormat):
        if output not in {None, directory}:
            raise UsageError(f"-o {directory} and --output {output} contradict each other")
        return Path(), DataFormat(directory)
    place = Path(directory)
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place} is no directory")
    return place, output


def _present(name: str, answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the files of an image, or say why there are none."""
    items: list[Mapping[str, Any]] = answer.get("items") or []
    if items:
        return items
    if answer.get("unavailable"):
        raise _closed(f'catalog image "{name}"', answer)
    owner = answer.get("metadata") or {}
    reference, digest = owner.get("registryUrl", ""), owner.get("digest")
    # By digest alone: skopeo, and what else is made of containers/image, refuses a tag beside it.
    repository = re.sub(r":[^:/]*$", "", reference.partition("@")[0])
    pinned = f"{repository}@{digest}" if digest and reference else reference
    raise NotFoundError(
        f'catalog image "{name}" has no artifacts: it is a container image alone',
        hint=f"pull it with: podman pull {pinned}; or have its build export a disk image, and publish it again",
    )


def _closed(what: str, answer: Mapping[str, Any]) -> CommandError:
    trouble = answer.get("unavailable") or {}
    why = ": ".join(str(trouble[key]) for key in ("reason", "message") if trouble.get(key))
    return CommandError(f"{what} cannot be downloaded: {why or 'the catalog has no address for it'}")


def _refuse_recalled(
    name: str, answer: Mapping[str, Any], items: Sequence[Mapping[str, Any]], *, allowed: bool
) -> None:
    recalls = [found for each in ((answer.get("metadata") or {}), *items) if (found := each.get("recall"))]
    if not recalls:
        return
    message = f'catalog image "{name}" is recalled: {recalls[0].get("reason", "")}'
    if not allowed:
        raise CommandError(message, hint="it must not be used any more; --allow-recalled downloads it all the same")
    notice(f"Warning: {message}")


def _planned(file: WantedFile) -> dict[str, Any]:
    planned = {"name": file.name, "path": str(file.path), "sizeBytes": file.size, "checksum": file.digest}
    return {key: value for key, value in planned.items() if value is not None}


def _tell(outcomes: Sequence[Outcome], output: DataFormat | None) -> None:
    """Say what became of each file; several that failed are told one by one, and end the command as one."""
    from image_catalog.cli.download.showing import told  # noqa: PLC0415 - as above

    if output is DataFormat.NAME:
        for outcome in outcomes:
            if outcome.error is None:
                print(outcome.path)  # noqa: T201 - the command's output
    elif output is not None:
        print_document({"items": [outcome.to_dict() for outcome in outcomes]}, output)
    else:
        for outcome in outcomes:
            if outcome.error is None:
                print(told(outcome))  # noqa: T201 - the command's output
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(failed) == 1:
        raise failed[0]
    if failed:
        for error in failed:
            notice(f"✗ {error.message}")
        raise CommandError(f"{len(failed)} of {len(outcomes)} files were not downloaded", hint=failed[0].hint)
