from collections.abc import Callable

import pytest

from image_catalog.errors import HostNotAllowedError
from image_catalog.models import CatalogRegistry
from image_catalog.registry import HostPolicy
from image_catalog.registry.limits import DEFAULT_CONCURRENCY

Rule = Callable[..., CatalogRegistry]


@pytest.mark.parametrize(
    ("registry", "api"),
    [
        pytest.param("quay.io", "https://quay.io/v2/", id="itself"),
        pytest.param("quay.io:8443", "https://quay.io:8443/v2/", id="port"),
        pytest.param("docker.io", "https://registry-1.docker.io/v2/", id="docker-hub"),
        pytest.param("[::1]:5000", "https://[::1]:5000/v2/", id="ipv6"),
    ],
)
def test_registry_is_asked_where_it_is(registry: str, api: str) -> None:
    assert HostPolicy().target(registry).api == api


@pytest.mark.parametrize(
    ("spec", "api"),
    [
        pytest.param({"endpoint": "https://mirror.test"}, "https://mirror.test/v2/", id="mirror"),
        pytest.param({"endpoint": "https://mirror.test/quay/"}, "https://mirror.test/quay/v2/", id="below-a-path"),
        pytest.param({"endpoint": "https://mirror.test/quay/v2"}, "https://mirror.test/quay/v2/", id="with-v2"),
        pytest.param({"endpoint": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000/v2/", id="plain-http"),
        pytest.param({"tls": {"plainHTTP": True}}, "http://quay.io/v2/", id="plain-http-by-tls"),
    ],
)
def test_catalog_registry_says_where_else(rule: Rule, spec: dict[str, object], api: str) -> None:
    target = HostPolicy([rule("quay.io", **spec)]).target("quay.io")
    assert target.api == api
    assert target.registry == "quay.io"


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        pytest.param("a.deep.example.test", "exact", id="exact-before-wildcard"),
        pytest.param("b.deep.example.test", "deep", id="longest-wildcard"),
        pytest.param("b.example.test", "shallow", id="shorter-wildcard"),
        pytest.param("example.test", None, id="wildcard-needs-a-label"),
        pytest.param("badexample.test", None, id="wildcard-needs-the-dot"),
        pytest.param("b.example.test:5000", None, id="other-port"),
        pytest.param("with-port.test:5000", "port", id="port"),
        pytest.param("with-port.test", None, id="without-its-port"),
        pytest.param("default.test", "default", id="default-port-written-out"),
    ],
)
def test_most_specific_rule_wins(rule: Rule, registry: str, expected: str | None) -> None:
    names = {
        "*.example.test": "shallow",
        "*.deep.example.test": "deep",
        "a.deep.example.test": "exact",
        "with-port.test:5000": "port",
        "default.test:443": "default",
    }
    hosts = HostPolicy([rule(host, endpoint=f"https://{name}.test") for host, name in names.items()])
    found = hosts.find(registry)
    assert (found.endpoint if found else None) == (f"https://{expected}.test" if expected else None)


def test_security_comes_from_the_rule(rule: Rule) -> None:
    hosts = HostPolicy(
        [
            rule(
                "private.test",
                allowPrivateNetworks=True,
                tls={"caBundle": "PEM", "insecureSkipVerify": True},
                limits={"maxConcurrentRequests": 2},
                tokenRealms=["Auth.test:443"],
            )
        ]
    )
    target = hosts.target("private.test")
    assert target.security.allow_private
    assert target.security.insecure_skip_verify
    assert target.security.ca_bundle == "PEM"
    assert target.concurrency == 2
    assert target.token_realms == {"auth.test"}
    other = hosts.target("other.test")
    assert not other.security.allow_private
    assert other.concurrency == DEFAULT_CONCURRENCY


def test_local_stack_may_allow_private_networks_everywhere() -> None:
    assert HostPolicy(allow_private=True).target("anything.test").security.allow_private


def test_listed_only_policy_refuses_the_rest(rule: Rule) -> None:
    hosts = HostPolicy([rule("*.listed.test")], listed_only=True)
    assert hosts.target("a.listed.test")
    with pytest.raises(HostNotAllowedError, match="CatalogRegistry"):
        hosts.target("unlisted.test")


def test_equal_rules_leave_targets_as_they_are(rule: Rule) -> None:
    hosts = HostPolicy([rule("a.test")])
    before = hosts.target("a.test")
    hosts.replace([rule("a.test")])
    assert hosts.target("a.test") is before
    hosts.replace([rule("a.test", allowPrivateNetworks=True)])
    assert hosts.target("a.test").security.allow_private


def test_hosts_that_no_reference_can_name_apply_to_nothing(rule: Rule) -> None:
    hosts = HostPolicy([rule("127.1", allowPrivateNetworks=True)])
    assert hosts.find("127.0.0.1") is None


def test_memory_for_hosts_is_bounded() -> None:
    hosts = HostPolicy()
    for number in range(5000):
        hosts.target(f"host{number}.test")
    assert hosts.target("host1.test").api == "https://host1.test/v2/"
