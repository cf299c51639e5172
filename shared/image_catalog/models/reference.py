"""Container image references with an explicit host: one grammar, one canonical form.

The grammar is that of `distribution/reference
<https://github.com/distribution/reference/blob/main/reference.go>`__, narrowed
where its leniency has hurt others: the host must be there, and host, port and
digest must be written in the one form that every resolver reads the same way.
An octal IPv4 address or a Unicode digit means different hosts to different
parsers, so such a spelling is refused instead of normalised.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Self

from image_catalog.errors import InvalidReferenceError

__all__ = [
    "DEFAULT_TAG",
    "DIGEST_PATTERN",
    "DOCKER_HUB",
    "MAX_PATH_LENGTH",
    "MAX_REFERENCE_LENGTH",
    "REFERENCE_PATTERN",
    "TAG_PATTERN",
    "Reference",
    "is_digest",
    "parse_host",
    "without_credentials",
]

DEFAULT_TAG = "latest"
"""What neither a tag nor a digest means."""

DOCKER_HUB = "docker.io"
"""The one host whose repositories have a short form: ``fedora`` is ``library/fedora``."""

DEFAULT_PORT = 443
"""Registries are asked over TLS, so this port adds nothing to a host name."""

MAX_PATH_LENGTH = 255
"""Longest repository; distribution/reference has the same limit."""

MAX_REFERENCE_LENGTH = 780
"""Longest text that can be valid: host 253, port 6, repository 255, tag 129, digest 136, and the slash."""

_MAX_HOST_LENGTH = 253
_MAX_PORT = 65535

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_PORT = r":[1-9][0-9]{0,4}"
_HOST = (
    rf"(?:(?:{_LABEL}(?:\.{_LABEL})+|[lL][oO][cC][aA][lL][hH][oO][sS][tT]|\[[a-fA-F0-9:]+\])(?:{_PORT})?"
    rf"|{_LABEL}{_PORT})"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
# Nothing else gets near a URL (CVE-2024-3727).
_DIGEST = r"(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})"

DIGEST_PATTERN = r"^sha256:[a-f0-9]{64}$"
"""The digest of a pin; in the syntax that RE2 and ECMA 262 share, as CRD schemas need it."""

TAG_PATTERN = rf"^{_TAG}$"
"""A tag of the `distribution specification <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>`__."""

REFERENCE_PATTERN = rf"^{_HOST}/{_REPOSITORY}(?::{_TAG})?(?:@{_DIGEST})?$"
"""A reference with an explicit host, for the schema of ``registryUrl`` (RE2 and ECMA 262).

