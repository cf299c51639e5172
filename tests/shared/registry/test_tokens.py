"""The token flows, against a registry that checks every token."""

import asyncio
import base64
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    RateLimitedError,
    RegistryFaultError,
    RegistryUnreachableError,
)
from image_catalog.local.registry import SampleImage
from image_catalog.models import CatalogRegistry, Reference
from image_catalog.registry import Credential, HostPolicy, RegistryClient
from image_catalog.registry.limits import TOKENS_KEPT
from image_catalog.testing.network import Network
from image_catalog.testing.registry import Account, BasicAuth, BearerAuth, FakeRegistry
from image_catalog.testing.registry_faults import Gate, html_page, no_challenge, rate_limited, server_error

PINNED = "sha256:" + "a" * 64


@pytest.fixture
def digest(guarded: FakeRegistry) -> str:
    sample = SampleImage()
    guarded.put(sample, "team/os", "1.0")
    guarded.put(sample, "team/other", "1.0")
    return sample.digest


def credential_of(registry: FakeRegistry, user: str = "tester", **changes: Any) -> Credential:
    return Credential(username=user, password=registry.account(user).password, source="Secret team-a/quay", **changes)


def asked(registry: FakeRegistry) -> list[str]:
    return [f"{request.method} {request.target.kind} {request.status}" for request in registry.requests]


async def test_public_image_takes_three_requests_cold_and_one_warm(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str
) -> None:
    assert (await client.inspect(image, known=digest)).requests == 3
    assert asked(guarded) == ["HEAD manifest 401", "GET token 200", "HEAD manifest 200"]
    assert (await client.inspect(image, known=digest)).requests == 1


async def test_first_look_takes_two_requests_with_a_warm_token(
    client: RegistryClient, image: Reference, digest: str
) -> None:
    await client.inspect(image.with_digest(digest), known=digest)
    assert (await client.inspect(image)).requests == 2


async def test_new_repository_at_a_known_registry_takes_two_requests(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str
) -> None:
    await client.inspect(image, known=digest)
    guarded.requests.clear()
    other = Reference.parse("registry.test/team/other:1.0")
    assert (await client.inspect(other, known=digest)).requests == 2
    assert asked(guarded) == ["GET token 200", "HEAD manifest 200"]


async def test_private_image_needs_its_credential(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str, auth: BearerAuth
) -> None:
    credential = credential_of(guarded)
    guarded.restrict("team", Account("tester", credential.password))
    assert (await client.inspect(image, credential=credential, known=digest)).unchanged
    assert auth.issued[-1].asked == ("repository:team/os:pull",)
    with pytest.raises(AuthenticationError, match="authSecretRef"):
        await client.inspect(image, known=digest)


async def test_tokens_are_not_shared_between_credentials(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str
) -> None:
    guarded.restrict("team", guarded.account("owner"))
    owner, stranger = credential_of(guarded, "owner"), credential_of(guarded, "stranger")
    assert (await client.inspect(image, credential=owner, known=digest)).unchanged
    with pytest.raises(AccessDeniedError, match="Secret team-a/quay"):
        await client.inspect(image, credential=stranger, known=digest)
    with pytest.raises(AuthenticationError):
        await client.inspect(image, known=digest)


async def test_wrong_password_is_reported_and_never_repeated(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str
) -> None:
    wrong = Credential(username="tester", password=guarded.account("other").password, source="Secret team-a/quay")
    with pytest.raises(AuthenticationError, match="Secret team-a/quay") as caught:
        await client.inspect(image, credential=wrong, known=digest)
    assert wrong.password not in str(caught.value)
    assert asked(guarded) == ["HEAD manifest 401", "GET token 401"], "no anonymous request behind its back"


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_denial_at_the_token_server_is_a_denial(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str, status: Any
) -> None:
    guarded.restrict("team", guarded.account("owner"), status=status, at_token=True)
    errors: dict[int, type[CatalogError]] = {401: AuthenticationError, 403: AccessDeniedError, 404: RegistryFaultError}
    with pytest.raises(errors[status], match="token server"):
        await client.inspect(image, known=digest)


