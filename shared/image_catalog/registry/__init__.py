"""The door to registries: the only package that speaks to them.

Cut along the protocol: `challenge`, `realms`, `tokens` and `authorization` for
who may; `hosts`, `addresses` and `connections` for where; `transport` for one
request; `manifests` and `facts` for what the bytes say; `credentials`,
`docker_config` and `pull_secrets` for what is presented; `client` for the
questions that the catalog asks.
"""

from image_catalog.registry.client import RegistryClient
from image_catalog.registry.connections import connect
from image_catalog.registry.credentials import Credential
from image_catalog.registry.docker_config import BrokenConfigError, DockerConfig, Match
from image_catalog.registry.hosts import HostPolicy
from image_catalog.registry.inspection import ArtifactLayer, Facts, Inspection, PlatformVariant
from image_catalog.registry.manifests import Platform
from image_catalog.registry.pull_secrets import check_namespace, find_credential, foreign_secret

__all__ = [
    "ArtifactLayer",
    "BrokenConfigError",
    "Credential",
    "DockerConfig",
    "Facts",
    "HostPolicy",
    "Inspection",
    "Match",
    "Platform",
    "PlatformVariant",
    "RegistryClient",
    "check_namespace",
    "connect",
    "find_credential",
    "foreign_secret",
]
