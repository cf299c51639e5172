import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from image_catalog.local.registry import SampleImage
from image_catalog.testing.registry import ANONYMOUS, BasicAuth, BearerAuth, FakeRegistry

MANIFEST = "/v2/team/os/manifests/1.0"
SCOPE = "repository:team/os:pull"
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}

Make = Callable[..., FakeRegistry]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(auth: BasicAuth | BearerAuth | None = None, **options: Any) -> FakeRegistry:
        registry = FakeRegistry(tmp_path, auth=auth, **options)
        registry.put(SampleImage(), "team/os", "1.0")
        return registry

    return make


async def ask(registry: FakeRegistry, token: str | None = None, *, path: str = MANIFEST) -> httpx.Response:
    headers = ACCEPT | ({"Authorization": f"Bearer {token}"} if token else {})
    async with registry.client() as client:
        return await client.get(path, headers=headers)


async def fetch_token(
    registry: FakeRegistry, auth: tuple[str, str] | None = None, *, scope: str = SCOPE, **params: str
) -> httpx.Response:
    service = {"service": registry.auth.service} if isinstance(registry.auth, BearerAuth) else {}
    query: dict[str, Any] = {**service, "scope": scope, **params}
    async with registry.client() as client:
        client.auth = auth  # type: ignore[assignment]  # its setter takes what requests take
        return await client.get("/token", params=query)


async def test_a_registry_without_authentication_asks_nobody(make: Make) -> None:
    registry = make()
    assert (await ask(registry)).status_code == 200
    with pytest.raises(RuntimeError, match="without authentication"):
        registry.account()


# Basic


async def test_basic_asks_for_a_password_where_a_repository_is_restricted(make: Make) -> None:
    registry = make(BasicAuth(realm="here"))
    builder, stranger = registry.account("builder"), registry.account("stranger")
    registry.restrict("team", builder)
    async with registry.client() as client:
        refused = await client.get(MANIFEST, headers=ACCEPT)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Basic realm="here"')
        assert (await client.get(MANIFEST, headers=ACCEPT, auth=("builder", "guess"))).status_code == 401
        assert (await client.get(MANIFEST, headers=ACCEPT, auth=stranger.credential)).status_code == 403
        assert (await client.get(MANIFEST, headers=ACCEPT, auth=builder.credential)).status_code == 200
    assert [request.user for request in registry.requests] == ["", "", "stranger", "builder"]


async def test_basic_serves_public_repositories_to_anybody_and_asks_at_the_ping(make: Make) -> None:
    registry = make(BasicAuth())
    builder = registry.account("builder")
    async with registry.client() as client:
        assert (await client.get(MANIFEST, headers=ACCEPT)).status_code == 200
        assert (await client.get("/v2/")).status_code == 401
        assert (await client.get("/v2/", auth=builder.credential)).status_code == 200


async def test_a_registry_without_anonymous_pulls_wants_an_account_everywhere(make: Make) -> None:
    registry = make(BasicAuth(), anonymous=False)
    builder = registry.account("builder")
    async with registry.client() as client:
        assert (await client.get(MANIFEST, headers=ACCEPT)).status_code == 401
        assert (await client.get(MANIFEST, headers=ACCEPT, auth=builder.credential)).status_code == 200


async def test_a_rule_may_hide_a_repository_and_may_be_lifted(make: Make) -> None:
    registry = make(BasicAuth())
    stranger = registry.account("stranger")
    registry.restrict("team/os", status=404)
    registry.restrict("team", stranger)
    async with registry.client() as client:
        assert (await client.get(MANIFEST, headers=ACCEPT, auth=stranger.credential)).status_code == 404
        registry.rules.remove("team/os")
        assert (await client.get(MANIFEST, headers=ACCEPT, auth=stranger.credential)).status_code == 200


def test_passwords_are_made_at_run_time_and_never_shown(make: Make) -> None:
    registry = make(BasicAuth())
    first, second = registry.account("builder"), registry.account("builder")
    assert first.password != second.password
    assert first.password not in repr(first)


# Bearer: the registry


async def test_bearer_challenges_with_realm_service_and_scope(make: Make) -> None:
    refused = await ask(make(BearerAuth(service="the service")))
    expected = f'Bearer realm="http://registry.test/token",service="the service",scope="{SCOPE}"'
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, expected)