async def test_denial_that_is_shared_names_no_tag_of_whoever_asked_first(
    guarded: FakeRegistry, client: RegistryClient
) -> None:
    guarded.restrict("team", guarded.account("owner"), status=403, at_token=True)
    tags = [f"secret-plan-{number}" for number in range(6)]
    asking = (client.inspect(Reference.parse(f"registry.test/team/os:{tag}")) for tag in tags)
    errors = await asyncio.gather(*asking, return_exceptions=True)
    assert asked(guarded).count("GET token 403") < len(tags)
    for tag, error in zip(tags, errors, strict=True):
        assert isinstance(error, AccessDeniedError)
        assert not any(other in error.message for other in tags if other != tag)


async def test_revoked_token_is_dropped_once_and_replaced(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str, auth: BearerAuth
) -> None:
    await client.inspect(image, known=digest)
    auth.revoke_tokens()
    guarded.requests.clear()
    assert (await client.inspect(image, known=digest)).unchanged
    assert asked(guarded) == ["HEAD manifest 401", "GET token 200", "HEAD manifest 200"]


@pytest.mark.parametrize("status", [400, 403])
async def test_token_that_is_turned_down_without_a_challenge_is_replaced(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str, status: int
) -> None:
    await client.inspect(image, known=digest)
    guarded.requests.clear()
    guarded.fail(no_challenge(status), kind="manifest", times=1)
    assert (await client.inspect(image, known=digest)).unchanged
    assert asked(guarded) == [f"HEAD manifest {status}", "GET token 200", "HEAD manifest 200"]


async def test_image_that_is_denied_costs_no_more_than_a_second_look(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str
) -> None:
    await client.inspect(image, known=digest)
    guarded.requests.clear()
    guarded.fail(no_challenge(403), kind="manifest")
    with pytest.raises(AccessDeniedError):
        await client.inspect(image, known=digest)
    assert asked(guarded) == ["HEAD manifest 403", "GET token 200", "HEAD manifest 403", "GET manifest 403"]


async def test_fresh_token_that_is_not_taken_ends_the_matter(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str
) -> None:
    guarded.restrict("team", guarded.account("owner"), status=401)
    with pytest.raises(AuthenticationError):
        await client.inspect(image, credential=credential_of(guarded, "stranger"), known=digest)
    assert asked(guarded) == ["HEAD manifest 401", "GET token 200", "HEAD manifest 401"]


@pytest.mark.parametrize("header", [pytest.param(False, id="without"), pytest.param(True, id="empty")])
async def test_denial_without_a_challenge_is_a_denial(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, *, header: bool
) -> None:
    guarded.fail(no_challenge(empty_header=header))
    with pytest.raises(AuthenticationError, match="does not exist"):
        await client.inspect(image)


@pytest.mark.parametrize(
    ("told", "good_for"),
    [
        pytest.param(timedelta(seconds=300), 289, id="what-the-server-says"),
        pytest.param(None, 49, id="a-minute-when-it-does-not-say"),
        pytest.param(timedelta(seconds=20), 15, id="less-than-a-minute"),
        pytest.param(timedelta(days=30), 3589, id="no-more-than-an-hour"),
        pytest.param(timedelta(seconds=-5), 49, id="nonsense"),
    ],
)
@pytest.mark.usefixtures("guarded")
async def test_tokens_are_kept_until_shortly_before_their_end(
    *,
    client: RegistryClient,
    image: Reference,
    digest: str,
    auth: BearerAuth,
    now: list[float],
    told: timedelta | None,
    good_for: int,
) -> None:
    auth.expires_in = told
    await client.inspect(image, known=digest)
    now[0] += good_for
    assert (await client.inspect(image, known=digest)).requests == 1
    now[0] += 3
    assert (await client.inspect(image, known=digest)).requests == 2
    assert auth.tokens_issued == 2


