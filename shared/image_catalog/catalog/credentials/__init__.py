"""Which credential is presented for an image: where it may come from, and which source has the say.

The order, and why each source was passed over, is in `order`; each source is a
module of its own behind the protocol of `asking`.
"""

from image_catalog.catalog.credentials.asking import Found, PassedOver, Source, Wanted
from image_catalog.catalog.credentials.auth_files import MountedFiles
from image_catalog.catalog.credentials.ecr import CloudIdentity
from image_catalog.catalog.credentials.kept import KeptSecrets
from image_catalog.catalog.credentials.order import Choice, CredentialSources
from image_catalog.catalog.credentials.registries import RegistryCredential
from image_catalog.catalog.credentials.secrets import EntrySecret, find_secret
from image_catalog.catalog.credentials.service_account import OwnToken

__all__ = [
    "Choice",
    "CloudIdentity",
    "CredentialSources",
    "EntrySecret",
    "Found",
    "KeptSecrets",
    "MountedFiles",
    "OwnToken",
    "PassedOver",
    "RegistryCredential",
    "Source",
    "Wanted",
    "find_secret",
]
