"""Recalls: what must not be used any more is marked wherever it is, and the world is told of it."""

from image_catalog_functions.api.recalling.keeping import RecallKeeper, Watched
from image_catalog_functions.api.recalling.telling import Teller

__all__ = ["RecallKeeper", "Teller", "Watched"]
