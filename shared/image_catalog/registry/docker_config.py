"""Docker's configuration files: which of their entries is for which image.

The keys mean what they mean to the `kubelet
<https://kubernetes.io/docs/concepts/containers/images/#config-json>`__, with
three differences, on purpose: a path matches whole segments, the most specific
entry wins, and a broken entry spoils only itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import orjson

from image_catalog.models.reference import DOCKER_HUB, Reference
from image_catalog.registry.credentials import Credential, identity_of

__all__ = ["BrokenConfigError", "DockerConfig", "HostKey", "Match"]

_HUB_KEYS = frozenset({f"index.{DOCKER_HUB}"})
"""Names under which old clients keep Docker Hub's credential: ``https://index.docker.io/v1/``."""

_ENTRIES = 1024
"""Most entries of a configuration: each is looked at for every image, and a Secret of 1 MiB has room for 100,000."""

_API_VERSIONS = ("v1/", "v2/")
_WILDCARDS = frozenset("*?[")


class BrokenConfigError(ValueError):
    """A configuration, or an entry of one, that cannot be read; the text says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key of a configuration: which images it is for.

    Attributes
    ----------
    host
        Host labels, each of which may hold wildcards.
    port
        The port as text, empty for the default.
    path
        Segments that the repository must begin with.
    """

    host: tuple[str, ...]
    port: str
    path: tuple[str, ...]

    @classmethod
    def parse(cls, key: str) -> HostKey:
        """Read a key.

        Parameters
        ----------
        key
            ``[scheme://]host[:port][/path]``; wildcards stand for part of a
            label, never for a dot.

        Raises
        ------
        BrokenConfigError
            Raised if it names no host.
        """
        scheme, separator, rest = key.strip().partition("://")
        if separator and scheme.lower() not in {"http", "https"}:
            raise BrokenConfigError("it has another scheme than http or https")
        authority, _, path = (rest if separator else key.strip()).partition("/")
        host, port = _split_port(authority.lower())
        if not host or "@" in authority or not authority.isascii():
            raise BrokenConfigError("it names no host")
        if path.startswith(_API_VERSIONS):
            path = path[3:]
        segments = [segment for segment in path.split("/") if segment]
        if host in _HUB_KEYS:
            host = DOCKER_HUB
        labels = (host,) if host.startswith("[") else tuple(host.split("."))
        return cls(labels, "" if port == "443" else port, tuple(segments))

    def matches(self, reference: Reference) -> bool:
        """Tell whether the key is for an image.

        Parameters
        ----------
        reference
            The image.
        """
        labels = (reference.host,) if reference.host.startswith("[") else tuple(reference.host.split("."))
        return (
            self.port == ("" if reference.port is None else str(reference.port))
            and len(self.host) == len(labels)
            and all(_label_matches(label, pattern) for label, pattern in zip(labels, self.host, strict=True))
            and self.path == tuple(reference.repository.split("/"))[: len(self.path)]
        )

    @property
    def specificity(self) -> tuple[bool, int, int]:
        """Greater for what is said of fewer images: an exact host, then the longer path, then fewer wildcards."""
        text = ".".join(self.host)
        is_exact = not (_WILDCARDS & set(text)) or text.startswith("[")
        return is_exact, len(self.path), sum(character not in _WILDCARDS for character in text)


@dataclass(frozen=True, slots=True)
class Match:
    """What a configuration has for an image.

    Attributes
    ----------
    credential
        The credential of the most specific entry that can be read; `None` for none.
    key
        The entry's key.
    warnings
        Entries for this image that could not be read, one sentence each.
    """

    credential: Credential | None = None
    key: str | None = None
    warnings: tuple[str, ...] = ()


class DockerConfig:
    """The entries of a docker ``config.json`` or of its older form.

    Parameters
    ----------
    entries
        Credentials by key, as they came.
    source
        Where they come from, for people.
    identity
        Tells this version of the source from every other; found from the
        credential itself where it is empty.
    """

    def __init__(self, entries: Mapping[str, Any], *, source: str, identity: str = "") -> None:
        self._entries = entries
        self._source = source
        self._identity = identity

    @classmethod
    def parse(cls, content: bytes, *, source: str, identity: str = "", legacy: bool = False) -> DockerConfig:
        """Read a configuration.

        Parameters
        ----------
        content
            The file.
        source
            Where it comes from, for people.
        identity
            Tells this version of the source from every other.
        legacy
            Whether it is the older form, which has the entries at the top.

        Raises
        ------
        BrokenConfigError
            Raised if it is no such file.
        """
        try:
            document = orjson.loads(content)
        except orjson.JSONDecodeError as e:
            raise BrokenConfigError("it is no JSON") from e
        entries = document if legacy or not isinstance(document, dict) else document.get("auths", {})
        if not isinstance(entries, dict):
            raise BrokenConfigError('it has no "auths" that map hosts to credentials')
        if len(entries) > _ENTRIES:
            raise BrokenConfigError(f"it has {len(entries)} entries; at most {_ENTRIES} are read")
        return cls(entries, source=source, identity=identity)

    def find(self, reference: Reference) -> Match:
        """Return the credential for an image.

        No entry for the host means no credential; there is no default entry.

        Parameters
        ----------
        reference
            The image.
        """
        warnings: list[str] = []
        for text, entry in self._candidates(reference):
            try:
                return Match(self._credential(text, entry), text, tuple(warnings))
            except BrokenConfigError as e:
                warnings.append(f"the entry {text!r} of {self._source} cannot be used: {e}")
        return Match(warnings=tuple(warnings))

    def _candidates(self, reference: Reference) -> Iterator[tuple[str, Any]]:
        """Yield the entries for an image, the most specific first."""
        found = []
        for text, entry in self._entries.items():
            try:
                key = HostKey.parse(text)
            except BrokenConfigError:
                continue
            if key.matches(reference):
                found.append((key.specificity, text, entry))
        for _, text, entry in sorted(found, key=lambda each: each[:2], reverse=True):
            yield text, entry

    def _credential(self, key: str, entry: Any) -> Credential:
        if not isinstance(entry, dict):
            raise BrokenConfigError("it is no object")
        username, password = _text(entry, "username"), _text(entry, "password")
        if auth := _text(entry, "auth"):
            username, password = _decode(auth)
        identity_token, registry_token = _text(entry, "identitytoken"), _text(entry, "registrytoken")
        if not (password or identity_token or registry_token):
            raise BrokenConfigError("it has neither a password nor a token")
        return Credential(
            username=username,
            password=password,
            identity_token=identity_token,
            registry_token=registry_token,
            source=f"{self._source}, key {key}",
            # Keyed, so that an identity is nothing but a name wherever it comes from.
            identity=identity_of(self._identity, key) if self._identity else "",
        )


def _decode(auth: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(auth + "=" * (-len(auth) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as e:
        raise BrokenConfigError('its "auth" is no base64 text') from e
    username, colon, password = decoded.rstrip("\0\n").partition(":")
    if not colon:
        raise BrokenConfigError('its "auth" is no user:password')
    return username, password


def _label_matches(label: str, pattern: str) -> bool:
    return label == pattern or (bool(_WILDCARDS & set(pattern)) and fnmatchcase(label, pattern))


def _split_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        address, _, rest = authority.partition("]")
        return f"{address}]", rest.removeprefix(":")
    host, _, port = authority.partition(":")
    return host, port


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value.strip() if isinstance(value, str) else ""
