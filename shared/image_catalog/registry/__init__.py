"""The door to registries: the only package that speaks to them.

Cut along the protocol: `challenge`, `realms`, `tokens` and `authorization` for
who may; `hosts`, `addresses` and `connections` for where; `transport` for one
request, `circuit` and `throttle` for when; `manifests` and `facts` for what the bytes say; `credentials`,
`docker_config`, `pull_secrets`, `auth_files` and `ecr` for what is presented; `client` for the
questions that the catalog asks; `outgoing` for hosts that are no registries.
"""

from image_catalog.registry.acceptance import Complaint, complaint, probed_host
from image_catalog.registry.auth_files import AuthFiles
from image_catalog.registry.aws import BotoDoor
from image_catalog.registry.circuit import Opened
from image_catalog.registry.client import RegistryClient
from image_catalog.registry.connections import connect
from image_catalog.registry.credentials import Credential
from image_catalog.registry.docker_config import BrokenConfigError, DockerConfig, Match
from image_catalog.registry.ecr import AwsAnswer, AwsDoor, EcrHost, EcrTokens, NoIdentityError
from image_catalog.registry.hosts import HostPolicy
from image_catalog.registry.inspection import ArtifactLayer, Facts, Inspection, PlatformVariant
from image_catalog.registry.manifests import Platform
from image_catalog.registry.metrics import registry_label
from image_catalog.registry.outgoing import OutgoingRequests
from image_catalog.registry.pull_secrets import check_namespace, find_credential, foreign_secret
from image_catalog.registry.referrers import Referrer

__all__ = [
    "ArtifactLayer",
    "AuthFiles",
    "AwsAnswer",
    "AwsDoor",
    "BotoDoor",
    "BrokenConfigError",
    "Complaint",
    "Credential",
    "DockerConfig",
    "EcrHost",
    "EcrTokens",
    "Facts",
    "HostPolicy",
    "Inspection",
    "Match",
    "NoIdentityError",
    "Opened",
    "OutgoingRequests",
    "Platform",
    "PlatformVariant",
    "Referrer",
    "RegistryClient",
    "check_namespace",
    "complaint",
    "connect",
    "find_credential",
    "foreign_secret",
    "probed_host",
    "registry_label",
]
