"""The function's own ServiceAccount token, for OpenShift's internal registry and nobody else."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from image_catalog.catalog.credentials.asking import Found, PassedOver, Wanted
from image_catalog.cluster import AccountTokens
from image_catalog.errors import ForbiddenError, InvalidObjectError, SecretError
from image_catalog.models import RegistryType
from image_catalog.registry import Credential

__all__ = ["OwnToken"]

_SERVICE_NAMES = frozenset(
    {
        "image-registry.openshift-image-registry.svc:5000",
        "image-registry.openshift-image-registry.svc.cluster.local:5000",
    }
)
"""Hosts that are the internal registry in every OpenShift cluster."""

_USER = "serviceaccount"
"""The registry looks at the token alone; this is the name that OpenShift's own clients send."""


class OwnToken:
    """The token of the ServiceAccount that the function runs as.

    It opens the whole API server, so it is shown to the internal registry
    alone. And because users type references, it opens for an entry what is in
    the entry's own namespace, or in one whose images are for everybody:
    whoever may create entries must not look into other namespaces with the
    function's rights.

    Parameters
    ----------
    tokens
        Makes tokens; `None` where the function has no ServiceAccount to use.
    shared
        Namespaces whose images every entry may use.
    """

    name = "ServiceAccount token"

    def __init__(self, *, tokens: AccountTokens | None, shared: AbstractSet[str] = frozenset()) -> None:
        self._tokens = tokens
        self._shared = shared

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        """Return the token if the image is the entry's own, in the internal registry.

        Raises
        ------
        SecretError
            Raised if the API server gives this function no token.
        ClusterUnavailableError
            Raised when the API server does not answer.
        """
        reference = wanted.reference
        if not _is_internal(wanted):
            return PassedOver(f"{reference.registry} is not OpenShift's internal registry", is_notable=False)
        if self._tokens is None:
            return PassedOver("the function has none to use (IMAGE_CATALOG_SERVICE_ACCOUNT)")
        owner, separator, _ = reference.repository.partition("/")
        if not separator or (owner != wanted.namespace and owner not in self._shared):
            return PassedOver(
                f"the image is in namespace {owner}, the entry in {wanted.namespace}: an entry is checked with it "
                "in its own namespace only, and in those of IMAGE_CATALOG_SHARED_NAMESPACES"
            )
        try:
            token = await self._tokens.get()
        except ForbiddenError as e:
            raise SecretError(
                f"the function may not ask for a token of its ServiceAccount {self._tokens.account}; "
                "its Role must let it create serviceaccounts/token of that name",
                reason="SecretForbidden",
            ) from e
        except InvalidObjectError as e:
            raise SecretError(
                f"the API server gives no token of ServiceAccount {self._tokens.account}: {e.message}",
                reason="SecretInvalid",
            ) from e
        return Found.of(
            Credential(
                username=_USER,
                password=token.value.get_secret_value(),
                source=f"token of ServiceAccount {self._tokens.account}",
            )
        )

    async def drop(self, credential: Credential) -> bool:
        """Forget a token that the registry did not take."""
        return self._tokens is not None and self._tokens.drop(credential.password)


def _is_internal(wanted: Wanted) -> bool:
    registry = wanted.registry
    if registry is not None and registry.type is RegistryType.OPENSHIFT_INTERNAL:
        # A wildcard may cover hosts that anybody in the cluster makes routes for.
        return not registry.host.startswith("*")
    return wanted.reference.registry in _SERVICE_NAMES
