"""Looks for what a build left beside its image, for its entry to tell of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from image_catalog.catalog.budget import Urgency
from image_catalog.catalog.check_target import CheckTarget
from image_catalog.catalog.checker import Checker
from image_catalog.catalog.content import artifacts_of
from image_catalog.catalog.exports import BuildFiles, Exported, refs_of, served_file
from image_catalog.catalog.steps import StepLog
from image_catalog.catalog.wishes import Wish
from image_catalog.errors import CatalogError
from image_catalog.models import ArtifactRef, ArtifactStore
from image_catalog.models.events import StepStatus
from image_catalog.models.reference import without_credentials

__all__ = ["Exports"]

_STEP = "Artifacts"
_REGISTRY_TIMEOUT = timedelta(seconds=10)
"""Longest that the registry of a second artifact is asked; its image is published without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """Finds the files of builds.

    None that cannot be listed keeps an image from being published: a step says
    so as a warning, and whoever asks for the files later has them listed again.

    Parameters
    ----------
    files
        Lists buckets.
    checker
        Asks registries.
    """

    files: BuildFiles
    checker: Checker

    async def find(self, wish: Wish, steps: StepLog) -> Exported | None:
        """Look for what a build left.

        Parameters
        ----------
        wish
            The build's publication.
        steps
            Takes up how it went.

        Returns
        -------
        Exported or None
            What was found; `None` where no build is published.
        """
        exports = wish.exports
        if exports is None:
            return None
        refs: list[ArtifactRef] = []
        failed: set[str] = set()
        if exports.store is not None:
            try:
                refs += await self._stored(wish, exports.store, steps)
            except CatalogError as e:
                failed.add("s3")
                steps.add(_STEP, f"{e.reason}: {e.message}", StepStatus.WARNING)
        if exports.reference is not None:
            try:
                refs += await self._pushed(wish, exports.reference, steps)
            except CatalogError as e:
                failed.add("oci")
                steps.add(_STEP, f"{e.reason}: {e.message}", StepStatus.WARNING)
        served = served_file(exports)
        return Exported(exports.store, (*refs, *([served] if served else ())), frozenset(failed))

    async def _stored(self, wish: Wish, store: ArtifactStore, steps: StepLog) -> list[ArtifactRef]:
        found = await self.files.list_files(store, namespace=wish.namespace)
        count = len(found.files)
        if not found.complete:
            steps.add(_STEP, f"{store.title} has more files than the {count} that are listed", StepStatus.WARNING)
        elif not count:
            steps.add(_STEP, f"{store.title} has no files", StepStatus.WARNING)
        else:
            steps.add(_STEP, f"OK ({count} in {store.title})")
        return refs_of(found)

    async def _pushed(self, wish: Wish, reference: str, steps: StepLog) -> list[ArtifactRef]:
        target = CheckTarget(
            registry_url=reference,
            namespace=wish.namespace,
            auth_secret_ref=wish.auth_secret_ref,
            limit=_REGISTRY_TIMEOUT,
        )
        async with self.checker.place(reference, Urgency.ASKED):
            check = await self.checker.check(target)
        if check.error is not None:
            raise check.error
        found = artifacts_of(check.inspection, reference=reference) if check.inspection else []
        status = StepStatus.OK if found else StepStatus.WARNING
        shown = without_credentials(reference)
        steps.add(_STEP, f"OK ({len(found)} in {shown})" if found else f"{shown} is no artifact with files", status)
        return found
