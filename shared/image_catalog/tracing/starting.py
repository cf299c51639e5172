"""Tracing begins with a process's first request, and ends with the process."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from image_catalog.tracing.settings import trace_target
from image_catalog.tracing.spans import install, is_tracing, uninstall

__all__ = ["start_tracing", "stop_tracing"]

_log = structlog.get_logger(__name__)


def start_tracing(environment: Mapping[str, str], *, service: str) -> bool:
    """Trace this process if it is configured to be; return whether it is traced.

    To be called after the server has forked: spans leave by a thread. What is
    wrong with the configuration is told in the log, and keeps nobody from working.

    Parameters
    ----------
    environment
        The process's variables.
    service
        What traces call the process, where ``OTEL_SERVICE_NAME`` does not say.
    """
    target = None if is_tracing() else trace_target(environment)
    if target is None:
        return is_tracing()
    if target.trouble:
        _log.warning("traces not sent", message=target.trouble)
        return False
    # A third of a second of a start, where most processes are not traced.
    from image_catalog.tracing.exporting import ExportedTracing  # noqa: PLC0415 - see above

    install(ExportedTracing.open(target.url, service=service, environment=environment))
    return True


async def stop_tracing() -> None:
    """Send what has not been sent, within a bounded time, and trace nothing any more."""
    tracing = uninstall()
    if tracing is not None:
        await tracing.aclose()