async def test_a_challenge_may_leave_service_and_scope_out(make: Make) -> None:
    registry = make(BearerAuth(service=None, scope_in_challenge=False))
    assert (await ask(registry)).headers["www-authenticate"] == 'Bearer realm="http://registry.test/token"'
    assert (await fetch_token(registry)).status_code == 200


async def test_several_challenges_come_in_several_headers(make: Make) -> None:
    refused = await ask(make(BearerAuth(more_challenges=('Basic realm="old"',))))
    challenges = refused.headers.get_list("www-authenticate")
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Basic", "Bearer"]


async def test_a_push_is_challenged_for_push(make: Make) -> None:
    registry = make(BearerAuth())
    async with registry.client() as client:
        refused = await client.post("/v2/team/os/blobs/uploads/")
    assert 'scope="repository:team/os:pull,push"' in refused.headers["www-authenticate"]


async def test_an_anonymous_token_opens_a_public_repository(make: Make) -> None:
    registry = make(BearerAuth())
    token = (await fetch_token(registry)).json()["token"]
    assert (await ask(registry, token)).status_code == 200
    assert (await ask(registry, token, path="/v2/")).status_code == 200
    assert registry.requests[-2].user == ANONYMOUS
    assert registry.requests[-2].authorization == "Bearer"


async def test_a_token_for_one_repository_does_not_open_another(make: Make) -> None:
    registry = make(BearerAuth())
    token = (await fetch_token(registry, scope="repository:team/other:pull")).json()["token"]
    refused = await ask(registry, token)
    assert refused.status_code == 401
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]


async def test_a_revoked_token_is_refused_and_a_new_one_works(make: Make) -> None:
    auth = BearerAuth()
    registry = make(auth)
    token = (await fetch_token(registry)).json()["token"]
    auth.revoke_tokens()
    refused = await ask(registry, token)
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert (await ask(registry, (await fetch_token(registry)).json()["token"])).status_code == 200
    assert auth.tokens_issued == 2


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_token_without_the_right_is_refused_at_the_registry(make: Make, status: Any) -> None:
    registry = make(BearerAuth())
    stranger = registry.account("stranger")
    registry.restrict("team", registry.account("builder"), status=status)
    token = (await fetch_token(registry, stranger.credential)).json()["token"]
    assert (await ask(registry, token)).status_code == status


async def test_a_right_that_is_taken_back_ends_a_token_that_had_it(make: Make) -> None:
    registry = make(BearerAuth())
    stranger = registry.account("stranger")
    token = (await fetch_token(registry, stranger.credential)).json()["token"]
    registry.restrict("team")
    assert (await ask(registry, token)).status_code == 403


@pytest.mark.parametrize("status", [401, 403])
async def test_a_rule_may_deny_at_the_token_server(make: Make, status: Any) -> None:
    registry = make(BearerAuth())
    builder = registry.account("builder")
    registry.restrict("team", builder, status=status, at_token=True)
    assert (await fetch_token(registry)).status_code == status
    token = (await fetch_token(registry, builder.credential)).json()["token"]
    assert (await ask(registry, token)).status_code == 200


# Bearer: the token server


@pytest.mark.parametrize(
    ("fields", "expires_in", "expected"),
    [
        pytest.param(("token",), timedelta(minutes=5), {"token", "expires_in"}, id="token"),
        pytest.param(("access_token",), None, {"access_token"}, id="access_token without expiry"),
        pytest.param(("token", "access_token"), None, {"token", "access_token"}, id="both"),
    ],
)
async def test_a_token_comes_under_the_names_that_are_set(
    make: Make, fields: tuple[str, ...], expires_in: timedelta | None, expected: set[str]
) -> None:
    registry = make(BearerAuth(answer_fields=fields, expires_in=expires_in))
    document = (await fetch_token(registry)).json()
    assert set(document) == expected
    if expires_in is not None:
        assert document["expires_in"] == 300


async def test_a_wrong_password_is_refused_and_no_token_counted(make: Make) -> None:
    auth = BearerAuth()
    registry = make(auth)
    registry.account("builder")
    assert (await fetch_token(registry, ("builder", "guess"))).status_code == 401
    assert auth.tokens_issued == 0


