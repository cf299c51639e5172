"""Tokens of ECR, asked of a simulated AWS."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import botocore.exceptions
import pytest
from moto import mock_aws

from image_catalog.errors import (
    AccessDeniedError,
    AuthenticationError,
    CatalogError,
    RateLimitedError,
    RegistryFaultError,
    RegistryUnreachableError,
)
from image_catalog.registry import AwsAnswer, BotoDoor, EcrHost, EcrTokens, NoIdentityError
from image_catalog.registry.aws import aws_failure
from image_catalog.testing.clock import StillClock
from image_catalog.testing.collector import Collector
from image_catalog.tracing import SpanKind, span, start_tracing, stop_tracing

HOST = EcrHost("123456789012", "eu-central-1")

HOSTS = {
    "123456789012.dkr.ecr.eu-central-1.amazonaws.com": HOST,
    "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn": EcrHost("123456789012", "cn-north-1"),
    "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com": EcrHost("123456789012", "us-gov-west-1", fips=True),
    "123456789012.dkr.ecr.us-east-1.amazonaws.com:8443": None,
    "12345678901.dkr.ecr.us-east-1.amazonaws.com": None,
    "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example": None,
    "x.123456789012.dkr.ecr.us-east-1.amazonaws.com": None,
    "123456789012.dkr.ecr.us-east-1.amazonaws.org": None,
    "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn": None,
    "123456789012.dkr.ecr.cn-north-1.amazonaws.com": None,
    "123456789012.dkr.ecr.evil.example#-1.amazonaws.com": None,
    "public.ecr.aws": None,
    "quay.io": None,
}


@pytest.mark.parametrize(("registry", "expected"), HOSTS.items(), ids=list(HOSTS))
def test_hosts_of_ecr_are_told_from_what_looks_like_them(registry: str, expected: EcrHost | None) -> None:
    assert EcrHost.of(registry) == expected


class Aws:
    """AWS as its door shows it: another token each time, twelve hours long."""

    def __init__(self, clock: StillClock) -> None:
        self.clock = clock
        self.asked: list[str] = []
        self.error: CatalogError | None = None
        self.threads: set[int] = set()

    def authorization_token(self, host: EcrHost) -> AwsAnswer:
        self.asked.append(host.region)
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        token = base64.b64encode(f"AWS:{secrets.token_hex(8)}".encode()).decode()
        return AwsAnswer(token, self.clock() + timedelta(hours=12))


@pytest.fixture
def aws(clock: StillClock) -> Aws:
    return Aws(clock)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def tokens(aws: Aws, clock: StillClock) -> EcrTokens:
    return EcrTokens(clock=clock, door=aws)


async def test_a_token_is_kept_until_shortly_before_it_ends(tokens: EcrTokens, aws: Aws, clock: StillClock) -> None:
    first = await tokens.get(HOST)
    assert first
    assert first.username == "AWS"
    clock.advance(hours=11, minutes=49)
    assert await tokens.get(EcrHost("210987654321", HOST.region)) is first
    clock.advance(minutes=2)
    second = await tokens.get(HOST)
    assert second
    assert second.password != first.password
    assert second.identity != first.identity
    assert aws.asked == [HOST.region] * 2


async def test_checks_that_start_together_share_one_request_and_wait_in_no_event_loop(
    tokens: EcrTokens, aws: Aws
) -> None:
    found = await asyncio.gather(*(tokens.get(HOST) for _ in range(5)))
    assert len({id(one) for one in found}) == 1
    assert len(aws.asked) == 1
    assert threading.get_ident() not in aws.threads


async def test_a_trace_shows_the_request_and_its_failure_without_the_token(tokens: EcrTokens, aws: Aws) -> None:
    with Collector() as collector:
        start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, service="verify")
        with span("process an event", SpanKind.CONSUMER, {}):
            credential = await tokens.get(HOST)
            assert credential is not None
            aws.error = AccessDeniedError("no")
            with pytest.raises(AccessDeniedError):
                await tokens.get(EcrHost(HOST.account, "eu-west-1"))
        await stop_tracing()
    good, bad, event = collector.spans
    assert {(each.name, each.parent_id) for each in (good, bad)} == {("ECR.GetAuthorizationToken", event.span_id)}
    assert (good.error, bad.error) == (None, ("AccessDenied", "no"))
    assert good.attributes["cloud.region"] == "eu-central-1"
    assert not [secret for secret in credential.secrets if secret in collector.text]


async def test_each_region_has_a_token_of_its_own(tokens: EcrTokens, aws: Aws) -> None:
    for region in ("eu-central-1", "us-east-1", "eu-central-1"):
        await tokens.get(EcrHost("123456789012", region))
    await tokens.get(EcrHost("123456789012", "us-east-1", fips=True))
    assert aws.asked == ["eu-central-1", "us-east-1", "us-east-1"]


async def test_made_up_regions_neither_fill_the_memory_nor_push_out_real_ones(tokens: EcrTokens, aws: Aws) -> None:
    await tokens.get(HOST)
    aws.error = RegistryUnreachableError("there is no such region")
    for number in range(100):
        with pytest.raises(RegistryUnreachableError):
            await tokens.get(EcrHost("123456789012", f"zz-made-up-{number}"))
    assert len(tokens._regions) <= 32
    await tokens.get(HOST)
    assert aws.asked.count(HOST.region) == 1


async def test_regions_that_have_tokens_do_not_fill_the_memory_either(tokens: EcrTokens) -> None:
    for number in range(100):
        await tokens.get(EcrHost("123456789012", f"eu-central-{number}"))
    assert len(tokens._regions) <= 32


async def test_failure_of_aws_is_waited_for_once_by_all_who_wait(tokens: EcrTokens, aws: Aws) -> None:
    """One after the other, each for as long as AWS takes to fail, the last ones would wait for many minutes."""
    aws.error = RegistryUnreachableError("AWS cannot be reached")
    found = await asyncio.gather(*(tokens.get(HOST) for _ in range(20)), return_exceptions=True)
    assert [str(error) for error in found] == ["AWS cannot be reached"] * 20
    assert len(aws.asked) == 1
    aws.error = None
    assert await tokens.get(HOST) is not None


async def test_a_token_that_was_good_and_is_turned_down_is_replaced(tokens: EcrTokens, clock: StillClock) -> None:
    first = await tokens.get(HOST)
    assert first
    assert not tokens.drop(first)
    clock.advance(minutes=1)
    assert tokens.drop(first)
    assert not tokens.drop(first)
    assert await tokens.get(HOST) != first


async def test_a_process_without_identity_asks_seldom_unless_it_must(
    tokens: EcrTokens, aws: Aws, clock: StillClock
) -> None:
    aws.error = NoIdentityError("nobody")
    assert await tokens.get(HOST, required=False) is None
    assert await tokens.get(HOST, required=False) is None
    assert len(aws.asked) == 1
    with pytest.raises(NoIdentityError):
        await tokens.get(HOST)
    aws.error = None
    clock.advance(minutes=5)
    assert await tokens.get(HOST, required=False)


@pytest.mark.parametrize("token", ["%%%", base64.b64encode(b"AWS").decode(), base64.b64encode(b"AWS:").decode()])
async def test_what_is_no_token_is_a_fault_of_aws(clock: StillClock, token: str) -> None:
    class Strange:
        def authorization_token(self, host: EcrHost) -> AwsAnswer:
            return AwsAnswer(token, clock() + timedelta(hours=len(host.region)))

    with pytest.raises(RegistryFaultError, match="no token"):
        await EcrTokens(clock=clock, door=Strange()).get(HOST)


def test_an_answer_does_not_show_its_token() -> None:
    token = secrets.token_hex(8)
    assert token not in repr(AwsAnswer(token, datetime(2026, 1, 1, tzinfo=UTC)))


class TestBoto:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ROLE_ARN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")

    @pytest.fixture
    def simulated(self) -> Iterator[None]:
        with mock_aws():
            yield

    @pytest.mark.usefixtures("simulated")
    def test_a_token_comes_from_the_region_of_the_host(self) -> None:
        door = BotoDoor()
        for host in (HOST, EcrHost("123456789012", "us-east-1"), HOST):
            answer = door.authorization_token(host)
            assert base64.b64decode(answer.token).startswith(b"AWS:")
            assert answer.expires.tzinfo is not None
        # The simulation has no FIPS endpoints, so that one is only looked at.
        door._client(EcrHost("123456789012", "us-east-1", fips=True))
        assert {client.meta.endpoint_url for client in door._clients.values()} == {
            "https://api.ecr.eu-central-1.amazonaws.com",
            "https://api.ecr.us-east-1.amazonaws.com",
            "https://ecr-fips.us-east-1.amazonaws.com",
        }

    def test_nobody_at_aws_is_told_with_the_remedy(self) -> None:
        with pytest.raises(NoIdentityError, match=r"eks\.amazonaws\.com/role-arn"):
            BotoDoor().authorization_token(HOST)

    def test_a_profile_that_is_not_there_is_no_identity(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "absent")
        with pytest.raises(NoIdentityError):
            BotoDoor().authorization_token(HOST)


def refused(code: str, status: int = 400) -> botocore.exceptions.ClientError:
    hush = "arn:aws:sts::123456789012:assumed-role/secret-role/x"
    response = {
        "Error": {"Code": code, "Message": f"User {hush} is not authorized"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return botocore.exceptions.ClientError(response, "GetAuthorizationToken")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        pytest.param(refused("AccessDeniedException"), AccessDeniedError, "ecr:GetAuthorizationToken", id="denied"),
        pytest.param(refused("ExpiredTokenException"), AuthenticationError, "ExpiredToken", id="expired"),
        pytest.param(refused("UnrecognizedClientException"), AuthenticationError, "authSecretRef", id="unknown-key"),
        pytest.param(refused("ThrottlingException"), RateLimitedError, "slow down", id="throttled"),
        pytest.param(refused("ServerException", 500), RegistryFaultError, "AWS failed", id="server"),
        pytest.param(refused("Odd", 503), RegistryFaultError, "AWS failed", id="unavailable"),
        pytest.param(
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://api.ecr.xx.amazonaws.com"),
            RegistryUnreachableError,
            "cannot be reached",
            id="no-connection",
        ),
        pytest.param(
            botocore.exceptions.ReadTimeoutError(endpoint_url="https://api.ecr.xx.amazonaws.com"),
            RegistryUnreachableError,
            "ReadTimeoutError",
            id="time-out",
        ),
        pytest.param(botocore.exceptions.NoCredentialsError(), NoIdentityError, "no AWS identity", id="nobody"),
        pytest.param(
            botocore.exceptions.CredentialRetrievalError(provider="x", error_msg="y"),
            AuthenticationError,
            "cannot be used",
            id="broken-provider",
        ),
    ],
)
def test_what_aws_says_becomes_a_reason_with_a_remedy_and_without_roles(
    error: Exception, kind: type[CatalogError], message: str
) -> None:
    found = aws_failure(error, HOST)
    assert type(found) is kind
    assert message in found.message
    assert "eu-central-1" in found.message
    assert "secret-role" not in found.message