async def test_requests_that_come_at_once_share_one_token(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, digest: str, auth: BearerAuth
) -> None:
    gate = Gate()
    guarded.fail(gate, kind="token")
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        looks = [group.create_task(client.inspect(image, known=digest)) for _ in range(8)]
        await gate.reached.wait()
        # One that gives up takes nothing from the others.
        looks[0].cancel()
        gate.opened.set()
    assert auth.tokens_issued == 1
    assert sum(not look.cancelled() and look.result().unchanged for look in looks) == 7


async def test_closing_ends_what_is_under_way(
    guarded: FakeRegistry, network: Network, image: Reference, digest: str
) -> None:
    gate = Gate()
    guarded.fail(gate, kind="token")
    client = RegistryClient.create(hosts=HostPolicy(), connect=network.connect)
    look = asyncio.create_task(client.inspect(image, known=digest))
    async with asyncio.timeout(5):
        await gate.reached.wait()
        look.cancel()
        await client.aclose()
    assert gate.waiting == 0
    with pytest.raises(asyncio.CancelledError):
        await look


@pytest.mark.parametrize("post_status", [None, 400, 401, 404, 405])
async def test_identity_token_goes_by_post_and_else_by_get(
    *,
    guarded: FakeRegistry,
    client: RegistryClient,
    image: Reference,
    digest: str,
    auth: BearerAuth,
    post_status: int | None,
) -> None:
    account = guarded.account("tester")
    guarded.restrict("team", account)
    auth.post_status = post_status
    credential = Credential(
        username="tester", password=account.password, identity_token=auth.refresh_token("tester"), source="a Secret"
    )
    assert (await client.inspect(image, credential=credential, known=digest)).unchanged
    assert auth.issued[0].grant == ("refresh_token" if post_status is None else "basic")
    assert auth.issued[0].user == "tester"


async def test_identity_token_without_a_password_is_its_own_password_for_get() -> None:
    header = Credential(identity_token="refresh").basic
    assert base64.b64decode(header.removeprefix(b"Basic ")) == b"<token>:refresh"


async def test_registry_token_is_sent_as_it_is(
    guarded: FakeRegistry, network: Network, client: RegistryClient, image: Reference
) -> None:
    with pytest.raises(AuthenticationError):
        await client.inspect(image, credential=Credential(registry_token="ready-made"))
    assert network.shown("registry.test") == {"Bearer ready-made"}
    assert asked(guarded) == ["GET manifest 401", "GET manifest 401"]


@pytest.mark.parametrize("fields", [("token",), ("access_token",), ("token", "access_token")], ids=str)
async def test_token_may_have_either_name(
    client: RegistryClient, image: Reference, digest: str, auth: BearerAuth, fields: tuple[str, ...]
) -> None:
    auth.answer_fields = fields
    assert (await client.inspect(image, known=digest)).unchanged


async def test_challenge_may_leave_out_service_and_scope(
    client: RegistryClient, image: Reference, digest: str, auth: BearerAuth
) -> None:
    auth.service, auth.scope_in_challenge = None, False
    assert (await client.inspect(image, known=digest)).unchanged
    assert auth.issued[0].asked == ("repository:team/os:pull",)


