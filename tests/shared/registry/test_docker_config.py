"""Which entry of a docker configuration is for which image."""

import base64
import json
import secrets
from typing import Any

import pytest

from image_catalog.models import Reference
from image_catalog.registry import BrokenConfigError, DockerConfig

PASSWORD = secrets.token_hex(12)


def auth(user: str, password: str = PASSWORD) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def config(*keys: str, **more: Any) -> DockerConfig:
    entries = {key: auth(key) for key in keys} | more
    return DockerConfig.parse(json.dumps({"auths": entries}).encode(), source="Secret a/b")


@pytest.mark.parametrize(
    ("key", "reference"),
    [
        pytest.param("quay.io", "quay.io/org/image", id="host"),
        pytest.param("QUAY.io", "quay.io/org/image", id="case"),
        pytest.param("https://quay.io", "quay.io/org/image", id="scheme"),
        pytest.param("http://quay.io", "quay.io/org/image", id="plain-scheme"),
        pytest.param("quay.io:443", "quay.io/org/image", id="default-port"),
        pytest.param("quay.io/", "quay.io/org/image", id="slash"),
        pytest.param("https://quay.io/v1/", "quay.io/org/image", id="v1"),
        pytest.param("https://quay.io/v2/", "quay.io/org/image", id="v2"),
        pytest.param("https://quay.io/v2/org", "quay.io/org/image", id="v2-and-path"),
        pytest.param("quay.io/org", "quay.io/org/image", id="path"),
        pytest.param("quay.io/org/image", "quay.io/org/image", id="whole-path"),
        pytest.param("registry.test:5000", "registry.test:5000/x", id="port"),
        pytest.param("*.example.test", "a.example.test/x", id="wildcard"),
        pytest.param("reg*.example.test", "registry.example.test/x", id="wildcard-in-a-label"),
        pytest.param("*.*.test", "a.b.test/x", id="two-wildcards"),
        pytest.param("*.example.test:5000/org", "a.example.test:5000/org/x", id="wildcard-port-and-path"),
        pytest.param("https://index.docker.io/v1/", "docker.io/fedora", id="old-docker-hub-key"),
        pytest.param("index.docker.io", "docker.io/fedora", id="index-docker-io"),
        pytest.param("docker.io", "index.docker.io/fedora", id="docker-io"),
        pytest.param("docker.io/library", "docker.io/fedora", id="library"),
        pytest.param("[2001:db8::1]:5000", "[2001:db8::1]:5000/x", id="ipv6"),
    ],
)
def test_key_is_for_the_image(key: str, reference: str) -> None:
    found = config(key).find(Reference.parse(reference))
    assert found.key == key
    assert found.credential
    assert found.credential.username == key.partition(":")[0]
    assert found.credential.source == f"Secret a/b, key {key}"


