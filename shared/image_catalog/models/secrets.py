"""Secrets with registry credentials, as the catalog reads them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from image_catalog.errors import SecretError

__all__ = ["PullSecret"]


@dataclass(frozen=True, slots=True)
class PullSecret:
    """What the catalog needs of a Secret.

    Attributes
    ----------
    name
        Its name.
    namespace
        Its namespace.
    uid
        Its uid; with `resource_version` it tells this content from any other.
    resource_version
        Its resource version.
    type
        ``kubernetes.io/dockerconfigjson``, ``kubernetes.io/basic-auth``, ``Opaque`` and so on.
    data
        Its values, decoded. Never shown.
    annotations
        Its annotations.
    """

    name: str
    namespace: str
    uid: str = ""
    resource_version: str = ""
    type: str = "Opaque"
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_object(cls, secret: Mapping[str, Any]) -> PullSecret:
        """Read a Secret as the API server sends it.

        Parameters
        ----------
        secret
            The object, with its values in base64.

        Raises
        ------
        SecretError
            Raised with reason ``SecretInvalid`` if a value is no base64.
        """
        metadata = secret.get("metadata") or {}
        name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
        try:
            data = {key: base64.b64decode(value, validate=True) for key, value in (secret.get("data") or {}).items()}
        except (binascii.Error, TypeError, ValueError):
            # Not chained: the exception may quote the value.
            raise SecretError(
                f"Secret {namespace}/{name} holds a value that is no base64", reason="SecretInvalid"
            ) from None
        return cls(
            name=name,
            namespace=namespace,
            uid=metadata.get("uid", ""),
            resource_version=metadata.get("resourceVersion", ""),
            type=secret.get("type") or "Opaque",
            data=data,
            annotations=metadata.get("annotations") or {},
        )

    @property
    def title(self) -> str:
        """What people call it."""
        return f"Secret {self.namespace}/{self.name}"

    @property
    def version(self) -> str:
        """Tells this content of the Secret from every other; empty where the API server did not say."""
        return f"{self.uid}/{self.resource_version}" if self.uid and self.resource_version else ""
