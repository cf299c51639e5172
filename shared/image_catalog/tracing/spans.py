"""The seam between what is traced and what carries traces away; knows nothing of OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, Self

__all__ = [
    "NO_SPAN",
    "Span",
    "SpanKind",
    "Tracing",
    "current_traceparent",
    "install",
    "is_tracing",
    "span",
    "trace_id_of",
    "uninstall",
]


class SpanKind(StrEnum):
    """Which side of a call a span is.

    See https://opentelemetry.io/docs/specs/otel/trace/api/#spankind.
    """

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """One operation of a trace, which is under way while its context lasts.

    An error that leaves the context marks the span. What is given as text goes
    through `redact_text`, whoever wrote it.
    """

    @property
    def traceparent(self) -> str | None:
        """W3C trace context of whatever this operation causes; `None` while nothing is traced."""

    def facts(self) -> Mapping[str, str]:
        """Return ``trace_id`` and ``span_id`` for a line of the log; nothing while nothing is traced."""

    def rename(self, name: str) -> None:
        """Name the operation anew, once more is known of it."""

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes; `None` leaves one out."""

    def fail(self, kind: str, message: str = "") -> None:
        """Mark the operation as failed.

        Parameters
        ----------
        kind
            One word of few: a reason of ours, a status code, a class of errors.
        message
            What people are told.
        """

    def end(self) -> None:
        """End the span before its context does."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None: ...


class _NoSpan:
    """What an operation is given while nothing is traced."""

    __slots__ = ()

    @property
    def traceparent(self) -> str | None:
        return None

    def facts(self) -> Mapping[str, str]:
        return {}

    def rename(self, name: str) -> None:
        pass

    def set(self, attributes: Mapping[str, Any]) -> None:
        pass

    def fail(self, kind: str, message: str = "") -> None:
        pass

    def end(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        pass


NO_SPAN: Final = _NoSpan()
"""The span of everything while nothing is traced."""


class Tracing(Protocol):
    """Makes spans, and has them carried away."""

    def begin(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        *,
        parent: str | None,
        ago: timedelta,
        is_believed: bool,
    ) -> Span:
        """Return a new span; its parent is the one under way where none is given."""

    def current(self) -> str | None:
        """Return the trace context of the span under way."""

    async def aclose(self) -> None:
        """Have carried away what has not been, within a bounded time."""


_installed: Tracing | None = None


def install(tracing: Tracing) -> None:
    """Trace this process from now on."""
    global _installed  # noqa: PLW0603 - one per process, as there is one log and one registry of metrics
    _installed = tracing


def uninstall() -> Tracing | None:
    """Trace nothing any more; return what did, so that it can be closed."""
    global _installed
    was, _installed = _installed, None
    return was


def is_tracing() -> bool:
    """Return whether this process traces, so that what only spans need is not computed for nothing."""
    return _installed is not None


def span(
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, Any],
    *,
    parent: str | None = None,
    ago: timedelta = timedelta(0),
    is_believed: bool = True,
) -> Span:
    """Begin a span; use it as a context.

    Parameters
    ----------
    name
        What is done, one text of few: metrics are made of names.
    kind
        Which side of a call it is.
    attributes
        By the names of OpenTelemetry's semantic conventions; `None` leaves one out.
    parent
        ``traceparent`` of whoever asked; the span under way when absent.
    ago
        How long ago the operation began.
    is_believed
        Whether the parent may say that its trace is kept. Of those that may
        not, as many are kept as of the traces that begin here.
    """
    if _installed is None:
        return NO_SPAN
    return _installed.begin(name, kind, attributes, parent=parent, ago=ago, is_believed=is_believed)


def current_traceparent() -> str | None:
    """Return the W3C trace context of the span under way; `None` while nothing is traced."""
    return None if _installed is None else _installed.current()


def trace_id_of(traceparent: str | None) -> str | None:
    """Return the trace id of a valid ``traceparent``."""
    return traceparent.split("-")[1] if traceparent else None
