"""That everything can be measured; what the numbers are is no matter of a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
FUNCTIONS = ("publish", "verify", "reverify", "cleanup", "audit")
NAMES = {
    "publishing": {
        "publish_latency_ms_p50",
        "publish_latency_ms_p99",
        "publish_burst_latency_ms_p50",
        "publish_burst_latency_ms_p99",
    },
    "bursts": {"burst_5000_builds_seconds", "burst_rss_growth_mb", "slow_registry_p99_ratio"},
    "verify-requests": {"verify_requests_unchanged", "verify_requests_first_single", "verify_requests_first_index4"},
    "verify-throughput": {"verify_throughput_ratio"},
    "verify-memory": {"verify_memory_mb_bomb"},
    "outage": {"outage_requests_per_minute"},
    "audit-appends": {"audit_append_per_second", "audit_append_per_second_postgresql"},
    "audit-past": {"asof_ms_100k_records"},
    "downloads": {"download_ratio_curl", "download_cut_peak_mib", "download_flipped_byte_files"},
    "catalog-api": {
        "index_bytes_per_entry",
        "index_fill_seconds_100k",
        "list_throughput_ratio_nginx",
        "list_unique_ratio_nginx",
        "get_throughput_ratio_nginx",
        "resolve_throughput_ratio_nginx",
        "resolve_unique_ratio_nginx",
        "list_flatness_100k",
        "list_unique_flatness_100k",
        "list_p99_ms_1000_clients",
        "list_errors_1000_clients",
        "change_to_visible_ms_p99",
        "caib_version_ratio",
        "caib_list_ratio",
    },
    "scale": {
        "reverify_tick_bytes_per_entry",
        "reverify_tick_seconds",
        "api_rss_mb",
        "api_start_seconds",
        "kubernetes_requests_per_verification",
    },
    "cold-starts": {f"cold_start_ratio_{name}" for name in FUNCTIONS}
    | {f"cold_start_ratio_{name}_with_api_call" for name in ("publish", "verify", "cleanup", "audit")},
}


TOOLS = {"downloads": ("curl",), "catalog-api": ("wrk", "nginx", "taskset")}
MAY_BE_ANYTHING = {
    "burst_rss_growth_mb",
    "download_flipped_byte_files",
    "list_errors_1000_clients",
    "index_bytes_per_entry",
}
"""Figures that are nothing in the best case, or noise where next to nothing is measured."""


def lacking(part: str) -> str:
    """Say what a part needs and does not find here."""
    absent = [tool for tool in TOOLS.get(part, ()) if shutil.which(tool) is None]
    one_core = part in TOOLS and len(os.sched_getaffinity(0)) == 1
    return ", ".join(absent) or ("two cores" if one_core else "")


MEASURABLE = tuple(part for part in NAMES if not lacking(part))
"""Together in one process, because its imports take longer than most of them."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("parts", [MEASURABLE, *((part,) for part in NAMES if part not in MEASURABLE)], ids=" ".join)
def test_measuring_next_to_nothing_fills_every_figure(parts: tuple[str, ...], tmp_path: Path) -> None:
    if any(map(lacking, parts)):
        pytest.skip(f"needs {lacking(*parts)}")
    output = tmp_path / "build" / "bench.json"

    run = subprocess.run(
        [sys.executable, RUN, *parts, "--tiny", "--output", output],
        capture_output=True,
        text=True,
        check=False,
        timeout=220,
    )

    assert run.returncode == 0, run.stderr
    written = json.loads(output.read_text())
    assert written.keys() == {"figures"}
    assert written["figures"].keys() == set().union(*(NAMES[part] for part in parts))
    for name, figure in written["figures"].items():
        assert figure.keys() == {"value", "unit", "better", "note"}
        assert figure["value"] > 0 or name in MAY_BE_ANYTHING
        assert figure["better"] in {"lower", "higher"}
        assert figure["note"]
        assert name in run.stdout
