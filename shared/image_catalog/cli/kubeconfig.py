"""Kubeconfigs: what of them says where the catalog is, who asks, and in which namespace.

Files are merged as kubectl does it:
https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_catalog.cli.errors import SettingsError

__all__ = ["EXTENSION", "Entry", "Kubeconfig", "SelectedContext", "read_kubeconfig", "read_yaml"]

EXTENSION = "image-catalog"
"""Name of the extension of a context or a cluster that says where its catalog's API is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A named cluster, user or context, and the folder that relative paths of it start from.

    Attributes
    ----------
    body
        What it says.
    folder
        Folder of the file that says it.
    """

    body: Mapping[str, Any]
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedContext:
    """The context that counts.

    Attributes
    ----------
    name
        Its name.
    namespace
        Its namespace, where it has one.
    user, cluster
        What it refers to; empty entries where it refers to nothing.
    catalog
        The catalog's extension, where there is one.
    """

    name: str
    namespace: str | None
    user: Entry
    cluster: Entry
    catalog: Entry | None


class Kubeconfig:
    """Merged kubeconfigs.

    Parameters
    ----------
    files
        Path and content of each, in the order in which they count: the first that names something wins.
    """

    def __init__(self, files: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
        self.where = ", ".join(str(path) for path, _ in files)
        self._current = next(
            (str(content["current-context"]) for _, content in files if content.get("current-context")), ""
        )
        self._entries: dict[str, dict[str, Entry]] = {"cluster": {}, "user": {}, "context": {}}
        for path, content in files:
            for kind, entries in self._entries.items():
                for name, body in _named(content.get(f"{kind}s"), kind, path):
                    entries.setdefault(name, Entry(body, path.parent))

    def select(self, name: str | None = None) -> SelectedContext | None:
        """Return a context, or `None` if there is no current one.

        Parameters
        ----------
        name
            The context; the current one when absent.

        Raises
        ------
        SettingsError
            Raised if there is no such context, user or cluster.
        """
        name = name or self._current
        if not name:
            return None
        context = self._find("context", name)
        extension = None
        cluster, user = (self._find(kind, context.body.get(kind)) for kind in ("cluster", "user"))
        for holder in (context, cluster):
            extensions = _named(holder.body.get("extensions"), "extension", Path(self.where))
            found = (Entry(body, holder.folder) for key, body in extensions if key == EXTENSION)
            extension = extension or next(found, None)
        namespace = context.body.get("namespace")
        return SelectedContext(
            name=name,
            namespace=str(namespace) if namespace else None,
            user=user,
            cluster=cluster,
            catalog=extension,
        )

    def _find(self, kind: str, name: object) -> Entry:
        if not name:
            return Entry({}, Path())
        entries = self._entries[kind]
        if (found := entries.get(str(name))) is None:
            there = f"it has {', '.join(sorted(entries))}" if entries else "it has none"
            raise SettingsError(
                f'{kind} "{name}" is not in the kubeconfig {self.where}',
                hint=f"{there}; choose a context with --context" if kind == "context" else there,
            )
        return found


def read_kubeconfig(paths: Sequence[Path], *, required: bool) -> Kubeconfig | None:
    """Read and merge kubeconfigs.

    Parameters
    ----------
    paths
        Files in the order in which they count.
    required
        Whether each must be there; otherwise those that are not are passed over.

    Returns
    -------
    Kubeconfig or None
        `None` if there is no file.

    Raises
    ------
    SettingsError
        Raised if a file cannot be read or is no kubeconfig.
    """
    files = []
    for path in paths:
        content = read_yaml(path, "kubeconfig")
        if content is not None:
            files.append((path, content))
        elif required:
            raise SettingsError(
                f"there is no kubeconfig {path}", hint="name one with --kubeconfig or KUBECONFIG, or give --token"
            )
    return Kubeconfig(files) if files else None


def read_yaml(path: Path, what: str) -> Mapping[str, Any] | None:
    """Return a file's content, or `None` if there is no such file.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for the message.

    Raises
    ------
    SettingsError
        Raised if it cannot be read or is no YAML mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise SettingsError(f"{what} {path} cannot be read: {getattr(e, 'strerror', None) or e}") from e
    import yaml  # noqa: PLC0415 - who gives everything on the command line does not wait for it

    try:
        # The safe loader both times, one of them in C.
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - the same
    except yaml.YAMLError as e:
        raise SettingsError(f"{what} {path} cannot be used: {e}", hint="is it YAML?") from e
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise SettingsError(f"{what} {path} cannot be used: it is no mapping")
    return content


def _named(entries: object, kind: str, path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    if not isinstance(entries, list | None):
        raise SettingsError(f"kubeconfig {path} cannot be used: {kind}s is no list")
    for entry in entries or ():
        body = entry.get(kind) or {} if isinstance(entry, Mapping) else None
        if not isinstance(body, Mapping) or not entry.get("name"):
            raise SettingsError(f"kubeconfig {path} cannot be used: one of its {kind}s has no name or no content")
        found.append((str(entry["name"]), body))
    return found
