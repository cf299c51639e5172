"""The Secret that an entry names in ``authSecretRef``."""

from __future__ import annotations

from image_catalog.catalog.credentials.asking import Found, PassedOver, Wanted
from image_catalog.catalog.credentials.kept import KeptSecrets
from image_catalog.cluster import Secrets
from image_catalog.errors import SecretError
from image_catalog.models import Reference
from image_catalog.models.secrets import PullSecret
from image_catalog.registry import Credential, check_namespace, find_credential, foreign_secret

__all__ = ["EntrySecret", "find_secret", "read_secret"]


class EntrySecret:
    """The Secret that an entry names.

    Parameters
    ----------
    secrets
        Reads Secrets, and keeps them for a moment.
    """

    name = "authSecretRef"

    def __init__(self, *, secrets: KeptSecrets) -> None:
        self._secrets = secrets

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        """Return what the Secret has for the image.

        Raises
        ------
        SecretError
            Raised if the Secret is missing, may not be read, or cannot be used.
            Of another namespace's Secret, missing and forbidden are told alike.
        ClusterUnavailableError
            Raised when the API server does not answer.
        """
        named = wanted.secret_ref
        if named is None:
            return PassedOver("none is named", is_notable=False)
        owner = named.namespace or wanted.namespace
        secret = await find_secret(
            self._secrets, named.name, owner=owner, namespace=wanted.namespace, named_in=self.name
        )
        return read_secret(secret, wanted.reference, kept=self._secrets)

    async def drop(self, credential: Credential) -> bool:
        """Read the Secret again whose credential a registry turned down, if it has been kept for a while."""
        return await self._secrets.drop(credential)


async def find_secret(
    secrets: Secrets | KeptSecrets, name: str, *, owner: str, namespace: str, named_in: str
) -> PullSecret:
    """Return a Secret that entries of a namespace may use.

    Parameters
    ----------
    secrets
        Reads Secrets.
    name, owner
        The Secret, and the namespace that it lives in.
    namespace
        Namespace of the entry that asks.
    named_in
        The field that names the Secret, for messages.

    Raises
    ------
    SecretError
        Raised if it is missing, or may not be used; of another namespace's
        Secret the two are told alike.
    ClusterUnavailableError
        Raised when the API server does not answer.
    """
    secret = await secrets.get(owner, name)
    if secret is None:
        if owner != namespace:
            raise foreign_secret(owner, name, namespace)
        raise SecretError(
            f'Secret "{name}" not found in namespace "{owner}"; create it, or mend {named_in}', reason="SecretNotFound"
        )
    check_namespace(secret, namespace)
    return secret


def read_secret(secret: PullSecret, reference: Reference, *, kept: KeptSecrets) -> Found | PassedOver:
    """Return what a Secret has for an image.

    Parameters
    ----------
    secret
        A Secret that may be used.
    reference
        The image.
    kept
        Learns which Secret the credential comes from, so that it can be dropped.

    Raises
    ------
    SecretError
        Raised with reason ``SecretInvalid`` if the Secret cannot be used.
    """
    credential = find_credential(secret, reference).credential
    if credential is None:
        return PassedOver(f"{secret.title} has no entry for {reference.name}")
    kept.tell(credential, secret)
    return Found.of(credential)
