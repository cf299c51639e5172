"""Every route that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_catalog_functions.api.writing import events, images, promoting, publishing, removing, verifying

if TYPE_CHECKING:
    from fastapi import APIRouter

    from image_catalog_functions.api.services import Services

__all__ = ["routers"]


def routers(services: Services) -> tuple[APIRouter, ...]:
    """Return the routes of every write."""
    parts = (images, removing, publishing, verifying, events, promoting)
    return tuple(part.router(services) for part in parts)
