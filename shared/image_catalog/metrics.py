"""What every process shows of itself to Prometheus: the exposition, exemplars, and which build it is.

The figures themselves stand beside what they measure; docs/metrics.md lists them all.
"""

from __future__ import annotations

import re
from typing import Final

import structlog
from prometheus_client import REGISTRY, Gauge
from prometheus_client.exposition import choose_encoder

from image_catalog import __version__

__all__ = ["exemplar", "exposition", "show_exemplars"]

# No Info: that would be a metric of its own kind only in OpenMetrics, and everybody's dashboards know it as a gauge.
_BUILD: Final = Gauge("image_catalog_build_info", "Always 1; says which version of the catalog this is.", ["version"])
_BUILD.labels(__version__).set(1)

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
"""See https://www.w3.org/TR/trace-context/#trace-id."""

_shown = False


def show_exemplars(*, shown: bool) -> None:
    """Let figures of this process name a trace that they counted, or not.

    Parameters
    ----------
    shown
        Off is how a process begins: an exemplar costs memory and half a
        microsecond per observation, and only a Prometheus that was told to
        keep them does.
    """
    global _shown  # noqa: PLW0603 - as the registry of figures, it belongs to the process
    _shown = shown


def exemplar(trace_id: str | None = None) -> dict[str, str] | None:
    """Return what names the present trace beside a figure.

    Parameters
    ----------
    trace_id
        Of what is measured; by default the one that log lines name.

    Returns
    -------
    dict or None
        Label ``trace_id``, as the `OpenMetrics specification
        <https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars>`__
        has it; `None` without a trace, and where exemplars are off.
    """
    if not _shown:
        return None
    known = trace_id or structlog.contextvars.get_contextvars().get("trace_id")
    return {"trace_id": known} if isinstance(known, str) and _TRACE_ID.fullmatch(known) else None


def exposition(accept: str) -> tuple[bytes, str]:
    """Return every figure of this process.

    Parameters
    ----------
    accept
        The scraper's header of that name; it gets OpenMetrics, which alone
        has exemplars, where it asks for that, else Prometheus's own text.

    Returns
    -------
    tuple
        The body and its content type.
    """
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
