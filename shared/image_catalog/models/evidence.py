"""Hardware evidence, as an entry's status keeps it: how a content did on a board."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, PlainSerializer

from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Count, Digest, LabelValue

__all__ = ["Evidence", "TestResult", "TestRun", "TestedTarget"]


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_Moment = Annotated[Time, PlainSerializer(_written, return_type=str, when_used="json")]


class TestResult(StrEnum):
    """How a test on a board ended."""

    __test__ = False  # The name makes pytest look for tests in it.

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class TestRun(KubernetesModel):
    """One test of a content on a board."""

    __test__ = False  # The name makes pytest look for tests in it.

    id: Annotated[str, Field(max_length=128)]
    """Id of the event that told of it; told twice, it counts once."""
    at: _Moment
    """When the test ended: to the microsecond, as it says which of two was the last."""
    result: TestResult
    """How it ended."""
    report_url: str | None = None
    """Where the report can be read."""
    reported_by: Annotated[str, Field(max_length=512)]
    """Who told of it; ``unauthenticated`` for a report at the broker, where nobody is known."""
    source: Annotated[str, Field(max_length=256)] | None = None
    """What the event of a reporter that nobody knows says of where it comes from."""
    counts: bool = True
    """Whether it has a say in `targets`: it was told by somebody who is known, or everybody was believed then."""


class Evidence(KubernetesModel):
    """How one content did on one board."""

    digest: Digest
    """The content that was tested."""
    target: LabelValue
    """The board that it was tested on."""
    index: Digest | None = None
    """The multi-arch index that the content is a platform of, where it is one."""
    runs: Annotated[list[TestRun], Field(max_length=32)] = []
    """The last runs, newest first."""


class TestedTarget(KubernetesModel):
    """What holds of the current content on one board."""

    __test__ = False  # The name makes pytest look for tests in it.

    name: LabelValue
    """The board."""
    verified: bool
    """Whether the last test of the content on it passed; without a test, whether spec.metadata claims it of that."""
    tested: bool = False
    """Whether the content was tested on it: there is a run that counts and was not skipped."""
    pass_rate: Annotated[float | None, Field(ge=0, le=1)] = None
    """Share of the kept runs that passed, of those that count and were not skipped."""
    runs: Count = 0
    """Kept runs that count and were not skipped."""
    last_tested: Time | None = None
    """When the last of them ended."""
    claimed: Digest | None = None
    """The content that the claim of spec.metadata was first seen with; of another one it says nothing."""
