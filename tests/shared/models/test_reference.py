"""Spellings from the distribution specification, its implementations, and the advisories about them."""

import hashlib
import re

import jsonschema_rs
import pytest
import re2  # type: ignore[import-untyped]  # its wheel carries no types
from hypothesis import given, settings
from hypothesis import strategies as st

from image_catalog.errors import InvalidReferenceError
from image_catalog.models.reference import (
    DIGEST_PATTERN,
    MAX_PATH_LENGTH,
    MAX_REFERENCE_LENGTH,
    REFERENCE_PATTERN,
    Reference,
    is_digest,
    parse_host,
    without_credentials,
)

pytestmark = pytest.mark.story

SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8
LONGEST_LABEL = "a" * 63

VALID = {
    "quay.io/org/image": "quay.io/org/image:latest",
    "quay.io/org/image:v1": "quay.io/org/image:v1",
    "QUAY.io/org/image:v1": "quay.io/org/image:v1",
    "quay.io:443/org/image": "quay.io/org/image:latest",
    "quay.io:8443/org/image": "quay.io:8443/org/image:latest",
    "quay.io/image": "quay.io/image:latest",
    "quay.io/a/b/c/d/e": "quay.io/a/b/c/d/e:latest",
    f"quay.io/org/image@{SHA256}": f"quay.io/org/image@{SHA256}",
    f"quay.io/org/image@{SHA512}": f"quay.io/org/image@{SHA512}",
    f"quay.io/org/image:v1@{SHA256}": "quay.io/org/image:v1",
    "docker.io/fedora": "docker.io/library/fedora:latest",
    "docker.io/fedora:40": "docker.io/library/fedora:40",
    "docker.io/library/fedora": "docker.io/library/fedora:latest",
    "docker.io/org/image": "docker.io/org/image:latest",
    "Docker.io:443/fedora": "docker.io/library/fedora:latest",
    "index.docker.io/fedora": "docker.io/library/fedora:latest",
    "docker.io:5000/fedora": "docker.io:5000/fedora:latest",
    "localhost/image": "localhost/image:latest",
    "LOCALHOST/image": "localhost/image:latest",
    "localhost:443/image": "localhost/image:latest",
    "localhost:5000/image:1": "localhost:5000/image:1",
    "registry:5000/image": "registry:5000/image:latest",
    "registry:443/image": "registry:443/image:latest",
    "127.0.0.1/image": "127.0.0.1/image:latest",
    "192.0.2.1:5000/image": "192.0.2.1:5000/image:latest",
    "[::1]/image": "[::1]/image:latest",
    "[::1]:443/image": "[::1]/image:latest",
    "[2001:DB8::1]:5000/image": "[2001:db8::1]:5000/image:latest",
    "xn--mnchen-3ya.example/image": "xn--mnchen-3ya.example/image:latest",
    "a--b.example/image": "a--b.example/image:latest",
    "1and1.example/image": "1and1.example/image:latest",
    "1.2.3.4.example/image": "1.2.3.4.example/image:latest",
    f"{LONGEST_LABEL}.example/image": f"{LONGEST_LABEL}.example/image:latest",
    "quay.io/a.b/c_d/e__f/g---h": "quay.io/a.b/c_d/e__f/g---h:latest",
    "quay.io/0/1": "quay.io/0/1:latest",
    "quay.io/image:_": "quay.io/image:_",
    "quay.io/image:V1.0-Rc_1": "quay.io/image:V1.0-Rc_1",
    "quay.io/image:" + "t" * 128: "quay.io/image:" + "t" * 128,
    "quay.io/" + "a" * MAX_PATH_LENGTH: "quay.io/" + "a" * MAX_PATH_LENGTH + ":latest",
    "image-registry.openshift-image-registry.svc:5000/ns/image": (
        "image-registry.openshift-image-registry.svc:5000/ns/image:latest"
    ),
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com/image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/image:latest",
}

