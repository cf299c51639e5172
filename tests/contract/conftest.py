"""The option that runs the contract tests against a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig",
        type=Path,
        default=None,
        help="replay the recorded Kubernetes exchanges against this cluster instead of the embedded API; "
        "it gets the CRD gadgets.contract.example.com and the namespaces contract and other",
    )
