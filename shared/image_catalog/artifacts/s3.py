"""What is asked of an object store: which files a build left there, and URLs that open them for a while."""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from itertools import accumulate
from typing import Any, Final
from urllib.parse import urlsplit

from image_catalog.artifacts.carrying import Carrier, carried_by
from image_catalog.artifacts.credential import StoreCredential
from image_catalog.artifacts.failures import store_failure
from image_catalog.artifacts.files import StoredFile, StoredFiles, object_url
from image_catalog.errors import CatalogError, StoreInvalidError
from image_catalog.models import ArtifactStore

__all__ = ["LISTED", "ObjectStores"]

LISTED: Final = 256
"""Most files that are listed of a build: as many as are shown of an artifact in a registry."""

_PAGES = 4
"""Most pages that are asked for: folders take up places in them, too."""

_AT_ONCE = 8
"""Checksums that are asked for at once."""

_ATTEMPTS = 2
"""How often boto3 asks before it gives up."""

_SHA256_BYTES = 32

_SESSION_LOCK = threading.Lock()

_NAMES_BYTES = 64 * 1024
"""What the names of all files may take: a status has 1.5 MiB, and a name stands there twice, once in a URL."""

_KEY_LENGTH = 1024
"""Longest key of an object, in S3's own words."""

_LARGEST_FILE = 2**50
"""Largest file by its own word: a status holds sizes in 64 bits."""


