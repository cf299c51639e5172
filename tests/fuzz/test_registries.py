"""A registry that answers anything at all, asked by the real client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import cycle

import httpx
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from image_catalog.errors import CatalogError
from image_catalog.local.registry import SampleImage, SampleIndex
from image_catalog.models import Reference
from image_catalog.registry import Credential, HostPolicy, RegistryClient
from image_catalog.testing.fuzzing import JSON, document, examples, within
from image_catalog.testing.network import Network

LIMIT = timedelta(seconds=1)
MOST_REQUESTS = 400
"""Requests of one look and one list of referrers: what indexes within indexes can be made to cost."""

IMAGE = SampleImage()
INDEX = SampleIndex([IMAGE, SampleImage(name="other", architecture="arm64")], attestations=True)
CREDENTIAL = Credential(username="tester", password="made-up-for-this-test", source="a test")

BODIES = st.sampled_from(
    [IMAGE.manifest, INDEX.manifest, IMAGE.blobs[0].content, b"", b"{}", b'{"token":"t"}', b"<html>"]
) | JSON.map(document)
VALUES = st.sampled_from(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        IMAGE.digest,
        INDEX.digest,
        "https://registry.test/v2/x",
        "https://evil.test/x",
        "http://registry.test/x",
        "/relative",
        'Bearer realm="https://registry.test/token",service="s",scope="repository:team/os:pull"',
        'Bearer realm="https://evil.test/token"',
        'Basic realm="x"',
        "gzip",
        "99999999999999999999",
        "0",
        "Wed, 21 Oct 2099 07:28:00 GMT",
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Docker-Content-Digest",
            "Location",
            "WWW-Authenticate",
            "Retry-After",
            "Content-Encoding",
            "Content-Length",
            "RateLimit-Remaining",
            "Link",
        ]
    ),
    VALUES,
    max_size=4,
)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 206, 301, 302, 307, 400, 401, 403, 404, 405, 406, 429, 500, 503])
ANSWERS = st.lists(st.tuples(STATUSES, HEADERS, BODIES), min_size=1, max_size=8)


def serve(network: Network, answers: Iterator[tuple[int, dict[str, str], bytes]]) -> None:
    """Let two hosts give the same answers in turn, whatever is asked."""

    def answer(_: httpx.Request) -> httpx.Response:
        status, headers, body = next(answers)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    for origin in ("https://registry.test", "https://evil.test"):
        network.serve(origin, answer)


async def look(network: Network, *, deep: bool) -> None:
    image = Reference.parse("registry.test/team/os:1.0")
    async with RegistryClient.create(hosts=HostPolicy(), connect=network.connect) as client:
        with suppress(CatalogError):
            await client.inspect(image, credential=CREDENTIAL, known=IMAGE.digest, deep=deep)
        with suppress(CatalogError):
            await client.referrers(image, IMAGE.digest, credential=CREDENTIAL)


@examples()
@given(ANSWERS, st.booleans())
def test_a_registry_may_answer_anything(answers: list[tuple[int, dict[str, str], bytes]], deep: bool) -> None:  # noqa: FBT001 - hypothesis gives it so
    network = Network()
    serve(network, cycle(answers))
    with within(LIMIT):
        asyncio.run(look(network, deep=deep))
    assert network.shown("evil.test") == set(), "no credential leaves its host"
    assert len(network.requests) <= MOST_REQUESTS


def test_make_fuzz_runs_100_000_examples() -> None:
    properties = 12
    assert properties * hypothesis_settings.get_profile("fuzz").max_examples >= 100_000