async def test_bearer_is_preferred_to_basic(
    *, guarded: FakeRegistry, network: Network, client: RegistryClient, image: Reference, digest: str, auth: BearerAuth
) -> None:
    auth.more_challenges = ('Basic realm="x"', "Negotiate")
    credential = credential_of(guarded)
    assert (await client.inspect(image, credential=credential, known=digest)).unchanged
    to_registry = [request for request in network.requests if request.url.path != "/token"]
    assert not any(request.headers.get("authorization", "").startswith("Basic") for request in to_registry)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(server_error(500), RegistryFaultError, id="500"),
        pytest.param(rate_limited(retry_after=timedelta(seconds=7)), RateLimitedError, id="429"),
        pytest.param(html_page(200), RegistryFaultError, id="page"),
        pytest.param(html_page(302), RegistryFaultError, id="redirect"),
    ],
)
async def test_trouble_at_the_token_server_passes(
    guarded: FakeRegistry, client: RegistryClient, image: Reference, fault: Any, error: type[CatalogError]
) -> None:
    guarded.fail(fault, kind="token")
    with pytest.raises(error, match="token server") as caught:
        await client.inspect(image)
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({}, id="none"),
        pytest.param([], id="list"),
        pytest.param({"token": ""}, id="empty"),
        pytest.param({"token": 7}, id="number"),
        pytest.param({"token": "a\r\nX-Injected: b"}, id="header-injection"),
        pytest.param({"token": "tokén"}, id="not-ascii"),
        pytest.param({"token": "t" * 70_000}, id="too-long"),
    ],
)
async def test_answer_without_a_usable_token_is_a_fault(
    network: Network, client: RegistryClient, image: Reference, answer: Any
) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://registry.test/token"'}
    network.serve(
        "https://registry.test",
        lambda request: (
            httpx.Response(200, json=answer) if request.url.path == "/token" else httpx.Response(401, headers=challenge)
        ),
    )
    with pytest.raises(RegistryFaultError, match="token that can be used"):
        await client.inspect(image)


async def test_odd_life_of_a_token_is_a_minute(network: Network, client: RegistryClient, image: Reference) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://registry.test/token"'}
    network.serve(
        "https://registry.test",
        lambda request: (
            httpx.Response(200, json={"token": "t", "expires_in": ["soon"]})
            if request.url.path == "/token"
            else httpx.Response(200 if "authorization" in request.headers else 401, headers=challenge)
        ),
    )
    assert (await client.inspect(image.with_digest(PINNED), known=PINNED)).unchanged


