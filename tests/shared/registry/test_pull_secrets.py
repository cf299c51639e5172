import base64
import json
import pickle
import secrets
from typing import Any

import pytest

from image_catalog.errors import SecretError
from image_catalog.models import Reference
from image_catalog.models.secrets import PullSecret
from image_catalog.registry import Credential, check_namespace, find_credential

IMAGE = Reference.parse("quay.io/org/image:v1")
GROUP = "automotive.sdv.cloud.redhat.com"
HUSH = secrets.token_hex(12)
ENTRIES = {"quay.io": {"username": "u", "password": HUSH}}


def secret(data: dict[str, bytes], *, host: str | None = None, **changes: Any) -> PullSecret:
    annotations = {f"{GROUP}/registry-host": host} if host is not None else {}
    return PullSecret(
        **{"name": "pull", "namespace": "team-a", "uid": "u1", "resource_version": "7", "annotations": annotations}
        | changes,
        data=data,
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({".dockerconfigjson": json.dumps({"auths": ENTRIES}).encode()}, id="dockerconfigjson"),
        pytest.param({".dockercfg": json.dumps(ENTRIES).encode()}, id="dockercfg"),
    ],
)
def test_docker_configurations_name_their_hosts(data: dict[str, bytes]) -> None:
    found = find_credential(secret(data), IMAGE)
    assert found.credential
    assert found.credential.password == HUSH
    assert found.credential.source == "Secret team-a/pull, key quay.io"
    assert found.key == "quay.io"
    assert find_credential(secret(data), Reference.parse("ghcr.io/x")).credential is None


@pytest.mark.parametrize(
    ("data", "user"),
    [
        pytest.param({"username": b"u\n", "password": HUSH.encode() + b"\n"}, "u", id="basic-auth"),
        pytest.param({"token": HUSH.encode()}, "token", id="token"),
        pytest.param({"username": b"$oauthtoken", "token": HUSH.encode()}, "$oauthtoken", id="token-with-user"),
    ],
)
def test_bare_credential_is_for_the_host_of_its_annotation(data: dict[str, bytes], user: str) -> None:
    found = find_credential(secret(data, host="quay.io/org"), IMAGE)
    assert found.credential
    assert (found.credential.username, found.credential.password) == (user, HUSH)
    assert found.key == "quay.io/org"
    assert find_credential(secret(data, host="quay.io/organisation"), IMAGE).credential is None
    assert find_credential(secret(data, host="ghcr.io"), IMAGE).credential is None


@pytest.mark.parametrize(
    ("made", "message"),
    [
        pytest.param(secret({"token": b"t"}), "registry-host=quay.io", id="no-host"),
        pytest.param(secret({"token": b"t"}, host="*.io"), "wildcard", id="wildcard"),
        pytest.param(secret({"token": b"t"}, host="ftp://quay.io"), "scheme", id="other-scheme"),
        pytest.param(secret({"token": b"\xff"}, host="quay.io"), "no text", id="no-text"),
        pytest.param(secret({"username": b"u"}, host="quay.io"), "none of", id="no-password"),
        pytest.param(secret({}), "none of", id="empty"),
        pytest.param(secret({".dockerconfigjson": b"{"}), "docker configuration", id="no-json"),
        pytest.param(
            secret({".dockerconfigjson": b'{"auths":{"quay.io":{}}}'}), "nothing usable", id="only-a-broken-entry"
        ),
    ],
)
def test_secret_that_cannot_be_used_says_why(made: PullSecret, message: str) -> None:
    with pytest.raises(SecretError, match=message) as caught:
        find_credential(made, IMAGE)
    assert caught.value.reason == "SecretInvalid"
    assert "team-a/pull" in caught.value.message


def test_secret_is_read_as_the_api_server_sends_it() -> None:
    value = base64.b64encode(json.dumps({"auths": ENTRIES}).encode()).decode()
    read = PullSecret.from_object(
        {
            "metadata": {"name": "pull", "namespace": "team-a", "uid": "u1", "resourceVersion": "7"},
            "type": "kubernetes.io/dockerconfigjson",
            "data": {".dockerconfigjson": value},
        }
    )
    assert find_credential(read, IMAGE).credential
    assert read.type == "kubernetes.io/dockerconfigjson"
    assert PullSecret.from_object({"metadata": {"name": "empty"}}).data == {}


@pytest.mark.parametrize("value", ["%%%", 7, None], ids=str)
def test_value_that_is_no_base64_is_invalid(value: Any) -> None:
    with pytest.raises(SecretError, match="base64") as caught:
        PullSecret.from_object({"metadata": {"name": "pull", "namespace": "team-a"}, "data": {"token": value}})
    assert caught.value.reason == "SecretInvalid"


@pytest.mark.parametrize(
    ("allowed", "namespace", "may"),
    [
        pytest.param(None, "team-a", True, id="own-namespace"),
        pytest.param(None, "team-b", False, id="not-allowed"),
        pytest.param("team-b", "team-b", True, id="named"),
        pytest.param(" team-c , team-b ", "team-b", True, id="among-others"),
        pytest.param("*", "team-b", True, id="all"),
        pytest.param("team-bb", "team-b", False, id="part-of-a-name"),
        pytest.param("", "team-b", False, id="empty"),
    ],
)
def test_other_namespaces_need_leave(allowed: str | None, namespace: str, *, may: bool) -> None:
    annotations = {} if allowed is None else {f"{GROUP}/allow-namespaces": allowed}
    made = secret({}, annotations=annotations)
    if may:
        check_namespace(made, namespace)
        return
    with pytest.raises(SecretError, match="kubectl annotate") as caught:
        check_namespace(made, namespace)
    assert caught.value.reason == "SecretForbidden"


def test_identity_follows_the_content_of_the_secret_and_tells_nothing() -> None:
    data = {".dockerconfigjson": json.dumps({"auths": ENTRIES | {"ghcr.io": ENTRIES["quay.io"]}}).encode()}

    def identity(reference: str = "quay.io/x", **changes: Any) -> str:
        credential = find_credential(secret(data, **changes), Reference.parse(reference)).credential
        assert credential
        return credential.identity

    assert identity() == identity()
    assert identity() != identity(resource_version="8")
    assert identity() != identity(uid="u2")
    assert identity() != identity("ghcr.io/x")
    assert identity(uid="") == Credential(username="u", password=HUSH).identity
    assert HUSH not in identity()


def test_credentials_do_not_show_their_secrets() -> None:
    credential = Credential(username="u", password=HUSH, identity_token=HUSH, registry_token=HUSH)
    shown = secret({"token": HUSH.encode()}, host="quay.io")
    assert HUSH not in f"{credential!r} {credential} {shown!r}"
    assert credential.secrets == (HUSH, HUSH, HUSH)
    assert Credential(username="u", password="1").identity != Credential(username="u1", password="").identity
    with pytest.raises(AttributeError):
        credential.password = "other"  # type: ignore[misc]  # frozen, which this proves
    assert pickle.loads(pickle.dumps(credential)) == credential  # noqa: S301 (our own bytes)