INVALID = {
    "empty": ("", "empty"),
    "no-host": ("image", "docker.io/image"),
    "no-host-with-tag": ("image:v1", "names no registry host"),
    "path-without-host": ("org/image", "names no registry host"),
    "host-alone": ("quay.io", "names no registry host"),
    "scheme": ("https://quay.io/image", "write quay.io/image"),
    "other-scheme": ("docker://quay.io/image", "leave out the scheme"),
    "user-information": ("someone:hush@quay.io/image", "holds no credentials"),
    "user-information-with-scheme": ("https://someone:hush@quay.io/image", "holds no credentials"),
    "user-information-without-a-repository": ("someone:hush@quay.io", "holds no credentials"),
    "user-information-behind-slashes": ("//someone:hush@quay.io ", "holds no credentials"),
    "user-information-behind-slashes-and-a-port": ("//someone:hush@registry:5000", "holds no credentials"),
    "user-information-before-slashes": ("someone:hush@quay.io://", "holds no credentials"),
    "user-information-with-a-slash": ("someone:hu/sh@quay.io", "holds no credentials"),
    "user-information-with-an-at": ("someone:hush@sha256:@quay.io/x", "holds no credentials"),
    "empty-repository": ("quay.io/", "no path component"),
    "empty-component": ("quay.io/org//image", "no path component"),
    "trailing-slash": ("quay.io/org/", "no path component"),
    "parent-component": ("quay.io/../image", "no path component"),
    "dot-component": ("quay.io/./image", "no path component"),
    "upper-case": ("quay.io/Org/image", "write 'org'"),
    "leading-dash": ("quay.io/-image", "no path component"),
    "trailing-dot": ("quay.io/image./x", "no path component"),
    "three-underscores": ("quay.io/a___b", "no path component"),
    "two-dots": ("quay.io/a..b", "no path component"),
    "dot-and-underscore": ("quay.io/a._b", "no path component"),
    "percent-encoding": ("quay.io/a%2fb", "no path component"),
    "query": ("quay.io/image?x=1", "no path component"),
    "path-too-long": ("quay.io/" + "a" * (MAX_PATH_LENGTH + 1), "longer than 255"),
    "hub-path-too-long-once-expanded": ("docker.io/" + "a" * 250, "longer than 255"),
    "text-too-long": ("quay.io/" + "a" * MAX_REFERENCE_LENGTH, "longer than"),
    "empty-tag": ("quay.io/image:", "the tag must be"),
    "tag-with-leading-dot": ("quay.io/image:.v1", "the tag must be"),
    "tag-with-leading-dash": ("quay.io/image:-v1", "the tag must be"),
    "tag-too-long": ("quay.io/image:" + "t" * 129, "the tag must be"),
    "two-tags": ("quay.io/image:a:b", "the tag must be"),
    "tag-with-slash": ("quay.io/image:a/b", "the tag must be"),
    "digest-too-short": ("quay.io/image@sha256:abc", "after @"),
    "digest-upper-case": ("quay.io/image@" + SHA256.upper(), "after @"),
    "digest-of-unknown-algorithm": ("quay.io/image@md5:" + "a" * 32, "after @"),
    "digest-of-wrong-length": ("quay.io/image@sha512:" + "a" * 64, "after @"),
    "empty-digest": ("quay.io/image@", "after @"),
    "two-digests": (f"quay.io/image@{SHA256}@{SHA256}", "after @"),
    "digest-before-tag": (f"quay.io/image@{SHA256}:v1", "after @"),
    "space": ("quay.io/my image", "printable ASCII"),
    "leading-space": (" quay.io/image", "printable ASCII"),
    "line-feed-at-end": ("quay.io/image\n", "printable ASCII"),
    "null": ("quay.io/image\0", "printable ASCII"),
    "unicode-letters": ("quay.io/imäge", "printable ASCII"),
    "unicode-digits": ("quay.io/image:١", "printable ASCII"),
    "ideographic-full-stops": ("127。0。0。1/image", "printable ASCII"),
    "circled-digit": ("①27.0.0.1/image", "printable ASCII"),
    "unicode-host": ("münchen.example/image", "printable ASCII"),
    "octal-ipv4": ("0177.0.0.1/image", "no IPv4 address"),
    "leading-zeros-ipv4": ("127.0.0.01/image", "no IPv4 address"),
    "short-ipv4": ("127.1/image", "no IPv4 address"),
    "long-ipv4": ("1.2.3.4.5/image", "no IPv4 address"),
    "hexadecimal-ipv4": ("0x7f.0.0.1/image", "no IPv4 address"),
    "hexadecimal-last": ("127.0.0.0x1/image", "no IPv4 address"),
    "decimal-ipv4": ("2130706433:5000/image", "no IPv4 address"),
    "hexadecimal-number": ("0x7f000001:5000/image", "no IPv4 address"),
    "ipv4-out-of-range": ("256.0.0.1/image", "no IPv4 address"),
    "host-ending-in-number": ("registry.1/image", "no IPv4 address"),
    "ipv6-not-compressed": ("[0:0:0:0:0:0:0:1]/image", "write [::1]"),
    "ipv6-leading-zeros": ("[2001:0db8::1]/image", "write [2001:db8::1]"),
    "ipv6-mapped": ("[::ffff:7f00:1]/image", "write 127.0.0.1"),
    "ipv6-dotted": ("[::ffff:127.0.0.1]/image", "no IPv6 address"),
    "ipv6-zone": ("[fe80::1%eth0]/image", "no IPv6 address"),
    "ipv6-without-brackets": ("::1/image", "must be 1 to 65535"),
    "ipv6-open-bracket": ("[::1/image", "no IPv6 address"),
    "brackets-around-a-name": ("[quay.io]/image", "no IPv6 address"),
    "brackets-around-ipv4": ("[127.0.0.1]/image", "no IPv6 address"),
    "text-after-brackets": ("[::1]x/image", "only a port may follow"),
    "port-zero": ("quay.io:0/image", "must be 1 to 65535"),
    "port-too-large": ("quay.io:65536/image", "must be 1 to 65535"),
    "port-leading-zero": ("quay.io:0443/image", "must be 1 to 65535"),
    "port-empty": ("quay.io:/image", "must be 1 to 65535"),
    "port-signed": ("quay.io:+443/image", "must be 1 to 65535"),
    "underscore-in-host": ("bad_hostname.com/image", "no host name"),
    "leading-dash-in-host": ("-quay.io/image", "no host name"),
    "trailing-dash-in-host": ("quay-.io/image", "no host name"),
    "trailing-dot-in-host": ("quay.io./image", "no host name"),
    "leading-dot-in-host": (".quay.io/image", "no host name"),
    "two-dots-in-host": ("quay..io/image", "no host name"),
    "label-too-long": (f"a{LONGEST_LABEL}.example/image", "no host name"),
    "host-too-long": (".".join([LONGEST_LABEL] * 4) + ".example/image", "no host name"),
    "backslash": ("quay.io\\@evil.example/image", "holds no credentials"),
}


