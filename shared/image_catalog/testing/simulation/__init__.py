"""Deterministic simulation: the real functions on a virtual clock, in a world where everything goes wrong by plan.

A seed is a `Plan` of small actions; `simulate` puts a world through it, and
holds every promise of the catalog against everything that happens. The same
plan always runs the same, so that a failing one can be shrunk to the shortest
that still fails, and told as a story.
"""

from image_catalog.testing.simulation.plan import Plan
from image_catalog.testing.simulation.planning import make_plan
from image_catalog.testing.simulation.shrinking import shrink
from image_catalog.testing.simulation.simulating import Outcome, simulate
from image_catalog.testing.simulation.storytelling import tell
from image_catalog.testing.simulation.troubles import FAULTS

__all__ = ["FAULTS", "Outcome", "Plan", "make_plan", "shrink", "simulate", "tell"]
