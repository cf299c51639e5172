"""Which Secrets open an object store."""

from __future__ import annotations

import pytest

from image_catalog.artifacts import StoreCredential
from image_catalog.errors import SecretError
from image_catalog.models.secrets import PullSecret


def _secret(**data: bytes) -> PullSecret:
    return PullSecret("s3-keys", "team-a", data={key.replace("__", "-"): value for key, value in data.items()})


@pytest.mark.parametrize(
    ("data", "token"),
    [
        ({"access__key__id": b"key", "secret__access__key": b"signs\n"}, None),
        ({"AWS_ACCESS_KEY_ID": b"key", "AWS_SECRET_ACCESS_KEY": b"signs"}, None),
        ({"aws_access_key_id": b"key", "aws_secret_access_key": b"signs", "AWS_SESSION_TOKEN": b"token"}, "token"),
        ({"access__key__id": b"key", "secret__access__key": b"signs", "session__token": b""}, None),
    ],
    ids=["the operator's names", "AWS's names", "with a session", "with an empty one"],
)
def test_a_key_goes_by_the_names_that_are_in_use(data: dict[str, bytes], token: str | None) -> None:
    credential = StoreCredential.of_secret(_secret(**data))
    assert (credential.access_key_id, credential.secret_access_key.get_secret_value()) == ("key", "signs")
    assert (credential.session_token and credential.session_token.get_secret_value()) == token
    assert "signs" not in repr(credential)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"username": b"key", "password": b"hidden"}, "has no access-key-id"),
        ({"access__key__id": b"key"}, "has no secret-access-key"),
        ({"access__key__id": b"key", "secret__access__key": b"\xff\xfehidden"}, "cannot be one"),
        ({"access__key__id": b"key\r\nX-Evil: hidden", "secret__access__key": b"signs"}, "cannot be one"),
        ({"access__key__id": b"hidden" * 1000, "secret__access__key": b"signs"}, "cannot be one"),
    ],
    ids=["other names", "one alone", "no text", "a header", "too long"],
)
def test_a_secret_without_a_key_is_told_without_its_values(data: dict[str, bytes], said: str) -> None:
    with pytest.raises(SecretError, match=said) as raised:
        StoreCredential.of_secret(_secret(**data))
    assert raised.value.reason == "SecretInvalid"
    assert "hidden" not in str(raised.value)
    assert raised.value.__cause__ is None