@pytest.mark.parametrize(("text", "canonical"), VALID.items(), ids=VALID)
def test_valid_reference_has_one_canonical_form(text: str, canonical: str) -> None:
    reference = Reference.parse(text)
    assert reference.canonical == canonical
    assert Reference.parse(canonical).canonical == canonical
    assert Reference.parse(str(reference)) == reference
    assert reference.identity_hash == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize(("text", "message"), INVALID.values(), ids=INVALID)
def test_invalid_reference_is_refused_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)
    assert message in caught.value.message
    assert caught.value.reason == "InvalidReference"
    assert "hush" not in caught.value.message


CREDENTIALS = [
    "someone:hush@quay.io/image",
    "https://someone:hush@quay.io/image",
    "https://someone:hush@quay.io",
    "https://someone:hu/sh@quay.io",
    "someone:hush@quay.io",
    f"someone:hush@quay.io/image@{SHA256}",
    f"https://someone:hush@quay.io/image@{SHA256}",
    "some@one:hush@quay.io/image",
    f"some@one:hush/@quay.io@{SHA256}",
]


@pytest.mark.parametrize("text", CREDENTIALS)
def test_a_password_that_somebody_typed_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)
    assert "hush" not in caught.value.message
    assert "hush" not in without_credentials(text)


