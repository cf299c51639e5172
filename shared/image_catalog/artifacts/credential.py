"""What opens an object store: the keys of a Secret, under the names that are in use for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from image_catalog.errors import SecretError
from image_catalog.models.secrets import PullSecret

__all__ = ["StoreCredential"]

_LONGEST = 4096
"""Longest value that is taken for a key; session tokens have some 1,000 characters."""


@dataclass(frozen=True, slots=True)
class StoreCredential:
    """A key of an object store.

    Attributes
    ----------
    access_key_id
        Names the key; it stands in every presigned URL.
    secret_access_key
        Signs.
    session_token
        Goes with keys that last for a while.
    """

    access_key_id: str
    secret_access_key: SecretStr
    session_token: SecretStr | None = None

    @classmethod
    def of_secret(cls, secret: PullSecret) -> Self:
        """Read the Secret that a build exported with.

        The build operator names the keys ``access-key-id`` and
        ``secret-access-key``; AWS's tools ``AWS_ACCESS_KEY_ID``,
        ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``.

        Parameters
        ----------
        secret
            The Secret.

        Raises
        ------
        SecretError
            Raised with reason ``SecretInvalid`` if it lacks one of the two, or
            holds what cannot be a key.
        """
        fields = {key.lower().replace("_", "-").removeprefix("aws-"): value for key, value in secret.data.items()}
        key, signing = _text(secret, fields, "access-key-id"), _text(secret, fields, "secret-access-key")
        if not key or not signing:
            missing = "access-key-id" if not key else "secret-access-key"
            raise SecretError(
                f"{secret.title} has no {missing} (or AWS_{missing.upper().replace('-', '_')}) for the object store",
                reason="SecretInvalid",
            )
        token = _text(secret, fields, "session-token")
        return cls(key, SecretStr(signing), SecretStr(token) if token else None)


def _text(secret: PullSecret, fields: dict[str, bytes], name: str) -> str:
    try:
        text = fields.get(name, b"").decode("ascii").strip()
    except UnicodeDecodeError:
        # Not chained: the exception quotes the value.
        text = "\n"
    # What is signed with goes into headers, where a line break begins another one.
    if not (text.isprintable() and len(text) <= _LONGEST):
        raise SecretError(f"{secret.title} has a {name} that cannot be one", reason="SecretInvalid")
    return text
