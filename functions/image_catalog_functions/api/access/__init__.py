"""Who may: bearer tokens and what RBAC grants to those whom they belong to."""

from image_catalog_functions.api.access.guard import Guard
from image_catalog_functions.api.access.open_guard import OpenGuard

__all__ = ["Guard", "OpenGuard"]
