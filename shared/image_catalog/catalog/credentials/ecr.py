"""The cloud's own credential for its registry: Amazon's ECR."""

from __future__ import annotations

from image_catalog.catalog.credentials.asking import Found, PassedOver, Wanted
from image_catalog.models import RegistryAuthType
from image_catalog.registry import Credential, EcrHost, EcrTokens

__all__ = ["CloudIdentity"]


class CloudIdentity:
    """A token of ECR, for whoever AWS takes the function to be.

    Parameters
    ----------
    tokens
        Asks AWS for tokens; `None` where that is not wanted.
    listed_only
        Whether that is done only where a CatalogRegistry says ``ecr``: the
        function's role may open what not every namespace is to see.
    """

    name = "ECR"

    def __init__(self, *, tokens: EcrTokens | None, listed_only: bool = False) -> None:
        self._tokens = tokens
        self._listed_only = listed_only

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        """Return a token for the image's region.

        Raises
        ------
        CatalogError
            Raised if AWS gives this function none; the message says what to do.
        """
        reference = wanted.reference
        is_listed = bool(wanted.registry and wanted.registry.auth and wanted.registry.auth.type is RegistryAuthType.ECR)
        host = EcrHost.of(reference.registry)
        if host is None:
            return PassedOver(f"{reference.registry} is no host of ECR", is_notable=is_listed)
        if self._tokens is None:
            return PassedOver("the function does not ask AWS")
        if self._listed_only and not is_listed:
            return PassedOver(
                "AWS is asked only for hosts whose CatalogRegistry says auth type ecr (IMAGE_CATALOG_ECR_POLICY)"
            )
        credential = await self._tokens.get(host, required=is_listed)
        if credential is None:
            return PassedOver("the function has no AWS identity")
        return Found.of(credential)

    async def drop(self, credential: Credential) -> bool:
        """Forget a token that the registry did not take."""
        return self._tokens is not None and self._tokens.drop(credential)
