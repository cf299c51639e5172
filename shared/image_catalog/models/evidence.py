"""Hardware evidence, as an entry's status keeps it: how a content did on a board."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Count, Digest, LabelValue

__all__ = ["Evidence", "TestResult", "TestRun", "TestedTarget"]


class TestResult(StrEnum):
    """How a test on a board ended."""

    __test__ = False  # The name makes pytest look for tests in it.

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class TestRun(KubernetesModel):
    """One test of a content on a board."""

    __test__ = False  # The name makes pytest look for tests in it.

    id: str
    """Id of the event that told of it; told twice, it counts once."""
    at: Time
    """When the test ended."""
    result: TestResult
    """How it ended."""
    report_url: str | None = None
    """Where the report can be read."""
    reported_by: str
    """Who told of it."""


class Evidence(KubernetesModel):
    """How one content did on one board."""

    digest: Digest
    """The content that was tested."""
    target: LabelValue
    """The board that it was tested on."""
    runs: Annotated[list[TestRun], Field(max_length=32)] = []
    """The last runs, newest first."""


class TestedTarget(KubernetesModel):
    """What holds of the current content on one board."""

    __test__ = False  # The name makes pytest look for tests in it.

    name: LabelValue
    """The board."""
    verified: bool
    """Whether the last test of the content on it passed; without evidence, what spec.metadata claims."""
    tested: bool = False
    """Whether there is evidence."""
    pass_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    """Share of the kept runs that passed, of those that were not skipped."""
    runs: Count = 0
    """Kept runs that were not skipped."""
    last_tested: Time | None = None
    """When the last of them ended."""