@pytest.mark.parametrize(
    ("key", "reference"),
    [
        pytest.param("quay.io", "quay.io:8443/x", id="other-port"),
        pytest.param("quay.io:8443", "quay.io/x", id="port-too-much"),
        pytest.param("quay.io", "a.quay.io/x", id="sub-domain"),
        pytest.param("a.quay.io", "quay.io/x", id="parent-domain"),
        pytest.param("quay.io", "quay.io.evil.test/x", id="prefix"),
        pytest.param("quay.io/org", "quay.io/organisation/x", id="part-of-a-segment"),
        pytest.param("quay.io/org/image/more", "quay.io/org/image", id="longer-path"),
        pytest.param("*.example.test", "example.test/x", id="wildcard-for-nothing"),
        pytest.param("*.example.test", "a.b.example.test/x", id="wildcard-for-two-labels"),
        pytest.param("*.io", "quay.test/x", id="wildcard-of-another-domain"),
        pytest.param("*", "quay.io/x", id="wildcard-alone"),
        pytest.param("", "quay.io/x", id="empty"),
        pytest.param("ftp://quay.io", "quay.io/x", id="other-scheme"),
        pytest.param("user@quay.io", "quay.io/x", id="user-information"),
        pytest.param("quay.io/v2", "quay.io/x", id="v2-as-a-path"),
        pytest.param("gcr.io", "docker.io/fedora", id="never-the-first-entry"),
    ],
)
def test_key_is_not_for_the_image(key: str, reference: str) -> None:
    found = config(key).find(Reference.parse(reference))
    assert found.credential is None
    assert found.key is None
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("keys", "winner"),
    [
        pytest.param(["*.example.test", "a.example.test"], "a.example.test", id="exact-before-wildcard"),
        pytest.param(["*.example.test/org/x", "a.example.test"], "a.example.test", id="exact-before-longer-path"),
        pytest.param(["a.example.test", "a.example.test/org"], "a.example.test/org", id="longer-path"),
        pytest.param(["a.example.test/org", "a.example.test/org/x"], "a.example.test/org/x", id="longest-path"),
        pytest.param(["*.example.test", "*.example.test/org"], "*.example.test/org", id="path-among-wildcards"),
        pytest.param(["*.*.test", "*.example.test"], "*.example.test", id="fewer-wildcards"),
    ],
)
def test_most_specific_key_wins(keys: list[str], winner: str) -> None:
    image = Reference.parse("a.example.test/org/x")
    assert config(*keys).find(image).key == winner
    assert config(*reversed(keys)).find(image).key == winner


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        pytest.param({"auth": "%%%"}, "base64", id="no-base64"),
        pytest.param({"auth": base64.b64encode(b"\xff\xfe").decode()}, "base64", id="no-text"),
        pytest.param({"auth": base64.b64encode(b"user").decode()}, "user:password", id="no-colon"),
        pytest.param({"auth": base64.b64encode(b"user:").decode()}, "neither", id="no-password"),
        pytest.param({"auth": 7}, "neither", id="number"),
        pytest.param({}, "neither", id="empty"),
        pytest.param([], "no object", id="list"),
        pytest.param(None, "no object", id="null"),
    ],
)
def test_broken_entry_spoils_only_itself(entry: Any, problem: str) -> None:
    broken = DockerConfig({"quay.io/org": entry, "quay.io": auth("whole-host")}, source="Secret a/b")
    found = broken.find(Reference.parse("quay.io/org/x"))
    assert found.key == "quay.io"
    assert problem in found.warnings[0]
    assert "'quay.io/org' of Secret a/b" in found.warnings[0]
    assert broken.find(Reference.parse("quay.io/other/x")).warnings == ()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(auth("user", "pass:with:colons"), ("user", "pass:with:colons", ""), id="colons"),
        pytest.param(auth("robot$project+name", "p"), ("robot$project+name", "p", ""), id="dollar"),
        pytest.param({"username": "u", "password": "p"}, ("u", "p", ""), id="fields"),
        pytest.param(auth("from-auth") | {"username": "u", "password": "p"}, ("from-auth", PASSWORD, ""), id="both"),
        pytest.param({"auth": base64.b64encode(b"u:p").decode().rstrip("=")}, ("u", "p", ""), id="no-padding"),
        pytest.param({"auth": base64.b64encode(b"u:p\0").decode()}, ("u", "p", ""), id="zero-byte-at-end"),
        pytest.param({"auth": "PHRva2VuPjo=", "identitytoken": "r"}, ("<token>", "", "r"), id="identity-token"),
    ],
)
def test_entries_hold_credentials_in_several_forms(entry: dict[str, str], expected: tuple[str, str, str]) -> None:
    credential = DockerConfig({"quay.io": entry}, source="x").find(Reference.parse("quay.io/x")).credential
    assert credential
    assert (credential.username, credential.password, credential.identity_token) == expected


@pytest.mark.parametrize("content", [b"", b"[]", b'{"auths":[]}', b'"x"', b"{"], ids=str)
def test_content_that_is_no_configuration_is_refused(content: bytes) -> None:
    with pytest.raises(BrokenConfigError):
        DockerConfig.parse(content, source="x")


def test_configuration_without_entries_is_empty() -> None:
    empty = DockerConfig.parse(b'{"credsStore":"x"}', source="x")
    assert empty.find(Reference.parse("quay.io/x")).credential is None
