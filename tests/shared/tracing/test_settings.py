from __future__ import annotations

from typing import Any

import pytest

from image_catalog.tracing import TraceTarget, is_tracing, start_tracing, trace_target

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, id="empty"),
        pytest.param({"OTEL_SERVICE_NAME": "publish"}, id="a name alone"),
        pytest.param({**BASE, "OTEL_SDK_DISABLED": "True"}, id="disabled"),
        pytest.param({**BASE, "OTEL_TRACES_EXPORTER": "none"}, id="no exporter"),
    ],
)
def test_tracing_is_off(environment: dict[str, str]) -> None:
    assert trace_target(environment) is None
    assert not start_tracing(environment, service="publish")


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        pytest.param(BASE, "http://collector:4318/v1/traces", id="a base"),
        pytest.param(
            {**BASE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces/in"},
            "https://traces/in",
            id="one of its own",
        ),
        pytest.param(
            {**BASE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "otlp"},
            "http://collector:4318/v1/traces",
            id="all said",
        ),
    ],
)
def test_traces_go_where_the_variables_say(environment: dict[str, str], url: str) -> None:
    assert trace_target(environment) == TraceTarget(url)


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/protobuf is spoken", id="another protocol"),
        pytest.param({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER may be otlp", id="another exporter"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "is no http or https URL", id="no URL"),
    ],
)
def test_what_cannot_be_is_told_and_keeps_nobody_from_working(
    said: dict[str, str], trouble: str, log: list[dict[str, Any]]
) -> None:
    assert not start_tracing(BASE | said, service="publish")
    assert not is_tracing()
    (line,) = log
    assert (line["event"], line["log_level"]) == ("traces not sent", "warning")
    assert trouble in line["message"]
