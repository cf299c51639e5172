"""What verify does its work with: a part for each kind of event that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from image_catalog.cluster import EventRecorder
from image_catalog.context import Context
from image_catalog_functions.verify.locating import Locator
from image_catalog_functions.verify.probing import Prober
from image_catalog_functions.verify.reports import Reports
from image_catalog_functions.verify.verifier import Verifier

__all__ = ["Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The parts of the function.

    Parameters
    ----------
    verifier
        Checks entries and writes what it found.
    prober
        Probes registries, and tells of those that a check has found dead.
    reports
        Takes reports of tests.
    locator
        Makes URLs that open an entry's files.
    recorder
        Writes Kubernetes Events.
    """

    verifier: Verifier
    prober: Prober
    reports: Reports
    locator: Locator
    recorder: EventRecorder

    @classmethod
    def of(cls, context: Context) -> Self:
        """Make them of what a process works with."""
        images, settings = context.images, context.settings
        return cls(
            verifier=Verifier(
                images=images,
                claims=context.claims,
                checker=context.checker,
                schedule=context.schedule,
                clock=context.clock,
            ),
            prober=Prober.of(context),
            reports=Reports(images=images, settings=settings, clock=context.clock),
            locator=Locator(images=images, files=context.build_files, lifetime=settings.artifact_url_lifetime),
            recorder=context.recorder,
        )
