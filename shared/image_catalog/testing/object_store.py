"""An object store that behaves: moto's server on a free port of this machine."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from image_catalog.models import ArtifactStore
from image_catalog.testing.network import Network

__all__ = ["BUCKET", "ObjectStore", "running_object_store"]

BUCKET = "images"

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading every CA of the system for each request takes longer than the request, and it is plain http."""


class ObjectStore:
    """A store with one bucket.

    Parameters
    ----------
    endpoint
        URL of the server.

    Attributes
    ----------
    endpoint
        URL of the server.
    """

    def __init__(self, endpoint: str) -> None:
        import boto3.session  # noqa: PLC0415 - slow to load, and few of those who collect these tests run them

        self.endpoint = endpoint
        self.client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )

    def place(self, build: str = "autosd", **fields: str | None) -> ArtifactStore:
        """Return where a build of the namespace ``team-a`` left its files."""
        known: dict[str, str | None] = {
            "bucket": BUCKET,
            "prefix": f"builds/{build}",
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "credentials_secret": "s3-keys",
            "namespace": "team-a",
        }
        return ArtifactStore.model_validate(known | fields)

    def put(self, key: str, content: bytes, *, checksum: bool = True) -> str:
        """Keep an object, with or without its SHA-256, and return its digest."""
        digest = hashlib.sha256(content)
        said = base64.b64encode(digest.digest()).decode()
        more = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": said} if checksum else {}
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **more)
        return f"sha256:{digest.hexdigest()}"

    def clear(self) -> None:
        """Remove every object of the bucket ``images``."""
        for entry in self.client.list_objects_v2(Bucket=BUCKET).get("Contents") or ():
            self.client.delete_object(Bucket=BUCKET, Key=entry["Key"])

    def serve(self, network: Network, origin: str = "https://s3.test") -> None:
        """Stand behind an origin of a network in process."""

        async def forward(request: httpx.Request) -> httpx.Response:
            async with httpx.AsyncClient(trust_env=False, verify=_NO_TLS) as client:
                headers = {name: value for name, value in request.headers.items() if name != "host"}
                url = self.endpoint + request.url.raw_path.decode()
                answer = await client.request(request.method, url, headers=headers, content=await request.aread())
                return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

        network.serve(origin, forward)

    def put_in_parts(self, key: str, parts: list[bytes]) -> None:
        """Keep an object as one that was uploaded in parts: its checksum is one of theirs."""
        upload = self.client.create_multipart_upload(Bucket=BUCKET, Key=key, ChecksumAlgorithm="SHA256")
        done = []
        for number, content in enumerate(parts, start=1):
            kept = self.client.upload_part(
                Bucket=BUCKET, Key=key, UploadId=upload["UploadId"], PartNumber=number, Body=content
            )
            done.append({"PartNumber": number, "ETag": kept["ETag"]})
        self.client.complete_multipart_upload(
            Bucket=BUCKET, Key=key, UploadId=upload["UploadId"], MultipartUpload={"Parts": done}
        )


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Run a store with the bucket ``images``, empty."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - the same

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        store = ObjectStore(f"http://{host}:{port}")
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        server.stop()
