from __future__ import annotations

import os


def test_what_a_measured_test_starts_is_not_measured() -> None:
    # Each of hundreds of processes would run at less than half its speed, and few of them would tell what they ran.
    assert "COVERAGE_PROCESS_CONFIG" not in os.environ
