"""What others test of the same grammars, as facts in tables of our own, with where each comes from.

The tables beside each parser (`test_reference`, `test_docker_config`,
`test_challenge`, `test_addresses`) say what the catalog means; these say that
it means what the field does, and where it differs on purpose.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import secrets
from typing import Any

import pytest

from image_catalog.errors import InvalidReferenceError
from image_catalog.models import Reference
from image_catalog.registry import DockerConfig
from image_catalog.registry.addresses import Reach, classify
from image_catalog.registry.challenge import parse_challenges

pytestmark = pytest.mark.story

F64, F128 = "f" * 64, "f" * 128

REFUSED = ""
"""In place of a canonical form: it is no reference to us."""

REFERENCES = {
    # The catalog wants a host, so that a name alone, which these take, is refused.
    "distribution/reference reference_test.go": {
        "test_com": REFUSED,
        "test.com:tag": REFUSED,
        "test.com:5000": REFUSED,
        "test.com/repo:tag": "test.com/repo:tag",
        "test:5000/repo": "test:5000/repo:latest",
        "test:5000/repo:tag": "test:5000/repo:tag",
        f"test:5000/repo@sha256:{F64}": f"test:5000/repo@sha256:{F64}",
        f"test:5000/repo:tag@sha256:{F64}": "test:5000/repo:tag",
        ":justtag": REFUSED,
        f"@sha256:{F64}": REFUSED,
        "test.com/repo@sha256:" + "f" * 34: REFUSED,
        f"test.com/validname@invaliddigest:{F64}": REFUSED,
        "Uppercase:tag": REFUSED,
        "Uppercase/lowercase:tag": REFUSED,
        "test:5000/Uppercase/lowercase:tag": REFUSED,
        "lowercase:Uppercase": REFUSED,
        "a.a/" + "a/" * 127 + "a:tag": "a.a/" + "a/" * 127 + "a:tag",
        "a.a/" + "a/" * 128 + "a:tag": REFUSED,
        "aa.aa/asdf$$^/aa": REFUSED,
        "sub-dom1.foo.com/bar/baz/quux": "sub-dom1.foo.com/bar/baz/quux:latest",
        "sub-dom1.foo.com/bar/baz/quux:some-long-tag": "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
        "b.gcr.io/test.example.com/my-app:test.example.com": "b.gcr.io/test.example.com/my-app:test.example.com",
        "xn--n3h.com/myimage:xn--n3h.com": "xn--n3h.com/myimage:xn--n3h.com",
        f"xn--7o8h.com/myimage:xn--7o8h.com@sha512:{F128}": "xn--7o8h.com/myimage:xn--7o8h.com",
        "foo_bar.com:8080": REFUSED,
        "foo/foo_bar.com:8080": REFUSED,
        "foo.io/foo_bar.com:8080": "foo.io/foo_bar.com:8080",
        "192.168.1.1": REFUSED,
        "192.168.1.1:5000": REFUSED,
        "192.168.1.1/repo": "192.168.1.1/repo:latest",
        "192.168.1.1:5000/repo:5050": "192.168.1.1:5000/repo:5050",
        "[2001:db8::1]": REFUSED,
        "[2001:db8::1]:tag": REFUSED,
        "[2001:db8::1]/repo": "[2001:db8::1]/repo:latest",
        "[2001:db8:1:2:3:4:5:6]/repo:tag": "[2001:db8:1:2:3:4:5:6]/repo:tag",
        f"[2001:db8::1]:5000/repo:tag@sha256:{F64}": "[2001:db8::1]:5000/repo:tag",
        "[2001:db8::]:5000/repo": "[2001:db8::]:5000/repo:latest",
        "[fe80::1%eth0]:5000/repo": REFUSED,
        "[fe80::1%@invalidzone]:5000/repo": REFUSED,
        "test_com/foo": REFUSED,
        "test-com:8080/foo": "test-com:8080/foo:latest",
        "xn--n3h.com:18080/foo": "xn--n3h.com:18080/foo:latest",
    },
    # It takes the two that are refused here.
    "google/go-containerregistry pkg/name": {
        "gcr.io/g-convoy/hello-world:latest": "gcr.io/g-convoy/hello-world:latest",
        "gcr.io/google.com/project-id/hello-world": "gcr.io/google.com/project-id/hello-world:latest",
        "us.gcr.io/project-id/sub-repo:2": "us.gcr.io/project-id/sub-repo:2",
        "example.text/foo/bar:1": "example.text/foo/bar:1",
        "localhost:8080/repo": "localhost:8080/repo:latest",
        "example.com/../x": REFUSED,
        "https://example.com/x": REFUSED,
        "gcr.io/project-id/hello@sha256:not-a-digest": REFUSED,
    },
    # "[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/…)*" and "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}".
    "opencontainers/distribution-spec spec.md, Pulling manifests": {
        "r.test/a__b": "r.test/a__b:latest",
        "r.test/a-----b": "r.test/a-----b:latest",
        "r.test/a.b_c-d/e0": "r.test/a.b_c-d/e0:latest",
        "r.test/a_.b": REFUSED,
        "r.test/_a": REFUSED,
        "r.test/a_": REFUSED,
        "r.test/a:_": "r.test/a:_",
        "r.test/a:" + "x" * 128: "r.test/a:" + "x" * 128,
        "r.test/a:" + "x" * 129: REFUSED,
        "r.test/a:-x": REFUSED,
    },
    # A digest has the algorithm's own length and lower case.
    "opencontainers/image-spec descriptor.md, Digests": {
        f"r.test/a@sha256:{F64}": f"r.test/a@sha256:{F64}",
        f"r.test/a@sha512:{F128}": f"r.test/a@sha512:{F128}",
        f"r.test/a@sha256:{'F' * 64}": REFUSED,
        f"r.test/a@sha256+b64u:{F64}": REFUSED,
        f"r.test/a@multihash+base58:{F64}": REFUSED,
    },
}

_HIT, _MISS = True, False

DOCKER_CONFIGS = {
    "kubernetes/kubernetes pkg/credentialprovider keyring_test.go TestUrlsMatch": [
        ("*.kubernetes.io", "prefix.kubernetes.io/x", _HIT),
        ("prefix.*.io", "prefix.kubernetes.io/x", _HIT),
        ("prefix.kubernetes.*", "prefix.kubernetes.io/x", _HIT),
        ("*-good.kubernetes.io", "prefix-good.kubernetes.io/x", _HIT),
        ("*.kubernetes.io/blah", "prefix.kubernetes.io/blah", _HIT),
        ("prefix.*.io/foo", "prefix.kubernetes.io/foo/bar", _HIT),
        ("*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", _HIT),
        ("prefix.*.io:1111/foo", "prefix.kubernetes.io:1111/foo/bar", _HIT),
        ("*.kubernetes.io", "kubernetes.io/x", _MISS),
        ("*.*.kubernetes.io", "prefix.kubernetes.io/x", _MISS),
        ("*.*.kubernetes.io", "kubernetes.io/x", _MISS),
        ("kubernetes.io", "kubernetes.com/x", _MISS),
        ("k*.io", "quay.io/x", _MISS),
        ("*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", _MISS),
        ("prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", _MISS),
    ],
    "the same, TestDockerKeyringForGlob": [
        ("https://hello.kubernetes.io", "hello.kubernetes.io/foo/bar", _HIT),
        ("https://*.docker.io", "prefix.docker.io/foo/bar", _HIT),
        ("https://prefix.*.io", "prefix.docker.io/foo/bar", _HIT),
        ("https://prefix.docker.*", "prefix.docker.io/foo/bar", _HIT),
        ("https://*.docker.io/path", "prefix.docker.io/path/foo/bar", _HIT),
        ("https://prefix.*.io/path", "prefix.docker.io/path/subpath/foo/bar", _HIT),
        ("https://prefix.docker.*/path", "prefix.docker.io/path/foo/bar", _HIT),
        ("https://*.docker.io:8888", "prefix.docker.io:8888/foo/bar", _HIT),
        ("https://prefix.docker.*:8888", "prefix.docker.io:8888/foo/bar", _HIT),
        ("https://*.docker.io/v1/", "prefix.docker.io/path/foo/bar", _HIT),
        ("https://*.docker.io/v2/", "prefix.docker.io/path/foo/bar", _HIT),
        ("prefix.docker.io:1111", "prefix.docker.io:1111/path/foo/bar", _HIT),
        ("*.docker.io:1111", "prefix.docker.io:1111/path/foo/bar", _HIT),
    ],
    "the same, TestKeyringMiss and TestKeyringMissWithDockerHubCredentials": [
        ("https://hello.kubernetes.io", "world.mesos.org/foo/bar", _MISS),
        ("https://*.docker.com", "prefix.docker.io/foo/bar", _MISS),
        ("https://suffix.*.io", "prefix.docker.io/foo/bar", _MISS),
        ("https://prefix.docker.c*", "prefix.docker.io/foo/bar", _MISS),
        ("suffix.*.io", "prefix.docker.io/foo/bar", _MISS),
        ("https://index.docker.io/v1/", "world.mesos.org/foo/bar", _MISS),
    ],
    "the same, TestIsDefaultRegistryMatch": [
        ("https://index.docker.io/v1/", "docker.io/foo/bar", _HIT),
        ("https://index.docker.io/v1/", "index.docker.io/foo/bar", _HIT),
        ("https://index.docker.io/v1/", "registry.tld/foo/bar", _MISS),
        ("https://index.docker.io/v1/", "registry:5000/foo/bar", _MISS),
        ("https://index.docker.io/v1/", "myhostdocker.io/foo/bar", _MISS),
    ],
    "containers/image pkg/docker/config config_test.go TestGetAuth": [
        ("example.org", "example.org/repo/image", _HIT),
        ("example.org", "registry.example.org/x", _MISS),
        ("https://normalize.example.org/v1/", "normalize.example.org/x", _HIT),
        ("localhost", "localhost/x", _HIT),
        ("10.10.30.45:5000", "10.10.30.45:5000/x", _HIT),
        ("http://localhost:5000", "localhost:5000/x", _HIT),
        ("localhost", "localhost:5000/x", _MISS),
        ("example.org/repo", "example.org/repo/image", _HIT),
        ("example.org/repo", "example.org/image", _MISS),
        ("docker.io/library/busybox", "docker.io/busybox", _HIT),
        ("docker.io/library", "docker.io/library/notbusybox", _HIT),
        ("docker.io/vendor", "docker.io/vendor/product", _HIT),
        ("docker.io/vendor", "docker.io/other-vendor/other-product", _MISS),
        ("docker.io", "docker.io/other-vendor/other-product", _HIT),
    ],
    # A kubelet compares paths as plain prefixes, and takes what follows a path's colon for part of it.
    "where the catalog differs from a kubelet on purpose": [
        ("quay.io/team", "quay.io/team-of-others/x", _MISS),
        ("https://*.docker.io/path:1111", "prefix.docker.io/path/foo/bar", _MISS),
        ("quay.io/team/", "quay.io/team/x", _HIT),
    ],
}

_HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull"'

CHALLENGES: dict[str, list[tuple[str, list[Any]]]] = {
    "RFC 9110, section 11.6.1": [
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [("basic", {"realm": "simple"}), ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'})],
        ),
        ('Newauth realm="apps", type=1, title="x", Basic realm="simple"', ["newauth", "basic"]),
        (", , Basic realm=x", [("basic", {"realm": "x"})]),
    ],
    "RFC 9110, section 5.6.4, quoted strings": [
        (r'Basic realm="a\b"', [("basic", {"realm": "ab"})]),
        ('Basic realm="a,b=c"', [("basic", {"realm": "a,b=c"})]),
        ('Basic realm="\t"', [("basic", {"realm": "\t"})]),
    ],
    "RFC 7617, section 2.1": [
        ('Basic realm="foo", charset="UTF-8"', [("basic", {"realm": "foo", "charset": "UTF-8"})]),
    ],
    "RFC 7616, section 3.9.1": [
        ('Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7y"', ["digest"]),
    ],
    "RFC 4559, section 5": [
        ("Negotiate", [("negotiate", {})]),
        ("Negotiate a87421000492aa874209af8bc028==", ["negotiate"]),
    ],
    "RFC 6750, section 3": [
        (
            'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
            [
                (
                    "bearer",
                    {
                        "realm": "example",
                        "error": "invalid_token",
                        "error_description": "The access token expired",
                    },
                )
            ],
        ),
    ],
    "distribution docs/content/spec/auth/token.md": [
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
    ],
    "google/go-containerregistry transport ping_test.go": [
        ("BASIC", [("basic", {})]),
        (
            'Bearer realm="https://gcr.io/v2/token", service="gcr.io", scope="repository:foo/bar:pull"',
            [
                (
                    "bearer",
                    {"realm": "https://gcr.io/v2/token", "service": "gcr.io", "scope": "repository:foo/bar:pull"},
                )
            ],
        ),
        ('Bearer realm="http://auth.example.com/token', [("bearer", {})]),
    ],
    "what registries send": [
        (_HUB, ["bearer"]),
        ('Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:a/b:pull"', ["bearer"]),
        ('Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull"', ["bearer"]),
        ('Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",error="invalid_token"', ["bearer"]),
        ('Bearer realm="https://harbor.test/service/token",service="harbor-registry"', ["bearer"]),
        ('Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com"', ["basic"]),
        ('Bearer realm="https://r.test/openshift/token"', [("bearer", {"realm": "https://r.test/openshift/token"})]),
        ('Basic realm="Sonatype Nexus Repository Manager"', ["basic"]),
        ("", []),
    ],
}

_PUBLIC, _PRIVATE, _FORBIDDEN = Reach.PUBLIC, Reach.PRIVATE, Reach.FORBIDDEN

NETWORKS = {
    "IANA IPv4 Special-Purpose Address Registry": {
        "0.0.0.0/8": _FORBIDDEN,
        "10.0.0.0/8": _PRIVATE,
        "100.64.0.0/10": _PRIVATE,
        "127.0.0.0/8": _PRIVATE,
        "169.254.0.0/16": _FORBIDDEN,
        "172.16.0.0/12": _PRIVATE,
        "192.0.0.0/24": _FORBIDDEN,
        "192.0.0.8/32": _FORBIDDEN,
        "192.0.0.9/32": _FORBIDDEN,
        "192.0.0.170/32": _FORBIDDEN,
        "192.0.2.0/24": _FORBIDDEN,
        "192.31.196.0/24": _PUBLIC,
        "192.52.193.0/24": _PUBLIC,
        "192.88.99.0/24": _FORBIDDEN,
        "192.168.0.0/16": _PRIVATE,
        "192.175.48.0/24": _PUBLIC,
        "198.18.0.0/15": _PRIVATE,
        "198.51.100.0/24": _FORBIDDEN,
        "203.0.113.0/24": _FORBIDDEN,
        "240.0.0.0/4": _FORBIDDEN,
        "255.255.255.255/32": _FORBIDDEN,
    },
    "IANA IPv4 Multicast Address Space": {"224.0.0.0/4": _FORBIDDEN},
    "IANA IPv6 Special-Purpose Address Registry": {
        "::1/128": _PRIVATE,
        "::/128": _FORBIDDEN,
        "::ffff:169.254.0.0/112": _FORBIDDEN,
        "64:ff9b:1::/48": _FORBIDDEN,
        "100::/64": _FORBIDDEN,
        "100:0:0:1::/64": _FORBIDDEN,
        "2001::/23": _FORBIDDEN,
        "2001:1::1/128": _FORBIDDEN,
        "2001:2::/48": _FORBIDDEN,
        "2001:10::/28": _FORBIDDEN,
        "2001:20::/28": _FORBIDDEN,
        "2001:db8::/32": _FORBIDDEN,
        "2620:4f:8000::/48": _PUBLIC,
        "3fff::/20": _FORBIDDEN,
        "5f00::/16": _FORBIDDEN,
        "fc00::/7": _PRIVATE,
        "fe80::/10": _FORBIDDEN,
    },
    "IANA IPv6 Address Space": {
        "::/96": _FORBIDDEN,
        "200::/7": _FORBIDDEN,
        "4000::/2": _FORBIDDEN,
        "fec0::/10": _FORBIDDEN,
        "ff00::/8": _FORBIDDEN,
    },
    "RFC 6052, 3056, 4291, 2765: an IPv4 address inside": {
        "64:ff9b::127.0.0.0/104": _PRIVATE,
        "64:ff9b::169.254.0.0/112": _FORBIDDEN,
        "2002:a00::/24": _PRIVATE,
        "2002:a9fe::/32": _FORBIDDEN,
        "::ffff:8.8.8.0/120": _PUBLIC,
        "::ffff:0:10.0.0.0/104": _PRIVATE,
    },
    "metadata services, by their clouds' manuals": {
        "169.254.169.254/32": _FORBIDDEN,
        "169.254.170.2/32": _FORBIDDEN,
        "100.100.100.200/32": _FORBIDDEN,
        "168.63.129.16/32": _FORBIDDEN,
        "fd00:ec2::254/128": _FORBIDDEN,
        "fd20:ce::254/128": _FORBIDDEN,
    },
}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param(text, canonical, id=f"{source.partition(' ')[0]} {text[:60]}")
        for source, rows in REFERENCES.items()
        for text, canonical in rows.items()
    ],
)
def test_references(text: str, canonical: str) -> None:
    if canonical == REFUSED:
        with pytest.raises(InvalidReferenceError):
            Reference.parse(text)
    else:
        assert Reference.parse(text).canonical == canonical


@pytest.mark.parametrize(
    ("key", "reference", "hit"),
    [
        pytest.param(*row, id=f"{source.partition(' ')[0]} {row[0]} {row[1]}")
        for source, rows in DOCKER_CONFIGS.items()
        for row in rows
    ],
)
def test_keys_of_docker_configs(key: str, reference: str, *, hit: bool) -> None:
    auth = base64.b64encode(f"user:{secrets.token_hex(8)}".encode()).decode()
    content = json.dumps({"auths": {key: {"auth": auth}}}).encode()
    found = DockerConfig.parse(content, source="a test").find(Reference.parse(reference))
    assert (found.credential is not None) is hit


@pytest.mark.parametrize(
    ("header", "expected"),
    [pytest.param(*row, id=f"{source} {row[0][:30]}") for source, rows in CHALLENGES.items() for row in rows],
)
def test_challenges(header: str, expected: list[str | tuple[str, dict[str, str]]]) -> None:
    found = [(challenge.scheme, dict(challenge.parameters)) for challenge in parse_challenges([header])]
    for one, wanted in zip(found, expected, strict=True):
        assert one == wanted if isinstance(wanted, tuple) else one[0] == wanted


@pytest.mark.parametrize(
    ("network", "reach"),
    [
        pytest.param(network, reach, id=f"{source.partition(',')[0]} {network}")
        for source, rows in NETWORKS.items()
        for network, reach in rows.items()
    ],
)
def test_networks_from_their_first_to_their_last_address(network: str, reach: Reach) -> None:
    block = ipaddress.ip_network(network)
    exceptions = {"100.100.100.200"}
    for address in (block[0], block[block.num_addresses // 2], block[-1]):
        if network != "::/96" or str(address) not in {"::", "::1"}:
            assert classify(address) is reach or str(address) in exceptions


def test_tables_are_as_long_as_they_should_be() -> None:
    counts = {
        "references": sum(map(len, REFERENCES.values())),
        "docker configs": sum(map(len, DOCKER_CONFIGS.values())),
        "challenges": sum(map(len, CHALLENGES.values())),
        "addresses": 3 * sum(map(len, NETWORKS.values())),
    }
    assert all(counts[name] >= least for name, least in zip(counts, (60, 35, 20, 60), strict=True)), counts
