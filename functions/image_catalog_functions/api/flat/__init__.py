"""The form that the Go ``caib`` in the field speaks: flat entries, over the same index, rights and writes."""

from image_catalog_functions.api.flat.routing import routers

__all__ = ["routers"]
