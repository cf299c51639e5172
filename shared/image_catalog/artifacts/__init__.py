"""The files of builds in object stores; the only code that speaks to S3.

`files` is what there is to say of a file, `credential` what opens a store,
`s3` the questions, `carrying` how boto3's requests get there.
"""

from image_catalog.artifacts.carrying import CarriedAnswer, Carrier
from image_catalog.artifacts.credential import StoreCredential
from image_catalog.artifacts.files import StoredFile, StoredFiles, format_of, object_url
from image_catalog.artifacts.s3 import LISTED, ObjectStores

__all__ = [
    "LISTED",
    "CarriedAnswer",
    "Carrier",
    "ObjectStores",
    "StoreCredential",
    "StoredFile",
    "StoredFiles",
    "format_of",
    "object_url",
]
