"""Writes: what needs a registry is done by the functions, called directly; the rest goes to the API server."""

from image_catalog_functions.api.writing.accesses import AccessWriter
from image_catalog_functions.api.writing.asking import Asker
from image_catalog_functions.api.writing.calling import FunctionClient, Patience, open_client
from image_catalog_functions.api.writing.routing import routers

__all__ = ["AccessWriter", "Asker", "FunctionClient", "Patience", "open_client", "routers"]
