"""Who may: bearer tokens and what RBAC grants to those whom they belong to."""

from image_catalog_functions.api.access.guard import Guard
from image_catalog_functions.api.access.open_guard import OpenGuard
from image_catalog_functions.api.access.refusals import forbidden, unauthenticated

__all__ = ["Guard", "OpenGuard", "forbidden", "unauthenticated"]
