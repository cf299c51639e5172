"""The form that the Go ``caib`` in the field speaks: flat entries, over the same index, rights and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_catalog_functions.api.flat import reading, writing

if TYPE_CHECKING:
    from fastapi import APIRouter

    from image_catalog_functions.api.services import Services

__all__ = ["routers"]


def routers(services: Services) -> tuple[APIRouter, ...]:
    """Return the routes of every call."""
    return (reading.router(services), writing.router(services))