It admits everything that `Reference.parse` admits. What a regular expression
cannot say well (canonical IP addresses, the length of the path) is left to it.
"""

# The engine's own $ would admit a final line feed, so these are used with fullmatch alone.
_HOST_NAME_RE = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SCHEME_RE = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://")
_DIGEST_BEGINS_RE = re.compile(r"[A-Za-z0-9+_-]+:(?![0-9]{1,5}$)")
"""An algorithm and its colon; a host and its port look nearly like it."""
_COMPONENT_RE = re.compile(_COMPONENT)
_TAG_RE = re.compile(_TAG)
_DIGEST_RE = re.compile(_DIGEST)
_PORT_RE = re.compile(r"[1-9][0-9]{0,4}")
_NUMERIC_LABEL_RE = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_IPV6_RE = re.compile(r"\[([a-fA-F0-9:]+)\]")


def is_digest(text: str) -> bool:
    """Tell whether a string is a digest that the catalog works with.

    Parameters
    ----------
    text
        ``sha256:`` and 64, or ``sha512:`` and 128 lower-case hexadecimal digits.
    """
    return _DIGEST_RE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a registry: host, repository, and a tag, a digest or both.

    Make one with `parse`; the fields are normalised there. Two references that
    name the same image have the same `canonical`.

    Attributes
    ----------
    host
        Lower-case DNS name, dotted-quad IPv4 address, or ``[IPv6]``.
    port
        The port, `None` for the default.
    repository
        The path, with ``library/`` where Docker Hub's short form left it out.
    tag
        The tag as written, `None` when there was none.
    digest
        The digest as written, `None` when there was none.
    """

    host: str
    port: int | None
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def try_parse(cls, text: str) -> Self | None:
        """Read a reference; `None` for a text that is none, where whoever wrote it is told elsewhere.

        Parameters
        ----------
        text
            As `parse` takes it.
        """
        try:
            return cls.parse(text)
        except InvalidReferenceError:
            return None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference.

        Parameters
        ----------
        text
            ``host[:port]/repository[:tag][@digest]``, without a scheme. The
            host must be recognisable as one: a name with a dot or a port, an
            IP address, or ``localhost``.

        Raises
        ------
        InvalidReferenceError
            Raised if the text is anything else; the message says what is wrong
            and how to write it.
        """
        _check_text(text)
        name, at, digest = text.partition("@")
        if at and not is_digest(digest):
            raise _invalid(
                f"…@{digest}", "the part after @ must be sha256: and 64 (or sha512: and 128) lower-case hex digits"
            )
        authority, slash, path = name.partition("/")
        if not slash or not _looks_like_host(authority):
            raise _invalid(
                text,
                "it names no registry host; write it with the host in front, for example "
                f"{DOCKER_HUB}/{name or 'library/fedora'}",
            )
        try:
            host, port = parse_host(authority)
        except InvalidReferenceError as e:
            raise _invalid(text, e.message) from e
        repository, colon, tag = path.partition(":")
        if colon and not _TAG_RE.fullmatch(tag):
            raise _invalid(
                text, "the tag must be 1 to 128 ASCII letters, digits, '_', '.' or '-', and start with none of '.-'"
            )
        if host == f"index.{DOCKER_HUB}":
            host = DOCKER_HUB
        if host == DOCKER_HUB and port is None and "/" not in repository:
            repository = f"library/{repository}"
        _check_repository(text, repository)
        return cls(host=host, port=port, repository=repository, tag=tag or None, digest=digest or None)

    @property
    def registry(self) -> str:
        """The host, with the port where it is not the default."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def name(self) -> str:
        """The registry and the repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def identifier(self) -> str:
        """What the registry is asked for: the tag, the digest when there is no tag, else the default tag."""
        return self.tag or self.digest or DEFAULT_TAG

    @property
    def canonical(self) -> str:
        """The one spelling of this image's identity; a digest counts only when there is no tag."""
        if self.tag is None and self.digest is not None:
            return f"{self.name}@{self.digest}"
        return f"{self.name}:{self.tag or DEFAULT_TAG}"

    @property
    def identity_hash(self) -> str:
        """SHA-256 of `canonical`, 64 hexadecimal digits: what claims and labels are named after."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    def with_digest(self, digest: str) -> Self:
        """Return the reference to that content in the same repository, without a tag.

        Parameters
        ----------
        digest
            A digest with its algorithm.

        Raises
        ------
        InvalidReferenceError
            Raised if it is no digest.
        """
        if not is_digest(digest):
            raise InvalidReferenceError(f"{digest!r} is no digest; write sha256: and 64 lower-case hex digits")
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse_host(text: str) -> tuple[str, int | None]:
    """Read ``host[:port]`` in canonical form.

    Names follow RFC 1123. A name whose last label is a number is an IPv4
    address to `some parsers <https://url.spec.whatwg.org/#ends-in-a-number-checker>`__,
    so it has to be a dotted quad.

    Parameters
    ----------
    text
        A DNS name, an IPv4 address, ``[IPv6]`` or ``localhost``, and a port.

    Returns
    -------
    tuple
        The host in lower case, and the port; `None` for none or the default.

    Raises
    ------
    InvalidReferenceError
        Raised if it is anything else, or an address in another spelling.
    """
    if text.startswith("["):
        literal, bracket, rest = text.partition("]")
        host, colon, port_text = literal + bracket, rest[:1], rest[1:]
        if colon not in {"", ":"}:
            raise InvalidReferenceError(f"{text!r} is no host: only a port may follow an address in brackets")
    else:
        host, colon, port_text = text.partition(":")
    port = None
    if colon:
        if not _PORT_RE.fullmatch(port_text) or int(port_text) > _MAX_PORT:
            raise InvalidReferenceError(f"the port of {text!r} must be 1 to {_MAX_PORT}, without leading zeros")
        port = int(port_text)
    host = _canonical_host(host)
    if port == DEFAULT_PORT and (host[0] == "[" or "." in host or host == "localhost"):
        # Without its port a bare name would no longer be recognised as a host.
        port = None
    return host, port


def _canonical_host(host: str) -> str:
    """Return the host in lower case, or refuse it."""
    lowered = host.lower()
    if host.startswith("["):
        return _canonical_ipv6(lowered)
    if len(host) > _MAX_HOST_LENGTH or not _HOST_NAME_RE.fullmatch(host):
        raise InvalidReferenceError(
            f"{host!r} is no host name: use ASCII letters, digits, '-' and '.', at most 63 characters between dots"
        )
    if _NUMERIC_LABEL_RE.fullmatch(lowered.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(lowered))
        except ipaddress.AddressValueError as e:
            raise InvalidReferenceError(
                f"{host!r} is no IPv4 address; write four decimal numbers without leading zeros, 192.0.2.1"
            ) from e
    return lowered


def _canonical_ipv6(host: str) -> str:
    match = _IPV6_RE.fullmatch(host)
    try:
        address = ipaddress.IPv6Address(match[1] if match else "")
    except ipaddress.AddressValueError as e:
        raise InvalidReferenceError(f"{host!r} is no IPv6 address in brackets; write [2001:db8::1]") from e
    if address.ipv4_mapped is not None:
        raise InvalidReferenceError(f"{host!r} hides an IPv4 address; write {address.ipv4_mapped}")
    canonical = f"[{address}]"
    if host != canonical:
        raise InvalidReferenceError(f"{host!r} is not the canonical spelling of its address; write {canonical}")
    return canonical


def _looks_like_host(authority: str) -> bool:
    """Tell a host from the first component of a path, as distribution/reference does."""
    return "." in authority or ":" in authority or authority.startswith("[") or authority.lower() == "localhost"


def without_credentials(text: str) -> str:
    """Return what somebody typed as a reference, less the user and password that do not belong in one.

    Parameters
    ----------
    text
        Whatever was typed.
    """
    return f"…@{text.rpartition('@')[2]}" if _holds_credentials(text) else text


def _holds_credentials(text: str) -> bool:
    """Tell whether an @ stands for anything but a digest's beginning."""
    before, at, after = _SCHEME_RE.sub("", text, count=1).partition("@")
    if not at or (not after and "/" in before):
        return False
    # When in doubt it is a password, and not repeated.
    return "/" not in before or "/" in after or not _DIGEST_BEGINS_RE.match(after)


