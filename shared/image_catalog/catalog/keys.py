"""Finds the credential that belongs to a reference: the first source that has a say."""

from __future__ import annotations

from image_catalog.cluster import Secrets
from image_catalog.errors import SecretError
from image_catalog.models import AuthSecretRef, Reference
from image_catalog.registry import Credential, check_namespace, find_credential, foreign_secret

__all__ = ["Keys"]


class Keys:
    """Finds credentials.

    Parameters
    ----------
    secrets
        Reads Secrets.
    """

    def __init__(self, *, secrets: Secrets) -> None:
        self._secrets = secrets

    async def find(self, reference: Reference, namespace: str, secret_ref: AuthSecretRef | None) -> Credential | None:
        """Return the credential for a reference; `None` means to ask anonymously.

        Parameters
        ----------
        reference
            The image; a Secret that names another host has no credential for it.
        namespace
            Namespace of the entry that asks.
        secret_ref
            The Secret that the entry names.

        Raises
        ------
        SecretError
            Raised if the Secret is missing, may not be read, or cannot be used.
            Of another namespace's Secret, missing and forbidden are told alike.
        ClusterUnavailableError
            Raised when the API server does not answer.
        """
        if secret_ref is None:
            return None
        owner = secret_ref.namespace or namespace
        secret = await self._secrets.get(owner, secret_ref.name)
        if secret is None:
            if owner != namespace:
                raise foreign_secret(owner, secret_ref.name, namespace)
            raise SecretError(
                f'Secret "{secret_ref.name}" not found in namespace "{owner}"; create it, or mend authSecretRef',
                reason="SecretNotFound",
            )
        check_namespace(secret, namespace)
        return find_credential(secret, reference).credential
