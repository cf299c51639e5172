"""Secrets with registry credentials: read one by one, never listed, never shown."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretBytes, SecretStr

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import SECRET
from image_catalog.errors import ForbiddenError, SecretError

__all__ = ["SecretData", "Secrets"]

CLUSTER_ROLE: Final = "image-catalog-secret-reader"
SERVICE_ACCOUNTS: Final = ("image-catalog:publish", "image-catalog:verify")


@dataclass(frozen=True, slots=True)
class SecretData:
    """A Secret whose values show themselves to nobody who does not ask.

    Attributes
    ----------
    namespace, name
        The Secret.
    type
        ``kubernetes.io/dockerconfigjson`` for example.
    data
        Decoded value by key.
    annotations
        Its annotations: which host it is for, which namespaces may use it.
    resource_version
        Changes whenever the Secret does.
    """

    namespace: str
    name: str
    type: str
    data: Mapping[str, SecretBytes] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    resource_version: str = ""

    def text(self, key: str) -> SecretStr | None:
        """Return a value as text; `None` when there is no such key.

        Raises
        ------
        SecretError
            When the value is not UTF-8.
        """
        value = self.data.get(key)
        if value is None:
            return None
        try:
            return SecretStr(value.get_secret_value().decode())
        except UnicodeDecodeError:
            # Not chained: the exception carries the bytes.
            raise SecretError(
                f"the value {key!r} of Secret {self.namespace}/{self.name} is no text", reason="SecretInvalid"
            ) from None


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

    async def get(self, namespace: str, name: str) -> SecretData | None:
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
        if found is None:
            return None
        metadata = found.get("metadata") or {}
        try:
            values = {
                key: SecretBytes(base64.b64decode(value, validate=True))
                for key, value in (found.get("data") or {}).items()
            }
        except (binascii.Error, ValueError, TypeError):
            # Not chained: the exception may quote the value.
            raise SecretError(
                f"Secret {namespace}/{name} holds a value that is not base64", reason="SecretInvalid"
            ) from None
        return SecretData(
            namespace=namespace,
            name=name,
            type=str(found.get("type") or "Opaque"),
            data=values,
            annotations=metadata.get("annotations") or {},
            resource_version=str(metadata.get("resourceVersion") or ""),
        )

    def grant_command(self, namespace: str) -> str:
        """Return the command with which the owner of a namespace allows its Secrets to be read."""
        accounts = " ".join(f"--serviceaccount={account}" for account in self._service_accounts)
        return (
            f"kubectl create rolebinding {self._cluster_role} --clusterrole={self._cluster_role} {accounts} "
            f"--namespace={namespace}"
        )