class ObjectStores:
    """Asks object stores that speak S3, with boto3, which is imported when it is first needed.

    Nothing of the process's own is shown to a store: no identity of its Pod,
    no configuration of its environment.

    Parameters
    ----------
    carrier
        Sends the requests.
    """

    def __init__(self, *, carrier: Carrier) -> None:
        self._carrier = carrier

    async def list_files(
        self, store: ArtifactStore, credential: StoreCredential | None, *, limit: int = LISTED
    ) -> StoredFiles:
        """List a build's files, with the SHA-256 of each that the store has one of.

        Parameters
        ----------
        store
            The bucket and the build's folder in it.
        credential
            What opens it; `None` asks as anybody.
        limit
            Most files that are listed.

        Raises
        ------
        AuthenticationError, AccessDeniedError
            Raised if the store does not take the credential, or denies access.
        StoreInvalidError
            Raised if there is no such bucket, or no store at the endpoint.
        TransientError
            Raised if the store does not answer, or is in trouble.
        HostNotAllowedError
            Raised if its host may not be contacted.
        """
        client = await asyncio.to_thread(self._client, store, credential, asyncio.get_running_loop())
        found, complete = await asyncio.to_thread(_list, client, store, limit)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def describe(entry: Mapping[str, Any]) -> StoredFile:
            key = entry["Key"]
            async with turns:
                sha256 = await asyncio.to_thread(_sha256, client, store, key) if _may_have_sha256(entry) else None
            name = key.removeprefix(store.folder)
            return StoredFile(name=name, url=object_url(store, key), size_bytes=entry["Size"], sha256=sha256)

        files = await asyncio.gather(*(describe(entry) for entry in found))
        return StoredFiles(tuple(sorted(files, key=lambda file: file.name)), complete)

    async def presign(
        self, store: ArtifactStore, credential: StoreCredential | None, names: Iterable[str], *, lifetime: timedelta
    ) -> dict[str, str]:
        """Return a URL for each file that opens it to whoever has the URL, for a while. No store is asked.

        Parameters
        ----------
        store
            The bucket and the build's folder in it.
        credential
            What opens it; `None` gives URLs that anybody could write.
        names
            The files, as `list_files` names them.
        lifetime
            How long the URLs open the files.

        Raises
        ------
        StoreInvalidError
            Raised if there can be no such bucket or endpoint.
        """
        return await asyncio.to_thread(self._presign, store, credential, tuple(names), lifetime)

    def _presign(
        self, store: ArtifactStore, credential: StoreCredential | None, names: Iterable[str], lifetime: timedelta
    ) -> dict[str, str]:
        client, seconds = self._client(store, credential, None), int(lifetime.total_seconds())
        try:
            return {
                name: client.generate_presigned_url(
                    "get_object", Params={"Bucket": store.bucket, "Key": store.folder + name}, ExpiresIn=seconds
                )
                for name in names
            }
        except Exception as e:
            raise store_failure(e, store) from e

    def _client(
        self, store: ArtifactStore, credential: StoreCredential | None, loop: asyncio.AbstractEventLoop | None
    ) -> Any:
        """Make boto3's client. It is made anew for each call, so that no key outlives its use."""
        import botocore.config  # noqa: PLC0415 - see the class
        import botocore.exceptions  # noqa: PLC0415 - see the class

        if store.endpoint is not None and not _is_url(store.endpoint):
            raise StoreInvalidError(f"{store.title}: its endpoint is no http or https URL")
        config = botocore.config.Config(
            signature_version="s3v4" if credential else botocore.UNSIGNED,
            # With a dot in its name a bucket's own host has no certificate; "auto" would sign for another region's.
            s3={"addressing_style": "path" if store.endpoint or "." in store.bucket else "virtual"},
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            ignore_configured_endpoint_urls=True,
            # Stores other than AWS's know neither of the two; our requests have no bodies.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        keys = _keys(credential) if credential else {}
        try:
            # A session makes one client at a time; it is kept for S3's model, which takes 50 ms to read.
            with _SESSION_LOCK:
                client = _session().client(
                    "s3", region_name=store.region or "us-east-1", endpoint_url=store.endpoint, config=config, **keys
                )
        except (botocore.exceptions.BotoCoreError, ValueError) as e:
            raise store_failure(e, store) from e
        if loop is not None:
            client.meta.events.register("before-send.s3", carried_by(self._carrier, loop))
        return client


@cache
def _session() -> Any:
    import boto3.session  # noqa: PLC0415 - see the class

    return boto3.session.Session()


def _is_url(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _keys(credential: StoreCredential) -> dict[str, str | None]:
    token = credential.session_token
    return {
        "aws_access_key_id": credential.access_key_id,
        "aws_secret_access_key": credential.secret_access_key.get_secret_value(),
        "aws_session_token": token.get_secret_value() if token else None,
    }


def _list(client: Any, store: ArtifactStore, limit: int) -> tuple[list[Mapping[str, Any]], bool]:
    """Return the objects of a folder without its folders' own, and whether these are all."""
    found: list[Mapping[str, Any]] = []
    more: dict[str, str] = {}
    for _ in range(_PAGES):
        try:
            page = client.list_objects_v2(Bucket=store.bucket, Prefix=store.folder, MaxKeys=limit, **more)
        except Exception as e:
            raise store_failure(e, store) from e
        found += [entry for entry in page.get("Contents") or () if _is_file(entry, store)]
        if sum(len(entry["Key"].encode()) for entry in found) > _NAMES_BYTES:
            break
        if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
            return found[:limit], len(found) <= limit
        if len(found) >= limit:
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    return _fitting(found[:limit]), False


def _fitting(entries: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first files, as many as there is room for their names."""
    sizes = accumulate(len(entry["Key"].encode()) for entry in entries)
    return [entry for entry, size in zip(entries, sizes, strict=True) if size <= _NAMES_BYTES]


def _is_file(entry: Mapping[str, Any], store: ArtifactStore) -> bool:
    """Return whether an object is a file of the build: a store of the user's choice may list anything."""
    key, size = entry.get("Key") or "", entry.get("Size")
    fits = len(key) <= _KEY_LENGTH and isinstance(size, int) and 0 <= size <= _LARGEST_FILE
    return fits and key.startswith(store.folder) and key != store.folder and not key.endswith("/")


def _may_have_sha256(entry: Mapping[str, Any]) -> bool:
    """Return whether a file's checksum is worth a request: the list says which kind there is, where it says any."""
    kinds = entry.get("ChecksumAlgorithm")
    # Of an object in parts the ETag ends with their number.
    in_parts = entry.get("ChecksumType") == "COMPOSITE" or "-" in (entry.get("ETag") or "")
    return not in_parts and (not kinds or "SHA256" in kinds)


def _sha256(client: Any, store: ArtifactStore, key: str) -> str | None:
    """Return the digest of an object; `None` where the store does not have it, or does not tell.

    Of an object that was uploaded in parts it is a checksum of the parts'
    checksums, which is of no use to who has the whole:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
    """
    try:
        head = client.head_object(Bucket=store.bucket, Key=key, ChecksumMode="ENABLED")
    except CatalogError:
        raise
    except Exception as e:  # noqa: BLE001 - a file without a checksum is listed all the same, whatever keeps it away
        store_failure(e, store)
        return None
    said = head.get("ChecksumSHA256") or ""
    if head.get("ChecksumType") == "COMPOSITE" or "-" in said:
        return None
    try:
        digest = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"sha256:{digest.hex()}" if len(digest) == _SHA256_BYTES else None
