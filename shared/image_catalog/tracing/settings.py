"""Whether and where to traces go, by the variables that every OpenTelemetry SDK reads.

See https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Limits, sampling and time limits
(``OTEL_BSP_*``, ``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_TIMEOUT``, ``…_HEADERS``) are read by the SDK itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["TraceTarget", "trace_target"]

_BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_OWN: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_SPOKEN: Final = "http/protobuf"


@dataclass(frozen=True, slots=True)
class TraceTarget:
    """Where traces go.

    Attributes
    ----------
    url
        The collector's endpoint for traces.
    trouble
        Why nothing can be sent there; empty when it can.
    """

    url: str
    trouble: str = ""


def trace_target(environment: Mapping[str, str]) -> TraceTarget | None:
    """Return where traces go; `None` when tracing is off.

    Parameters
    ----------
    environment
        The process's variables.
    """
    own, base = environment.get(_OWN, "").strip(), environment.get(_BASE, "").strip()
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not (own or base) or disabled or exporter == "none":
        return None
    url = own or f"{base.rstrip('/')}/v1/traces"
    return TraceTarget(url, _trouble(url, _OWN if own else _BASE, exporter=exporter, environment=environment))


def _trouble(url: str, variable: str, *, exporter: str, environment: Mapping[str, str]) -> str:
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER may be otlp or none, not {exporter[:32]!r}"
    if not url.startswith(("http://", "https://")):
        return f"{variable} is no http or https URL"
    variables = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((environment[name] for name in variables if environment.get(name)), _SPOKEN)
    if protocol != _SPOKEN:
        return f"only {_SPOKEN} is spoken, which collectors take at port 4318, not {protocol[:32]!r}"
    return ""