def _check_text(text: str) -> None:
    if not text:
        raise InvalidReferenceError("the image reference is empty; write host/repository:tag")
    if _holds_credentials(text):
        # Not echoed: what stands before the @ may be a password.
        raise InvalidReferenceError(
            "an image reference holds no credentials: leave out everything up to the @ and use a Secret (authSecretRef)"
        )
    if len(text) > MAX_REFERENCE_LENGTH:
        raise _invalid(text[:64] + "…", f"it is longer than {MAX_REFERENCE_LENGTH} characters")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise _invalid(text, "only printable ASCII characters without spaces are allowed")
    scheme, separator, rest = text.partition("://")
    if separator:
        raise _invalid(text, f"leave out the scheme {scheme}://, write {rest}")


def _check_repository(text: str, repository: str) -> None:
    if len(repository) > MAX_PATH_LENGTH:
        raise _invalid(text, f"the repository is longer than {MAX_PATH_LENGTH} characters")
    for component in repository.split("/"):
        if _COMPONENT_RE.fullmatch(component):
            continue
        if component != component.lower():
            raise _invalid(text, f"a repository is lower case; write {component.lower()!r} for {component!r}")
        raise _invalid(
            text,
            f"{component!r} is no path component: lower-case letters and digits, "
            "separated by one '.', one or two '_', or any number of '-'",
        )


def _invalid(text: str, problem: str) -> InvalidReferenceError:
    return InvalidReferenceError(f"{text!r} is no image reference: {problem}")
