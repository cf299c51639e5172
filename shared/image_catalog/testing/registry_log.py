"""What a fake registry was asked: every request, without its secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

__all__ = ["Kind", "RecordedRequest", "RequestLog", "Target", "parse_target"]

Kind = Literal["ping", "manifest", "blob", "upload", "tags", "referrers", "catalog", "token", "storage", "other"]
"""What a request is about."""

_NAMED: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("ping", re.compile(r"/v2/?")),
    ("catalog", re.compile(r"/v2/_catalog")),
    ("manifest", re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<reference>[^/]+)")),
    ("upload", re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/?(?P<reference>[^/]*)")),
    ("blob", re.compile(r"/v2/(?P<repository>.+)/blobs/(?P<reference>[^/]+)")),
    ("tags", re.compile(r"/v2/(?P<repository>.+)/tags/list")),
    ("referrers", re.compile(r"/v2/(?P<repository>.+)/referrers/(?P<reference>[^/]+)")),
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names.

    Attributes
    ----------
    kind
        What it is about.
    repository, reference
        Empty where the path has none. The reference is a tag or a digest.
    """

    kind: Kind
    repository: str = ""
    reference: str = ""


def parse_target(path: str) -> Target:
    """Read what a registry's path names."""
    for kind, pattern in _NAMED:
        found = pattern.fullmatch(path)
        if found is not None:
            named = found.groupdict()
            return Target(kind=kind, repository=named.get("repository", ""), reference=named.get("reference", ""))
    return Target(kind="other")


@dataclass(slots=True)
class RecordedRequest:
    """One request.

    Attributes
    ----------
    method
        In capitals.
    host
        As the ``Host`` header has it.
    path, query
        Of the URL.
    target
        What the path names.
    headers
        In lower case; of ``authorization`` only the scheme is kept.
    user
        Whose credential or token came: a user, ``anonymous`` for an anonymous
        token, empty for none and for one that was not accepted.
    status
        Of the answer; `None` while there is none, and when the connection was
        cut before it.
    """

    method: str
    host: str
    path: str
    query: str
    target: Target
    headers: Mapping[str, str]
    user: str = ""
    status: int | None = None

    @property
    def authorization(self) -> str:
        """``Basic``, ``Bearer``, or empty for a request without credential."""
        return self.headers.get("authorization", "")

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path} {self.status or 'unanswered'}"


class RequestLog(Sequence[RecordedRequest]):
    """Every request in the order of arrival.

    Examples
    --------
    >>> assert registry.requests.count(method="HEAD", kind="manifest") == 1
    """

    def __init__(self) -> None:
        self._requests: list[RecordedRequest] = []

    def add(self, request: RecordedRequest) -> None:
        """Append a request; what it turns into is filled in later."""
        self._requests.append(request)

    def clear(self) -> None:
        """Forget what came so far."""
        self._requests.clear()

    def select(
        self,
        *,
        method: str | None = None,
        kind: Kind | None = None,
        repository: str | None = None,
        reference: str | None = None,
        host: str | None = None,
        status: int | None = None,
    ) -> list[RecordedRequest]:
        """Return the requests of which all that is given holds."""

        def wanted(request: RecordedRequest) -> bool:
            pairs: tuple[tuple[Any, Any], ...] = (
                (method, request.method),
                (kind, request.target.kind),
                (repository, request.target.repository),
                (reference, request.target.reference),
                (host, request.host),
                (status, request.status),
            )
            return all(expected is None or expected == found for expected, found in pairs)

        return [request for request in self._requests if wanted(request)]

    def count(self, value: Any = None, **wanted: Any) -> int:
        """Count the requests that `select` would return."""
        return self._requests.count(value) if value is not None else len(self.select(**wanted))

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordedRequest]: ...
    def __getitem__(self, index: int | slice) -> RecordedRequest | Sequence[RecordedRequest]:
        return self._requests[index]

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._requests)

    def __str__(self) -> str:
        return "\n".join(str(request) for request in self._requests)
