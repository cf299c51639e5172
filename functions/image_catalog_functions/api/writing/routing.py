"""Every route that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_catalog_functions.api.writing import events, images, publishing, verifying

if TYPE_CHECKING:
    from fastapi import APIRouter

    from image_catalog_functions.api.services import Services

__all__ = ["routers"]


def routers(services: Services) -> tuple[APIRouter, ...]:
    """Return the routes of every write."""
    return tuple(part.router(services) for part in (images, publishing, verifying, events))
