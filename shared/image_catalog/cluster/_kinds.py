"""The kinds that the catalog reads or writes, and the paths that they live at."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

__all__ = [
    "CATALOG_IMAGE",
    "CATALOG_REGISTRY",
    "CONFIG_MAP",
    "EVENT",
    "IMAGE_BUILD",
    "LEASE",
    "NAMESPACE",
    "SECRET",
    "SUBJECT_ACCESS_REVIEW",
    "TOKEN_REVIEW",
    "ResourceKind",
]

CATALOG_GROUP = "automotive.sdv.cloud.redhat.com"


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind of object and where the API server keeps it.

    See https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris.

    Attributes
    ----------
    group
        The API group; empty for the core group.
    version
        The API version, ``v1`` for example.
    plural
        The resource's name in paths and in RBAC rules.
    kind
        The object's kind, ``Lease`` for example.
    namespaced
        Whether objects live in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` that objects of this kind carry."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The resource as messages and ``kubectl`` name it: ``leases.coordination.k8s.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Build the path of a collection, an object, or one of its subresources.

        Parameters
        ----------
        namespace
            Where to look; `None` means all namespaces, or a cluster-scoped kind.
        name
            The object; `None` means the collection.
        subresource
            ``status`` for example.
        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource is not None:
            parts.append(subresource)
        # A name comes from users: quoted whole, "../secrets/x" stays one segment.
        return "/" + "/".join(quote(part, safe="") for part in parts)


CATALOG_IMAGE = ResourceKind(CATALOG_GROUP, "v1alpha1", "catalogimages", "CatalogImage")
CATALOG_REGISTRY = ResourceKind(CATALOG_GROUP, "v1alpha1", "catalogregistries", "CatalogRegistry", namespaced=False)
IMAGE_BUILD = ResourceKind(CATALOG_GROUP, "v1alpha1", "imagebuilds", "ImageBuild")
CONFIG_MAP = ResourceKind("", "v1", "configmaps", "ConfigMap")
EVENT = ResourceKind("", "v1", "events", "Event")
LEASE = ResourceKind("coordination.k8s.io", "v1", "leases", "Lease")
NAMESPACE = ResourceKind("", "v1", "namespaces", "Namespace", namespaced=False)
SECRET = ResourceKind("", "v1", "secrets", "Secret")
TOKEN_REVIEW = ResourceKind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
SUBJECT_ACCESS_REVIEW = ResourceKind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
