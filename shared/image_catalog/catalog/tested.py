"""Boards: what the tests of an entry's current content, or somebody's claim on it, say of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from image_catalog.catalog.held import Held
from image_catalog.catalog.plain import objects
from image_catalog.catalog.publication import read_publication
from image_catalog.models import (
    CatalogImage,
    CatalogImageStatus,
    CatalogMetadata,
    Evidence,
    TestedTarget,
    TestResult,
    TestRun,
)
from image_catalog.models.names import ANNOTATION_DIGEST_PINNED_BY, PINNED_BY_PUBLISH

__all__ = ["age_of", "current_contents", "tells", "tested_targets", "vouched_metadata"]

_MAX_BOARDS = 128


def current_contents(status: CatalogImageStatus) -> tuple[str, ...]:
    """Return the content that an entry stands for, and its platforms."""
    registry = status.registry_metadata
    if registry is None:
        return ()
    return (registry.resolved_digest, *(variant.digest for variant in registry.platform_variants))


def age_of(run: TestRun) -> tuple[datetime, str, str]:
    """Return what runs are ordered by: when they ended."""
    return run.at, run.id, run.reported_by


def tells(run: TestRun) -> bool:
    """Tell whether a run has a say: it counts, and was not skipped."""
    return run.counts and run.result is not TestResult.SKIPPED


def tested_targets(image: CatalogImage, status: CatalogImageStatus) -> list[TestedTarget]:
    """Return what holds of each board that the image is for.

    Parameters
    ----------
    image
        The entry.
    status
        Its status as it shall be, but for the targets, which are those of before.
    """
    current, known = current_contents(status), {target.name: target for target in status.targets}
    held = status.effective_metadata or Held.of_image(image.model_copy(update={"status": status})).to_status()
    tested = {item.target for item in status.evidence if item.digest in current and any(map(tells, item.runs))}
    # An image that says nothing of boards is for those that it was tested on.
    boards = (held.targets or sorted(tested))[:_MAX_BOARDS]
    claims = _claims(image, current[0] if current else None)
    return [_target(board, status.evidence, current, claims.get(board, _Claim()), known.get(board)) for board in boards]


def vouched_metadata(image: CatalogImage) -> CatalogMetadata | None:
    """Return what a person says of an image, with those claims alone that are made of its present content.

    Whoever passes it on together with the content would otherwise claim of it
    what was said of another one.
    """
    said, current = image.spec.metadata, current_contents(image.status)[:1]
    if said is None:
        return None
    held = {target.name for target in image.status.targets if (target.claimed,) == current}
    targets = [
        target.model_copy(update={"verified": target.verified and target.name in held}) for target in said.targets
    ]
    return said.model_copy(update={"targets": targets})


@dataclass(frozen=True, slots=True)
class _Claim:
    """What somebody says of a board, and whether that was surely said of the current content."""

    verified: bool = False
    is_fresh: bool = False


def _claims(image: CatalogImage, digest: str | None) -> dict[str, _Claim]:
    """Return the claims of spec.metadata; each stays as it was typed, with whatever content comes."""
    publication, pin = read_publication(image), image.spec.digest
    ours = image.metadata.annotations.get(ANNOTATION_DIGEST_PINNED_BY) == PINNED_BY_PUBLISH
    pinned = pin is not None and pin == digest and not ours
    published = publication.metadata.get("targets") if publication and publication.digest == digest else None
    told = {target["name"] for target in objects(published) if target.get("verified") is True and "name" in target}
    claimed = image.spec.metadata.targets if image.spec.metadata else []
    return {target.name: _Claim(target.verified, pinned or target.name in told) for target in claimed}


def _target(
    board: str, evidence: Iterable[Evidence], current: tuple[str, ...], claim: _Claim, known: TestedTarget | None
) -> TestedTarget:
    digest, claimed = current[0] if current else None, None
    if claim.verified:
        claimed = digest if claim.is_fresh or known is None else known.claimed or digest
    runs = [run for item in evidence if item.target == board and item.digest in current for run in item.runs]
    told = sorted(filter(tells, runs), key=age_of)
    if not told:
        return TestedTarget(name=board, verified=claim.verified and claimed == digest, claimed=claimed)
    passed = sum(run.result is TestResult.PASSED for run in told)
    return TestedTarget(
        name=board,
        verified=told[-1].result is TestResult.PASSED,
        tested=True,
        pass_rate=round(passed / len(told), 4),
        runs=len(told),
        last_tested=told[-1].at,
        claimed=claimed,
    )
