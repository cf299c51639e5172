"""How long what strangers write can keep the catalog busy: nothing else is done meanwhile."""

import json
import time
from collections.abc import Callable

import httpx
import pytest

from image_catalog.errors import ManifestInvalidError
from image_catalog.models import Reference
from image_catalog.registry import BrokenConfigError, DockerConfig
from image_catalog.registry.answers import Answer, describe
from image_catalog.registry.challenge import parse_challenges
from image_catalog.registry.documents import read_object
from image_catalog.registry.hosts import Origin
from image_catalog.registry.limits import ERROR_BYTES, HEADER_BYTES, MANIFEST_BYTES

SECONDS = 0.7
"""What none of these takes on a slow machine. Each has a form that took several seconds before it had a bound."""


def error(text: str) -> Callable[[], object]:
    body = (text * ERROR_BYTES)[:ERROR_BYTES].encode()
    answer = Answer(500, httpx.Headers({"content-type": "text/plain"}), body, Origin("https", "registry.test", 443))
    return lambda: describe(answer)


def document(part: str) -> Callable[[], object]:
    body = f'{{"manifests":[{part * ((MANIFEST_BYTES - 20) // len(part))}1]}}'.encode()

    def read() -> None:
        with pytest.raises(ManifestInvalidError, match="parts"):
            read_object(body, "a manifest")

    return read


def docker_config() -> None:
    content = json.dumps({"auths": {f"r*{number:x}.t*": {} for number in range(50_000)}}).encode()
    with pytest.raises(BrokenConfigError, match="50000 entries"):
        DockerConfig.parse(content, source="Secret team-a/quay").find(Reference.parse("registry.test/a/b"))


def challenge(text: str) -> Callable[[], object]:
    header = (text * HEADER_BYTES)[:HEADER_BYTES]
    return lambda: parse_challenges([header])


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(error("eyJ-"), id="an error of beginnings of tokens"),
        pytest.param(error("eyJaaaaaaaa."), id="an error of parts of tokens"),
        pytest.param(error("https://"), id="an error of beginnings of URLs"),
        pytest.param(error("Bearer "), id="an error of schemes"),
        pytest.param(error("?X-Amz-"), id="an error of presigned parameters"),
        pytest.param(document("[" * 30 + "]" * 30 + ","), id="a manifest of nested lists"),
        pytest.param(document("[],"), id="a manifest of lists"),
        pytest.param(document('{"":1},'), id="a manifest of objects"),
        pytest.param(document("1,"), id="a manifest of numbers"),
        pytest.param(docker_config, id="a docker configuration of wildcards"),
        pytest.param(challenge('a="x,'), id="a challenge of open quotes"),
        pytest.param(challenge('a="\\"'), id="a challenge of escapes"),
        pytest.param(challenge("a "), id="a challenge of schemes"),
    ],
)
def test_text_of_a_stranger_is_read_in_time(work: Callable[[], object]) -> None:
    before = time.process_time()
    work()
    assert time.process_time() - before < SECONDS


@pytest.mark.parametrize("joined", ["", "-", "_", "x-", "eyJ", '"', "token="])
def test_token_is_not_repeated_wherever_it_stands(joined: str) -> None:
    header, payload = "eyJhbGciOiJSUzI1NiJ9", "eyJzdWIiOiJzb21lYm9keSJ9"
    body = f"the token {joined}{header}.{payload}.c2lnbmF0dXJl is not taken".encode()
    told = describe(
        Answer(403, httpx.Headers({"content-type": "text/plain"}), body, Origin("https", "registry.test", 443))
    )
    assert header not in told
    assert payload not in told
    assert "is not taken" in told
