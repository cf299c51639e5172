"""Every call of the flat form, for the app to include."""

from __future__ import annotations

from fastapi import APIRouter

from image_catalog_functions.api.flat import reading, writing
from image_catalog_functions.api.services import Services

__all__ = ["routers"]


def routers(services: Services) -> tuple[APIRouter, ...]:
    """Return the routes of every call."""
    return (reading.router(services), writing.router(services))
