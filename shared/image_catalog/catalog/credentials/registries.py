"""What a CatalogRegistry says about the credential for its host."""

from __future__ import annotations

from image_catalog.catalog.credentials.asking import Found, PassedOver, Source, Wanted
from image_catalog.catalog.credentials.kept import KeptSecrets
from image_catalog.catalog.credentials.secrets import read_secret
from image_catalog.errors import SecretError
from image_catalog.models import RegistryAuth, RegistryAuthType
from image_catalog.registry import Credential

__all__ = ["RegistryCredential"]


class RegistryCredential:
    """The ``auth`` of the CatalogRegistry for the image's host.

    Administrators write CatalogRegistries, so a Secret may lie in any
    namespace whose owner lets the functions read it. What it holds is used for
    the hosts that the Secret itself names, as everywhere.

    Parameters
    ----------
    secrets
        Reads Secrets, and keeps them for a moment.
    own_token
        The source for ``serviceAccountToken``.
    cloud
        The source for ``ecr``.
    """

    name = "CatalogRegistry"

    def __init__(self, *, secrets: KeptSecrets, own_token: Source, cloud: Source) -> None:
        self._secrets = secrets
        self._own_token = own_token
        self._cloud = cloud

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        """Return what the CatalogRegistry has for the image.

        Raises
        ------
        CatalogError
            Raised if it names a credential that cannot be had.
        """
        registry = wanted.registry
        if registry is None:
            return PassedOver(f"there is none for {wanted.reference.registry}", is_notable=False)
        title = f"CatalogRegistry of {registry.host}"
        auth = registry.auth
        if auth is None:
            return PassedOver(f"the {title} has no auth", is_notable=False)
        match auth.type:
            case RegistryAuthType.NONE:
                return Found(None, f"none, as the {title} says")
            case RegistryAuthType.SECRET_REF:
                return await self._from_secret(title, auth, wanted)
            case RegistryAuthType.SERVICE_ACCOUNT_TOKEN:
                found = await self._own_token.find(wanted)
            case RegistryAuthType.ECR:
                found = await self._cloud.find(wanted)
        if isinstance(found, PassedOver):
            return PassedOver(f"the {title} says {auth.type}, but {found.why}")
        return found

    async def drop(self, credential: Credential) -> bool:
        """Forget a credential that the registry did not take."""
        if await self._own_token.drop(credential) or await self._cloud.drop(credential):
            return True
        return await self._secrets.drop(credential)

    async def _from_secret(self, title: str, auth: RegistryAuth, wanted: Wanted) -> Found | PassedOver:
        named = auth.secret_ref
        if named is None:
            raise SecretError(f"the {title} says secretRef and names no Secret", reason="SecretInvalid")
        secret = await self._secrets.get(named.namespace, named.name)
        if secret is None:
            raise SecretError(
                f"Secret {named.namespace}/{named.name}, which the {title} names, is not there; "
                "an administrator creates it, or mends the CatalogRegistry",
                reason="SecretNotFound",
            )
        found = read_secret(secret, wanted.reference, kept=self._secrets)
        return Found(found.credential, f"{found.told} ({title})") if isinstance(found, Found) else found
