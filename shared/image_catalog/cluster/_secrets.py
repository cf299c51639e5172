"""Secrets with registry credentials: read one by one, never listed, never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import SECRET
from image_catalog.errors import ForbiddenError, SecretError
from image_catalog.models.secrets import PullSecret

__all__ = ["Secrets"]

CLUSTER_ROLE: Final = "image-catalog-secret-reader"
SERVICE_ACCOUNTS: Final = ("image-catalog:publish", "image-catalog:verify")


class Secrets:
    """Reads Secrets where a namespace's owner allowed it.

    Parameters
    ----------
    api
        Speaks to the API server.
    cluster_role
        The ClusterRole that a RoleBinding must name.
    service_accounts
        Who it must be bound to, as ``namespace:name``.
    """

    def __init__(
        self,
        *,
        api: KubernetesAPI,
        cluster_role: str = CLUSTER_ROLE,
        service_accounts: Sequence[str] = SERVICE_ACCOUNTS,
    ) -> None:
        self._api = api
        self._cluster_role = cluster_role
        self._service_accounts = tuple(service_accounts)

    async def get(self, namespace: str, name: str) -> PullSecret | None:
        """Read one Secret; `None` when it is absent.

        Raises
        ------
        SecretError
            ``SecretForbidden`` when the namespace's owner has not allowed it; the message
            names the command that does. ``SecretInvalid`` when a value is not base64.
        ClusterUnavailableError
            When the API server does not answer.
        """
        try:
            found = await self._api.get(SECRET, name, namespace)
        except ForbiddenError as e:
            raise SecretError(
                f"reading Secret {namespace}/{name} is not allowed; the owner of the namespace allows it with: "
                f"{self.grant_command(namespace)}",
                reason="SecretForbidden",
            ) from e
        return None if found is None else PullSecret.from_object(found)

    def grant_command(self, namespace: str) -> str:
        """Return the command with which the owner of a namespace allows its Secrets to be read."""
        accounts = " ".join(f"--serviceaccount={account}" for account in self._service_accounts)
        return (
            f"kubectl create rolebinding {self._cluster_role} --clusterrole={self._cluster_role} {accounts} "
            f"--namespace={namespace}"
        )
