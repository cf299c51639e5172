"""Kubernetes Secrets as a source of credentials, and who may use which."""

from __future__ import annotations

from image_catalog.errors import SecretError
from image_catalog.models.names import ANNOTATION_ALLOW_NAMESPACES, ANNOTATION_REGISTRY_HOST
from image_catalog.models.reference import Reference
from image_catalog.models.secrets import PullSecret
from image_catalog.registry.credentials import Credential, identity_of
from image_catalog.registry.docker_config import BrokenConfigError, DockerConfig, HostKey, Match

__all__ = ["check_namespace", "find_credential", "foreign_secret"]

_DOCKER_CONFIG = ".dockerconfigjson"
_DOCKER_CONFIG_OLD = ".dockercfg"
_TOKEN_USER = "token"
"""User name beside a bare token: registries that take tokens as passwords do not look at it."""


def find_credential(secret: PullSecret, reference: Reference) -> Match:
    """Return what a Secret has for an image.

    Parameters
    ----------
    secret
        The Secret.
    reference
        The image; a credential for another host, or another path, is not for it.

    Returns
    -------
    Match
        Without a credential if the Secret has none for this image.

    Raises
    ------
    SecretError
        Raised with reason ``SecretInvalid`` if the Secret cannot be read, or
        holds a bare credential without saying for which host.
    """
    if _DOCKER_CONFIG in secret.data:
        return _from_config(secret, secret.data[_DOCKER_CONFIG], reference, legacy=False)
    if _DOCKER_CONFIG_OLD in secret.data:
        return _from_config(secret, secret.data[_DOCKER_CONFIG_OLD], reference, legacy=True)
    return _from_fields(secret, reference)


def check_namespace(secret: PullSecret, namespace: str) -> None:
    """Make sure that entries of a namespace may use a Secret.

    Whoever may create entries must not, through the functions' rights, use
    Secrets that the owner of another namespace keeps for others.

    Parameters
    ----------
    secret
        The Secret.
    namespace
        Namespace of the entry that names it.

    Raises
    ------
    SecretError
        Raised with reason ``SecretForbidden`` if they may not.
    """
    if secret.namespace == namespace:
        return
    allowed = {name.strip() for name in secret.annotations.get(ANNOTATION_ALLOW_NAMESPACES, "").split(",")}
    if namespace not in allowed and "*" not in allowed:
        raise foreign_secret(secret.namespace, secret.name, namespace)


def foreign_secret(owner: str, name: str, namespace: str) -> SecretError:
    """Return why entries of a namespace may not use another namespace's Secret.

    The same is said of a Secret that is not there: whoever may create entries
    must not learn through them which Secrets other namespaces have.

    Parameters
    ----------
    owner
        Namespace of the Secret.
    name
        Its name.
    namespace
        Namespace of the entry that names it.
    """
    return SecretError(
        f'Secret "{name}" of namespace "{owner}" is not there, or may not be used by entries of namespace {namespace}; '
        "its owner allows it with: "
        f"kubectl annotate secret -n {owner} {name} {ANNOTATION_ALLOW_NAMESPACES}={namespace}",
        reason="SecretForbidden",
    )


def _from_config(secret: PullSecret, content: bytes, reference: Reference, *, legacy: bool) -> Match:
    try:
        config = DockerConfig.parse(content, source=secret.title, identity=secret.version, legacy=legacy)
    except BrokenConfigError as e:
        raise _invalid(secret, f"holds a docker configuration that cannot be read: {e}") from e
    match = config.find(reference)
    if match.credential is None and match.warnings:
        raise _invalid(secret, f"has nothing usable for {reference.name}: {'; '.join(match.warnings)}")
    return match


def _from_fields(secret: PullSecret, reference: Reference) -> Match:
    username, password, token = (_field(secret, name) for name in ("username", "password", "token"))
    if not (password or token):
        raise _invalid(
            secret,
            f"of type {secret.type} has none of .dockerconfigjson, .dockercfg, username and password, or token",
        )
    host = secret.annotations.get(ANNOTATION_REGISTRY_HOST, "").strip()
    if not host:
        raise _invalid(
            secret,
            "does not say which registry it is for; say it with: kubectl annotate secret "
            f"-n {secret.namespace} {secret.name} {ANNOTATION_REGISTRY_HOST}={reference.registry}",
        )
    try:
        key = HostKey.parse(host)
    except BrokenConfigError as e:
        raise _invalid(secret, f"has the annotation {ANNOTATION_REGISTRY_HOST} {host[:64]!r}, but {e}") from e
    if not key.specificity[0]:
        raise _invalid(secret, f"has a wildcard in the annotation {ANNOTATION_REGISTRY_HOST}; name one host")
    if not key.matches(reference):
        return Match()
    version = secret.version
    credential = Credential(
        username=username or _TOKEN_USER,
        password=password or token,
        source=f"{secret.title}, for {host}",
        identity=identity_of(version) if version else "",
    )
    return Match(credential, host)


def _field(secret: PullSecret, name: str) -> str:
    try:
        return secret.data.get(name, b"").decode().strip("\r\n")
    except UnicodeDecodeError as e:
        raise _invalid(secret, f"has a {name} that is no text") from e


def _invalid(secret: PullSecret, problem: str) -> SecretError:
    return SecretError(f"{secret.title} {problem}", reason="SecretInvalid")
