"""Writes: what needs a registry is done by the functions, called directly; the rest goes to the API server."""

from image_catalog_functions.api.writing.accesses import AccessWriter
from image_catalog_functions.api.writing.asking import Asker
from image_catalog_functions.api.writing.bodies import BuildToPublish, Edit, NewImage, ReferenceToExplain
from image_catalog_functions.api.writing.calling import FunctionClient, Patience, open_client
from image_catalog_functions.api.writing.images import replace_image
from image_catalog_functions.api.writing.publishing import add_image, publish_build
from image_catalog_functions.api.writing.removing import remove_image
from image_catalog_functions.api.writing.routing import routers
from image_catalog_functions.api.writing.verifying import explain_reference, verify_image
from image_catalog_functions.api.writing.written import Written

__all__ = [
    "AccessWriter",
    "Asker",
    "BuildToPublish",
    "Edit",
    "FunctionClient",
    "NewImage",
    "Patience",
    "ReferenceToExplain",
    "Written",
    "add_image",
    "explain_reference",
    "open_client",
    "publish_build",
    "remove_image",
    "replace_image",
    "routers",
    "verify_image",
]