async def test_no_anonymous_tokens_where_nothing_is_public(make: Make) -> None:
    assert (await fetch_token(make(BearerAuth(), anonymous=False))).status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"service": "other"}, id="service"),
        pytest.param({"scope": "repository:team/os:pull,delete"}, id="action that it does not know"),
        pytest.param({"scope": "everything"}, id="scope"),
    ],
)
async def test_a_token_request_that_makes_no_sense_is_400(make: Make, wrong: dict[str, str]) -> None:
    assert (await fetch_token(make(BearerAuth()), **wrong)).status_code == 400  # type: ignore[arg-type]  # only strings


async def post_token(registry: FakeRegistry, **form: str) -> httpx.Response:
    async with registry.client() as client:
        return await client.post("/token", data={"service": "registry.test", "scope": SCOPE, **form})


async def test_a_refresh_token_is_exchanged(make: Make) -> None:
    auth = BearerAuth()
    registry = make(auth)
    registry.restrict("team", registry.account("builder"))
    refresh = auth.refresh_token("builder")
    document = (await post_token(registry, grant_type="refresh_token", refresh_token=refresh)).json()
    assert (await ask(registry, document["access_token"])).status_code == 200
    assert document["refresh_token"] == refresh
    assert [(token.user, token.grant) for token in auth.issued] == [("builder", "refresh_token")]


async def test_an_offline_token_is_a_refresh_token(make: Make) -> None:
    registry = make(BearerAuth())
    builder = registry.account("builder")
    refresh = (await fetch_token(registry, builder.credential, offline_token="true")).json()["refresh_token"]
    assert (await post_token(registry, grant_type="refresh_token", refresh_token=refresh)).status_code == 200


async def test_a_password_grant(make: Make) -> None:
    registry = make(BearerAuth())
    builder = registry.account("builder")
    form = {"grant_type": "password", "username": builder.user, "password": builder.password}
    assert (await post_token(registry, **form)).status_code == 200
    assert (await post_token(registry, **form | {"password": "guess"})).status_code == 401


@pytest.mark.parametrize("form", [{}, {"grant_type": "refresh_token", "refresh_token": "guess"}], ids=["none", "guess"])
async def test_a_grant_that_is_not_known_is_refused(make: Make, form: dict[str, str]) -> None:
    assert (await post_token(make(BearerAuth()), **form)).status_code == 401


async def test_a_token_server_may_know_get_only(make: Make) -> None:
    registry = make(BearerAuth(post_status=404))
    assert (await post_token(registry, grant_type="password")).status_code == 404
    assert (await fetch_token(registry)).status_code == 200


async def test_the_token_server_may_be_another_host(make: Make) -> None:
    registry = make(BearerAuth(), token_host="auth.test")
    assert 'realm="http://auth.test/token"' in (await ask(registry)).headers["www-authenticate"]
    async with registry.client() as client:
        params = {"service": "registry.test", "scope": SCOPE}
        token = (await client.get("http://auth.test/token", params=params)).json()["token"]
    assert (await ask(registry, token)).status_code == 200
    assert registry.requests.count(host="auth.test", kind="token") == 1


async def test_a_realm_on_a_foreign_host_leads_to_nobody_and_is_seen(make: Make) -> None:
    registry = make(BearerAuth(realm="http://foreign.test/token?kept=1"))
    assert 'realm="http://foreign.test/token?kept=1"' in (await ask(registry)).headers["www-authenticate"]
    async with registry.client() as client:
        assert (await client.get("http://foreign.test/token")).status_code == 404
    assert registry.requests.count(host="foreign.test") == 1


async def test_no_secret_is_in_the_log(make: Make) -> None:
    registry = make(BearerAuth())
    builder = registry.account("builder")
    token = (await fetch_token(registry, builder.credential)).json()["token"]
    await ask(registry, token)
    written = json.dumps([dict(request.headers) for request in registry.requests]) + str(registry.requests)
    assert token not in written
    assert builder.password not in written
    assert [request.authorization for request in registry.requests] == ["Basic", "Bearer"]
