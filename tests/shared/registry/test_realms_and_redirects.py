"""Where a credential may go, and where nobody may: the advisories of the clients that came before."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from image_catalog.errors import AuthenticationError, CatalogError, HostNotAllowedError, RegistryFaultError
from image_catalog.models import CatalogRegistry, Reference
from image_catalog.registry import Credential, HostPolicy, RegistryClient
from image_catalog.registry.hosts import Origin
from image_catalog.registry.realms import judge_realm
from image_catalog.registry.redirects import check_same_host
from image_catalog.testing.network import Network

CREDENTIAL = Credential(username="tester", password="made-up-for-this-test", source="Secret a/b")
PINNED = "sha256:" + "a" * 64


def challenge(realm: str) -> httpx.Response:
    return httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="s"'})


def token(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"token": "t"})


@pytest.mark.parametrize(
    ("registry", "realm", "trusted"),
    [
        pytest.param("registry.test", "https://registry.test/token", True, id="own-host"),
        pytest.param("registry.test", "https://REGISTRY.test:443/token", True, id="own-host-written-otherwise"),
        pytest.param("registry.test:5000", "https://registry.test:5000/token", True, id="own-port"),
        pytest.param("registry.test", "https://registry.test:8443/token", False, id="own-host-other-port"),
        pytest.param("registry.test", "https://auth.registry.test/token", False, id="sub-domain"),
        pytest.param("a.azurecr.io", "https://b.azurecr.io/token", False, id="other-customer"),
        pytest.param("registry.test", "https://registry.test.evil.test/token", False, id="prefix"),
        pytest.param("docker.io", "https://auth.docker.io/token", True, id="docker-hub"),
        pytest.param("registry.gitlab.com", "https://gitlab.com/jwt/auth", True, id="gitlab"),
        pytest.param("registry.test", "https://auth.docker.io/token", False, id="somebody-elses-pair"),
        pytest.param("listed.test", "https://auth.listed.test/token", True, id="listed"),
        pytest.param("listed.test", "https://auth.listed.test:8443/token", False, id="listed-other-port"),
    ],
)
def test_credential_goes_only_where_it_belongs(
    rule: Callable[..., CatalogRegistry], registry: str, realm: str, *, trusted: bool
) -> None:
    hosts = HostPolicy([rule("listed.test", tokenRealms=["auth.listed.test"])])
    assert judge_realm(realm, hosts.target(registry), hosts).trusted is trusted


@pytest.mark.parametrize(
    "realm",
    [
        pytest.param("http://auth.test/token", id="plain-http"),
        pytest.param("http://registry.test/token", id="own-host-over-plain-http"),
        pytest.param("ftp://registry.test/token", id="other-scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("//registry.test/token", id="no-scheme"),
        pytest.param("/token", id="relative"),
        pytest.param("", id="empty"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://user@registry.test/token", id="user-information"),
        pytest.param("https://registry.test@evil.test/token", id="user-information-as-a-host"),
        pytest.param("https://registry.test/token#x", id="fragment"),
        pytest.param("https://registry.test\\@evil.test/token", id="backslash"),
        pytest.param("https://registry.test /token", id="space"),
        pytest.param("https://registry.test\t/token", id="tab"),
        pytest.param("https://rëgistry.test/token", id="unicode"),
        pytest.param("https://127.1/token", id="short-ipv4"),
        pytest.param("https://0x7f000001/token", id="hexadecimal-ipv4"),
        pytest.param("https://[::1", id="open-bracket"),
        pytest.param("https://[::ffff:7f00:1]/token", id="mapped-ipv4"),
        pytest.param("https://registry.test:0/token", id="port-zero"),
        pytest.param("https://registry.test:99999/token", id="port-too-large"),
    ],
)
def test_realm_that_nobody_may_ask_is_refused(realm: str) -> None:
    hosts = HostPolicy()
    with pytest.raises(HostNotAllowedError, match=r"registry\.test"):
        judge_realm(realm, hosts.target("registry.test"), hosts)


def test_plain_http_registry_may_be_its_own_realm(rule: Callable[..., CatalogRegistry]) -> None:
    hosts = HostPolicy([rule("registry.test:5000", tls={"plainHTTP": True})])
    target = hosts.target("registry.test:5000")
    assert judge_realm("http://registry.test:5000/token", target, hosts).trusted
    with pytest.raises(HostNotAllowedError, match="https"):
        judge_realm("http://registry.test:5001/token", target, hosts)


def test_mirror_may_pass_on_the_challenge_of_what_it_mirrors(rule: Callable[..., CatalogRegistry]) -> None:
    hosts = HostPolicy([rule("quay.io", endpoint="https://mirror.test/quay")])
    target = hosts.target("quay.io")
    assert judge_realm("https://mirror.test/token", target, hosts).trusted
    assert judge_realm("https://quay.io/v2/auth", target, hosts).trusted


def test_listed_only_policy_holds_for_realms(rule: Callable[..., CatalogRegistry]) -> None:
    hosts = HostPolicy([rule("docker.io"), rule("registry.test", tokenRealms=["auth.test"])], listed_only=True)
    assert judge_realm("https://auth.test/token", hosts.target("registry.test"), hosts).trusted
    assert judge_realm("https://auth.docker.io/token", hosts.target("docker.io"), hosts).trusted
    with pytest.raises(HostNotAllowedError, match="only listed"):
        judge_realm("https://elsewhere.test/token", hosts.target("registry.test"), hosts)


async def test_foreign_realm_is_asked_without_the_credential(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    network.serve("https://registry.test", lambda _: challenge("https://evil.test/token"))
    network.serve("https://evil.test", token)
    with pytest.raises(AuthenticationError, match="tokenRealms"):
        await client.inspect(image, credential=CREDENTIAL)
    assert network.shown("evil.test") == set()
    assert "GET evil.test/token" in network.asked()


async def test_identity_token_is_not_posted_to_a_foreign_realm(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    network.serve("https://registry.test", lambda _: challenge("https://evil.test/token"))
    network.serve("https://evil.test", token)
    with pytest.raises(AuthenticationError):
        await client.inspect(image, credential=Credential(identity_token=CREDENTIAL.password))
    assert all(request.method == "GET" for request in network.requests)
    assert not any(CREDENTIAL.password in str(request.url) for request in network.requests)


@pytest.mark.parametrize("realm", ["http://evil.test/token", "https://user:pass@registry.test/token"])
async def test_refused_realm_is_not_asked_at_all(
    network: Network, client: RegistryClient, image: Reference, realm: str
) -> None:
    network.serve("https://registry.test", lambda _: challenge(realm))
    with pytest.raises(HostNotAllowedError):
        await client.inspect(image, credential=CREDENTIAL)
    assert len(network.requests) == 1


async def test_token_server_that_redirects_is_not_followed(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(302, headers={"Location": "https://evil.test/token"})
        return challenge("https://registry.test/token")

    network.serve("https://registry.test", answer)
    network.serve("https://evil.test", token)
    with pytest.raises(RegistryFaultError, match="302"):
        await client.inspect(image, credential=CREDENTIAL)
    assert not any("evil" in asked for asked in network.asked())


def basic_then(answer: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    def serve(request: httpx.Request) -> httpx.Response:
        if "authorization" in request.headers:
            return answer
        return httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    return serve


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("https://other.test/v2/team/os/manifests/x", id="host"),
        pytest.param("https://registry.test:8443/v2/x", id="port"),
        pytest.param("//other.test/v2/x", id="relative-to-the-scheme"),
    ],
)
async def test_redirect_to_another_origin_carries_no_credential(
    network: Network, client: RegistryClient, image: Reference, location: str
) -> None:
    network.serve("https://registry.test", basic_then(httpx.Response(307, headers={"Location": location})))
    for origin in ("https://other.test", "https://registry.test:8443"):
        network.serve(origin, lambda _: httpx.Response(200, content=b"{}"))
    with pytest.raises(CatalogError):
        await client.inspect(image, credential=CREDENTIAL)
    assert "authorization" not in network.requests[-1].headers
    assert len(network.requests) == 3


async def test_redirect_within_the_origin_keeps_the_credential(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/elsewhere":
            return httpx.Response(200 if "authorization" in request.headers else 500)
        return basic_then(httpx.Response(308, headers={"Location": "/elsewhere"}))(request)

    network.serve("https://registry.test", serve)
    found = await client.inspect(image.with_digest(PINNED), known=PINNED, credential=CREDENTIAL)
    assert found.unchanged


async def test_way_back_from_another_origin_does_not_bring_the_credential_back(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/chosen-by-another":
            return httpx.Response(500 if "authorization" in request.headers else 200)
        return basic_then(httpx.Response(302, headers={"Location": "https://other.test/"}))(request)

    back = httpx.Response(302, headers={"Location": "https://registry.test/chosen-by-another"})
    network.serve("https://registry.test", serve)
    network.serve("https://other.test", lambda _: back)
    found = await client.inspect(image.with_digest(PINNED), known=PINNED, credential=CREDENTIAL)
    assert found.unchanged


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_challenge_of_a_redirects_target_is_not_answered(
    network: Network, client: RegistryClient, image: Reference, scheme: str
) -> None:
    asks = {"WWW-Authenticate": f'{scheme} realm="https://registry.test/token"'}
    network.serve("https://registry.test", lambda _: httpx.Response(302, headers={"Location": "https://other.test/x"}))
    network.serve("https://other.test", lambda _: httpx.Response(401, headers=asks))
    with pytest.raises(AuthenticationError, match=r"other\.test"):
        await client.inspect(image, credential=CREDENTIAL)
    assert network.shown("other.test") == set()
    assert len(network.requests) == 2


async def test_refreshed_token_is_not_attached_after_a_redirect(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    """A retry must forget as much as the first attempt did."""
    state = {"tokens": 0}

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            state["tokens"] += 1
            return httpx.Response(200, json={"token": f"t{state['tokens']}"})
        if "authorization" not in request.headers:
            return challenge("https://registry.test/token")
        return httpx.Response(302, headers={"Location": "https://other.test/x"})

    network.serve("https://registry.test", serve)
    network.serve("https://other.test", lambda _: challenge("https://registry.test/token"))
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await client.inspect(image, credential=CREDENTIAL)
    assert network.shown("other.test") == set()


@pytest.mark.parametrize(
    ("location", "error"),
    [
        pytest.param("http://registry.test/x", HostNotAllowedError, id="away-from-https"),
        pytest.param("ftp://other.test/x", HostNotAllowedError, id="other-scheme"),
        pytest.param("https://user:pass@other.test/x", HostNotAllowedError, id="user-information"),
        pytest.param("https://127.1/x", HostNotAllowedError, id="short-ipv4"),
        pytest.param("https://[::1/x", RegistryFaultError, id="no-url"),
        pytest.param("https://registry.test/again", RegistryFaultError, id="for-ever"),
    ],
)
async def test_redirect_that_is_not_followed(
    network: Network, client: RegistryClient, image: Reference, location: str, error: type[CatalogError]
) -> None:
    network.serve("https://registry.test", lambda _: httpx.Response(302, headers={"Location": location}))
    with pytest.raises(error):
        await client.inspect(image)
    assert {request.url.host for request in network.requests} == {"registry.test"}
    assert len(network.requests) <= 6


async def test_redirect_without_a_place_is_a_fault(network: Network, client: RegistryClient, image: Reference) -> None:
    network.serve("https://registry.test", lambda _: httpx.Response(302))
    with pytest.raises(RegistryFaultError, match="302"):
        await client.inspect(image)


async def test_location_of_a_good_answer_is_not_followed(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    network.serve("https://registry.test", lambda _: httpx.Response(200, headers={"Location": "https://other.test/x"}))
    assert (await client.inspect(image.with_digest(PINNED), known=PINNED)).unchanged
    assert len(network.requests) == 1


async def test_cookies_are_not_kept(network: Network, client: RegistryClient, image: Reference) -> None:
    network.serve("https://registry.test", lambda _: httpx.Response(200, headers={"Set-Cookie": "sid=1"}))
    for _ in range(2):
        assert (await client.inspect(image.with_digest(PINNED), known=PINNED)).unchanged
    assert not any("cookie" in request.headers for request in network.requests)


async def test_listed_only_policy_holds_for_redirects(
    network: Network, image: Reference, rule: Callable[..., CatalogRegistry]
) -> None:
    hosts = HostPolicy([rule("registry.test")], listed_only=True)
    network.serve("https://registry.test", lambda _: httpx.Response(302, headers={"Location": "https://other.test/"}))
    async with RegistryClient.create(hosts=hosts, connect=network.connect) as client:
        with pytest.raises(HostNotAllowedError, match="only listed"):
            await client.inspect(image)
        with pytest.raises(HostNotAllowedError, match="CatalogRegistry"):
            await client.inspect(Reference.parse("unlisted.test/x"))


async def test_private_address_that_is_allowed_for_a_registry_is_not_for_where_it_leads(
    network: Network, image: Reference, rule: Callable[..., CatalogRegistry]
) -> None:
    hosts = HostPolicy([rule("registry.test", allowPrivateNetworks=True, tls={"insecureSkipVerify": True})])
    network.serve("https://registry.test", lambda _: httpx.Response(302, headers={"Location": "https://other.test/"}))
    network.serve("https://other.test", lambda _: httpx.Response(200))
    async with RegistryClient.create(hosts=hosts, connect=network.connect) as client:
        assert (await client.inspect(image.with_digest(PINNED), known=PINNED)).unchanged
    assert [(kind.allow_private, kind.insecure_skip_verify) for kind, _ in network.kinds] == [
        (True, True),
        (False, False),
    ]


async def test_proxies_are_used_as_the_environment_says(network: Network, image: Reference) -> None:
    environment = {"HTTPS_PROXY": "proxy.test:3128", "NO_PROXY": ".internal.test", "HTTP_PROXY": "http://evil.test"}
    for origin in ("https://registry.test", "https://a.internal.test"):
        network.serve(origin, lambda _: httpx.Response(200))
    async with RegistryClient.create(hosts=HostPolicy(), connect=network.connect, environment=environment) as client:
        assert (await client.inspect(image.with_digest(PINNED), known=PINNED)).unchanged
        assert (await client.inspect(Reference.parse(f"a.internal.test/x@{PINNED}"), known=PINNED)).unchanged
        remedies = {"127.0.0.1": "CatalogRegistry", "[::1]": "CatalogRegistry", "localhost": "CatalogRegistry"}
        remedies["registry.localhost"] = "CatalogRegistry"
        for literal, remedy in {"169.254.169.254": "never connected to", **remedies}.items():
            with pytest.raises(HostNotAllowedError, match=remedy):
                await client.inspect(Reference.parse(f"{literal}/x"))
    assert [proxy for _, proxy in network.kinds] == ["http://proxy.test:3128", None]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        pytest.param("https://a.test/x", ("https", "a.test", 443), id="default"),
        pytest.param("http://a.test/x", ("http", "a.test", 80), id="http"),
        pytest.param("http://a.test:443/x", ("http", "a.test", 443), id="http-on-443"),
        pytest.param("https://[2001:db8::1]:5000", ("https", "[2001:db8::1]", 5000), id="ipv6"),
    ],
)
def test_origin_of_a_url(url: str, origin: tuple[Any, ...]) -> None:
    found = Origin.of_url(url)
    assert (found.scheme, found.host, found.port) == origin
    assert Origin.of_url(str(found)) == found


@pytest.mark.parametrize("url", ["https://b.test/", "https://a.test:8443/", "https://a.test.b.test/"])
def test_host_that_was_judged_is_the_host_that_is_asked(url: str) -> None:
    check_same_host(httpx.URL("https://a.test/x"), Origin("https", "a.test", 443))
    with pytest.raises(HostNotAllowedError, match="two ways"):
        check_same_host(httpx.URL(url), Origin("https", "a.test", 443))
