"""The standard files with credentials, where an administrator mounted them into the process.

Where they are is said by `containers-auth.json
<https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>`__ and docker's `configuration
<https://docs.docker.com/reference/cli/docker/#docker-cli-configuration-file-configjson-properties>`__.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from image_catalog.models.reference import Reference
from image_catalog.registry.docker_config import BrokenConfigError, DockerConfig, Match

__all__ = ["AuthFiles"]

_OLD_NAME = ".dockercfg"

AUTH_FILE_BYTES = 1024 * 1024
"""Largest file that is read: Kubernetes keeps no larger Secret that could be mounted."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was read."""

    stamp: tuple[int, ...]
    """Changes with the file; a mounted Secret is exchanged for another file."""
    config: DockerConfig | None
    problem: str = ""


class AuthFiles:
    """Looks credentials up in files, and reads a file again when it has changed.

    Parameters
    ----------
    paths
        The files, the first that has an entry for an image counts. One that is
        absent may come later.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._kept: dict[Path, _Read] = {}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the files that tools for containers would read.

        Parameters
        ----------
        environment
            ``REGISTRY_AUTH_FILE`` is the only file where it is set; else
            ``XDG_RUNTIME_DIR``, ``XDG_CONFIG_HOME``, ``DOCKER_CONFIG`` and
            ``HOME`` tell the folders.
        """
        if named := environment.get("REGISTRY_AUTH_FILE"):
            return cls([Path(named)])
        home = Path(environment["HOME"]) if environment.get("HOME") else None
        folders = [Path(environment["XDG_RUNTIME_DIR"])] if environment.get("XDG_RUNTIME_DIR") else []
        if environment.get("XDG_CONFIG_HOME"):
            folders.append(Path(environment["XDG_CONFIG_HOME"]))
        elif home is not None:
            folders.append(home / ".config")
        paths = [folder / "containers" / "auth.json" for folder in folders]
        if environment.get("DOCKER_CONFIG"):
            paths.append(Path(environment["DOCKER_CONFIG"]) / "config.json")
        elif home is not None:
            paths += [home / ".docker" / "config.json", home / _OLD_NAME]
        return cls(paths)

    @property
    def present(self) -> tuple[Path, ...]:
        """The files that are there."""
        return tuple(path for path in self._paths if path.is_file())

    def find(self, reference: Reference) -> Match:
        """Return the credential for an image.

        Parameters
        ----------
        reference
            The image.

        Returns
        -------
        Match
            Of the first file that has one; with a warning for every file and
            every entry for this image that cannot be used.
        """
        warnings: list[str] = []
        for path in self._paths:
            read = self._read(path)
            if read is None:
                continue
            if read.config is None:
                warnings.append(read.problem)
                continue
            match = read.config.find(reference)
            warnings += match.warnings
            if match.credential is not None:
                return Match(match.credential, match.key, tuple(warnings))
        return Match(warnings=tuple(warnings))

    def _read(self, path: Path) -> _Read | None:
        try:
            status = path.stat()
        except OSError:
            self._kept.pop(path, None)
            return None
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        kept = self._kept.get(path)
        if kept is None or kept.stamp != stamp:
            kept = self._kept[path] = _read_file(path, stamp)
        return kept


def _read_file(path: Path, stamp: tuple[int, ...]) -> _Read:
    title = f"auth file {path}"
    try:
        with path.open("rb") as file:
            content = file.read(AUTH_FILE_BYTES + 1)
    except OSError as e:
        return _Read(stamp, None, f"{title} cannot be read: {e.strerror or 'it is no file'}")
    if len(content) > AUTH_FILE_BYTES:
        return _Read(stamp, None, f"{title} is longer than {AUTH_FILE_BYTES} bytes")
    try:
        config = DockerConfig.parse(content, source=title, legacy=path.name == _OLD_NAME)
    except BrokenConfigError as e:
        return _Read(stamp, None, f"{title} cannot be used: {e}")
    return _Read(stamp, config)
