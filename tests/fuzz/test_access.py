"""Whatever somebody types, or a registry asks for, it is understood or refused, and never for long."""

from __future__ import annotations

import base64
from datetime import timedelta

import httpx
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.errors import (
    CatalogError,
    HostNotAllowedError,
    InvalidReferenceError,
    RegistryFaultError,
    SecretError,
)
from image_catalog.models import Reference
from image_catalog.models.secrets import PullSecret
from image_catalog.registry import HostPolicy, find_credential
from image_catalog.registry.challenge import parse_challenges
from image_catalog.registry.hosts import Origin
from image_catalog.registry.limits import MAX_TOKEN_LIFE
from image_catalog.registry.realms import judge_realm
from image_catalog.registry.redirects import follow
from image_catalog.registry.tokens import _read_token
from image_catalog.testing.fuzzing import JSON, document, examples, mutated, refused, within

LIMIT = timedelta(milliseconds=200)

HOSTS = st.sampled_from(
    [
        "quay.io",
        "QUAY.io:443",
        "127.0.0.1",
        "0x7f.1",
        "[::1]:5000",
        "[::ffff:1.2.3.4]",
        "docker.io",
        "*.quay.io",
        "a_b.io",
        "①27.0.0.1",
        "user:pass@quay.io",
        "",
    ]
)
PIECES = st.sampled_from(
    ["/", "//", ":", "@", "..", "%2f", "#", "?", "\\", " ", "\0", "\t", "sha256:", "a" * 64, "org"]
)
URLS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "https://", "http://", "ftp://", "//", "HTTPS:", "javascript:"]),
        HOSTS,
        st.lists(PIECES | st.text(max_size=5), max_size=6).map("".join),
    ),
)


@examples()
@given(URLS | st.text(max_size=300))
def test_a_reference_is_read_or_refused(text: str) -> None:
    with within(LIMIT):
        try:
            reference = Reference.parse(text)
        except InvalidReferenceError as e:
            refused(e, without="user:pass")
            return
    assert Reference.parse(reference.canonical).canonical == reference.canonical
    assert Reference.parse(str(reference)) == reference


CHALLENGES = st.lists(
    st.sampled_from(
        ["Bearer ", "Basic ", "realm=", '"https://r.test/token"', ",", "=", '"', "\\", '\\"', "scope=", "Negotiate a=="]
    )
    | URLS
    | st.text(max_size=8),
    max_size=14,
).map("".join)


@examples()
@given(st.lists(CHALLENGES, max_size=3))
def test_a_challenge_is_read_and_its_realm_judged(headers: list[str]) -> None:
    hosts = HostPolicy()
    target = hosts.target("registry.test")
    with within(LIMIT):
        for challenge in parse_challenges(headers):
            assert challenge.scheme == challenge.scheme.lower()
            try:
                realm = judge_realm(challenge.parameters.get("realm", ""), target, hosts)
            except HostNotAllowedError:
                continue
            assert realm.origin.scheme == "https"
            assert not realm.trusted or realm.origin == target.origin


@examples()
@given(URLS | st.text(max_size=80))
def test_a_redirect_is_followed_to_what_was_judged_or_not_at_all(location: str) -> None:
    url, origin = httpx.URL("https://registry.test/v2/team/os/blobs/x"), Origin("https", "registry.test", 443)
    with within(LIMIT):
        try:
            following, judged = follow(url, origin, location, "registry.test: team/os")
        except (RegistryFaultError, HostNotAllowedError):
            return
    assert following.scheme == judged.scheme == "https"
    assert following.raw_host.decode() == judged.host.strip("[]")
    assert not following.userinfo


TEXTS = st.text(max_size=20)
AUTHS = st.builds(lambda text: base64.b64encode(text.encode(errors="replace")).decode(), TEXTS) | TEXTS
ENTRY = mutated({"auth": AUTHS, "username": TEXTS, "password": TEXTS, "identitytoken": TEXTS, "registrytoken": TEXTS})
CONFIG = st.fixed_dictionaries({"auths": st.dictionaries(URLS | HOSTS, ENTRY | JSON, max_size=4)}) | JSON
TYPES = st.sampled_from(
    ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg", "kubernetes.io/basic-auth", "Opaque", "other"]
)
KEYS = st.sampled_from([".dockerconfigjson", ".dockercfg", "username", "password", "token", "config.json"])
IMAGES = st.sampled_from(["quay.io/org/image", "docker.io/fedora", "[::1]:5000/x", "127.0.0.1/x", "a.quay.io/x:1"])


@examples()
@given(
    TYPES,
    st.dictionaries(KEYS, CONFIG.map(document) | st.binary(max_size=60), max_size=3),
    st.dictionaries(st.just("automotive.sdv.cloud.redhat.com/registry-host"), URLS | TEXTS),
    IMAGES,
)
def test_a_secret_has_a_credential_for_an_image_or_says_why_not(
    kind: str, data: dict[str, bytes], annotations: dict[str, str], image: str
) -> None:
    secret = PullSecret("pull", "team-a", type=kind, data=data, annotations=annotations)
    reference = Reference.parse(image)
    with within(LIMIT):
        try:
            credential = find_credential(secret, reference).credential
        except SecretError as e:
            refused(e, longest=8192)
            return
    assert credential is None or credential.secrets


TOKEN = mutated({"token": TEXTS, "access_token": TEXTS, "expires_in": st.integers() | st.floats(), "issued_at": TEXTS})


@examples()
@given(TOKEN.map(document) | JSON.map(document) | st.binary(max_size=60))
def test_a_token_is_read_or_refused(body: bytes) -> None:
    with within(LIMIT):
        try:
            value, life = _read_token(body, "the token server")
        except CatalogError:
            return
    assert value.isascii()
    assert 0 < life <= MAX_TOKEN_LIFE.total_seconds()