@pytest.mark.parametrize("text", [*VALID, "https://quay.io/image", f"https://quay.io/image@{SHA256}", "", "image"])
def test_what_holds_no_credentials_is_shown_as_it_was_typed(text: str) -> None:
    assert without_credentials(text) == text


@pytest.mark.parametrize("text", VALID, ids=str)
def test_schema_pattern_admits_every_valid_reference(text: str) -> None:
    assert re2.search(REFERENCE_PATTERN, text)
    assert jsonschema_rs.is_valid({"type": "string", "pattern": REFERENCE_PATTERN}, text)
    assert re.search(REFERENCE_PATTERN, text)


@pytest.mark.parametrize(
    "name",
    sorted(
        set(INVALID)
        # What a regular expression cannot say, or only at a length that no schema should have.
        - {name for name in INVALID if name.startswith(("ipv6-not", "ipv6-leading", "ipv6-mapped"))}
        - {"octal-ipv4", "leading-zeros-ipv4", "short-ipv4", "long-ipv4", "hexadecimal-ipv4", "hexadecimal-last"}
        - {"decimal-ipv4", "hexadecimal-number", "ipv4-out-of-range", "host-ending-in-number", "port-too-large"}
        - {"path-too-long", "hub-path-too-long-once-expanded", "text-too-long", "host-too-long"}
    ),
)
def test_schema_pattern_refuses_what_it_can(name: str) -> None:
    text = INVALID[name][0]
    assert not re2.search(REFERENCE_PATTERN, text)
    assert not jsonschema_rs.is_valid({"type": "string", "pattern": REFERENCE_PATTERN}, text)


def test_fields_are_normalised() -> None:
    reference = Reference.parse(f"Docker.IO/fedora:40@{SHA256}")
    assert (reference.host, reference.port, reference.repository) == ("docker.io", None, "library/fedora")
    assert (reference.tag, reference.digest) == ("40", SHA256)
    assert reference.registry == "docker.io"
    assert reference.name == "docker.io/library/fedora"


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        pytest.param("quay.io/image", "latest", id="neither"),
        pytest.param("quay.io/image:v1", "v1", id="tag"),
        pytest.param(f"quay.io/image@{SHA256}", SHA256, id="digest"),
        pytest.param(f"quay.io/image:v1@{SHA256}", "v1", id="both"),
    ],
)
def test_registry_is_asked_for_the_tag_before_the_digest(text: str, identifier: str) -> None:
    assert Reference.parse(text).identifier == identifier


def test_digest_takes_the_place_of_the_tag() -> None:
    pinned = Reference.parse("quay.io/image:v1").with_digest(SHA256)
    assert str(pinned) == f"quay.io/image@{SHA256}"
    with pytest.raises(InvalidReferenceError, match="no digest"):
        pinned.with_digest("sha256:../../x")


def test_digest_patterns_are_anchored() -> None:
    assert re2.search(DIGEST_PATTERN, SHA256)
    assert not re2.search(DIGEST_PATTERN, SHA512)
    assert not re2.search(DIGEST_PATTERN, f"x{SHA256}")
    assert is_digest(SHA512)
    assert not is_digest(f"{SHA256}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("quay.io", ("quay.io", None), id="name"),
        pytest.param("registry", ("registry", None), id="single-label"),
        pytest.param("[::1]:5000", ("[::1]", 5000), id="ipv6"),
        pytest.param("Quay.io:443", ("quay.io", None), id="default-port"),
    ],
)
def test_hosts_are_read_alone(text: str, expected: tuple[str, int | None]) -> None:
    assert parse_host(text) == expected


@given(st.text(max_size=80))
def test_any_text_is_a_reference_or_an_error(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError:
        return
    assert Reference.parse(reference.canonical).canonical == reference.canonical


@settings(max_examples=settings().max_examples // 4)  # A match of this pattern takes long to make up.
@given(st.from_regex(REFERENCE_PATTERN, fullmatch=True))
def test_what_the_schema_admits_parses_or_names_the_host_or_its_length(text: str) -> None:
    try:
        Reference.parse(text)
    except InvalidReferenceError as e:
        assert re.search("address|port|longer than|no host name|no image reference", e.message)  # noqa: PT017 (both ways are right)