async def test_service_and_scope_cannot_add_parameters(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    challenge = (
        'Bearer realm="https://registry.test/token?account=keep",service="a&scope=repository:evil:pull",'
        'scope="repository:mirror/team/os:pull,push repository:evil:pull"'
    )
    network.serve("https://registry.test", lambda _: httpx.Response(401, headers={"WWW-Authenticate": challenge}))
    with pytest.raises(AuthenticationError):
        await client.inspect(image)
    query = network.requests[1].url.params
    assert query.get_list("account") == ["keep"]
    assert query.get_list("service") == ["a&scope=repository:evil:pull"]
    assert query.get_list("scope") == ["repository:mirror/team/os:pull"], "the right to pull, where the mirror keeps it"


async def test_insufficient_scope_is_asked_for_in_the_registrys_words(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    scopes: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            scopes.append(request.url.params["scope"])
            return httpx.Response(200, json={"token": f"t{len(scopes)}"})
        if request.headers.get("authorization") == "Bearer t2":
            return httpx.Response(200)
        error = ',error="insufficient_scope"' if "authorization" in request.headers else ""
        scope = 'Bearer realm="https://registry.test/token",scope="repository:team/os:pull,metadata_read"'
        return httpx.Response(401, headers={"WWW-Authenticate": scope + error})

    network.serve("https://registry.test", answer)
    assert (await client.inspect(image.with_digest(PINNED), known=PINNED)).unchanged
    assert scopes == ["repository:team/os:pull", "repository:team/os:pull,metadata_read"]


async def test_basic_registry_sees_the_password_only_after_asking(
    tmp_path: Path, network: Network, client: RegistryClient, image: Reference
) -> None:
    registry = FakeRegistry(tmp_path, auth=BasicAuth())
    registry.scheme = "https"
    network.serve_app("https://registry.test", registry)
    sample = SampleImage()
    registry.put(sample, "team/os", "1.0")
    registry.restrict("team", account := registry.account("tester"))
    good = Credential(username="tester", password=account.password, source="Secret a/b")
    assert (await client.inspect(image, credential=good, known=sample.digest)).requests == 2
    assert [request.authorization for request in registry.requests] == ["", "Basic"]
    assert (await client.inspect(image, credential=good, known=sample.digest)).requests == 1
    bad = Credential(username="tester", password=good.password + "x", source="Secret a/b")
    with pytest.raises(AuthenticationError, match="Secret a/b"):
        await client.inspect(image, credential=bad)
    with pytest.raises(AuthenticationError, match="authSecretRef"):
        await client.inspect(image)
    rotated = registry.account("tester")
    with pytest.raises(AuthenticationError):
        await client.inspect(image, credential=good)
    registry.restrict("team", rotated)
    new = Credential(username="tester", password=rotated.password)
    assert (await client.inspect(image, credential=new)).resolved_digest == sample.digest


async def test_token_server_that_is_down_is_unreachable(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://auth.registry.test/token"'}
    network.serve("https://registry.test", lambda _: httpx.Response(401, headers=challenge))
    with pytest.raises(RegistryUnreachableError, match=r"auth\.registry\.test"):
        await client.inspect(image)


async def test_policy_that_changes_is_obeyed_at_once(
    network: Network, hosts: HostPolicy, client: RegistryClient, image: Reference, rule: Callable[..., CatalogRegistry]
) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="https://auth.other.test/token"'}
    network.serve("https://registry.test", lambda _: httpx.Response(401, headers=challenge))
    network.serve("https://auth.other.test", lambda _: httpx.Response(200, json={"token": "t"}))
    credential = Credential(username="tester", password="a-password", source="Secret a/b")
    with pytest.raises(AuthenticationError, match="tokenRealms"):
        await client.inspect(image, credential=credential)
    assert network.shown("auth.other.test") == set()
    hosts.replace([rule("registry.test", tokenRealms=["auth.other.test"])])
    with pytest.raises(AuthenticationError):
        await client.inspect(image, credential=credential)
    assert len(network.shown("auth.other.test")) == 1
    network.requests.clear()
    hosts.replace([])
    with pytest.raises(AuthenticationError, match="tokenRealms"):
        await client.inspect(image, credential=credential)
    assert network.shown("auth.other.test") == set()


async def test_scope_that_is_never_sufficient_ends_in_a_denial(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.url.path == "/token":
            return httpx.Response(200, json={"token": "t"})
        asked += 1
        scope = f'Bearer realm="https://registry.test/token",scope="more:{asked}:pull",error="insufficient_scope"'
        return httpx.Response(401, headers={"WWW-Authenticate": scope})

    network.serve("https://registry.test", answer)
    with pytest.raises(AuthenticationError):
        await client.inspect(image)
    assert asked == 3


async def test_request_that_posts_a_secret_is_not_repeated_when_its_connection_is_lost(
    network: Network, client: RegistryClient, image: Reference
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            raise httpx.RemoteProtocolError("lost")
        challenge = {"WWW-Authenticate": 'Bearer realm="https://registry.test/token"'}
        return httpx.Response(401, headers=challenge)

    network.serve("https://registry.test", answer)
    with pytest.raises(RegistryFaultError):
        await client.inspect(image, credential=Credential(identity_token=secrets.token_hex(12)))
    assert [request.method for request in network.requests] == ["GET", "POST"]


@pytest.mark.story
async def test_memory_for_tokens_is_bounded(network: Network, client: RegistryClient) -> None:
    given = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal given
        if request.url.path == "/token":
            given += 1
            return httpx.Response(200, json={"token": "t", "expires_in": 300})
        challenge = {"WWW-Authenticate": f'Bearer realm="https://{request.url.host}/token"'}
        return httpx.Response(200 if "authorization" in request.headers else 401, headers=challenge)

    images = [Reference.parse(f"registry.test/x{number}@{PINNED}") for number in range(TOKENS_KEPT + 2)]
    network.serve("https://registry.test", answer)
    for each in images:
        await client.inspect(each, known=PINNED)
    await client.inspect(images[-1], known=PINNED)
    assert given == len(images)
    await client.inspect(images[0], known=PINNED)
    assert given == len(images) + 1, "the oldest was forgotten"
