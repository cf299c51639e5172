"""Push notifications as registries send them: made from what their documentation shows."""

from __future__ import annotations

import base64
import secrets
import uuid
from typing import Any

from image_catalog.testing.planted import MADE
from image_catalog.testing.world import World

__all__ = [
    "SECRETS_NAMESPACE",
    "distribution_event",
    "docker_hub_notification",
    "envelope",
    "harbor_cloud_event",
    "harbor_notification",
    "listen",
    "put_token",
    "quay_notification",
]

SECRETS_NAMESPACE = "image-catalog"
"""Where the Secrets with the tokens are."""

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_RBAC = "rbac.authorization.k8s.io"


def listen(world: World, sender: str, *, registry: str = "quay", host: str = "quay.io", **spec: Any) -> str:
    """Let a registry tell of pushes, as an administrator does, and return the token that proves it.

    Parameters
    ----------
    world
        Where.
    sender
        ``distribution``, ``quay``, ``harbor`` or ``dockerhub``.
    registry
        Name of the CatalogRegistry.
    host
        The registry as references name it.
    spec
        Further fields of the CatalogRegistry's spec.
    """
    token = MADE.made("notification token", secrets.token_urlsafe(24))
    name = f"{registry}-pushes"
    put_token(world, name, token=token)
    metadata = {"name": name, "namespace": SECRETS_NAMESPACE}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}]
    world.pipeline.apply({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    world.pipeline.apply(
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "api", "namespace": "image-catalog"}],
        }
    )
    told = {"type": sender, "secretRef": {"name": name, "namespace": SECRETS_NAMESPACE}}
    world.add_registry(registry, host=host, notifications=told, **spec)
    return token


def put_token(world: World, name: str, **tokens: str) -> None:
    """Write a Secret of tokens."""
    data = {key: base64.b64encode(token.encode()).decode() for key, token in tokens.items()}
    metadata = {"name": name, "namespace": SECRETS_NAMESPACE}
    world.pipeline.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data})


def distribution_event(
    repository: str = "acme/autosd", *, action: str = "push", tag: str | None = "cs9", digest: str | None = None
) -> dict[str, Any]:
    """Return an event of distribution; see its ``notifications/event.go``."""
    target: dict[str, Any] = {"repository": repository}
    if digest is not None:
        target |= {"digest": digest}
    if tag is not None:
        target |= {"tag": tag}
    if action != "delete":
        url = f"http://registry.test:5000/v2/{repository}/manifests/{digest}"
        target |= {"mediaType": _MANIFEST, "size": 708, "length": 708, "url": url}
    return {
        "id": str(uuid.uuid4()),
        "timestamp": "2026-03-09T14:44:26.402973972Z",
        "action": action,
        "target": target,
        "request": {"id": str(uuid.uuid4()), "addr": "192.0.2.11:42961", "host": "registry.test:5000", "method": "PUT"},
        "actor": {"name": "ci"},
        "source": {"addr": "registry-0:5000", "instanceID": str(uuid.uuid4())},
    }


def envelope(*events: dict[str, Any]) -> dict[str, Any]:
    """Return events in distribution's envelope."""
    return {"events": list(events)}


def quay_notification(repository: str = "acme/autosd", *, tags: Any = ("cs9",)) -> dict[str, Any]:
    """Return a notification of Quay for the event "push to repository"."""
    namespace, _, name = repository.partition("/")
    return {
        "name": name,
        "repository": repository,
        "namespace": namespace,
        "docker_url": f"quay.io/{repository}",
        "homepage": f"https://quay.io/repository/{repository}",
        "updated_tags": tags if isinstance(tags, dict) else list(tags),
    }


def harbor_notification(
    repository: str = "acme/autosd",
    *,
    event_type: str = "PUSH_ARTIFACT",
    tag: str | None = "cs9",
    digest: str = f"sha256:{'a' * 64}",
) -> dict[str, Any]:
    """Return a notification of Harbor in its own form."""
    return {
        "type": event_type,
        "occur_at": 1586922308,
        "operator": "admin",
        "event_data": _harbor_data(repository, tag, digest),
    }


def harbor_cloud_event(
    repository: str = "acme/autosd",
    *,
    event_type: str = "harbor.artifact.pushed",
    tag: str | None = "cs9",
    digest: str = f"sha256:{'a' * 64}",
) -> dict[str, Any]:
    """Return a notification of Harbor as a CloudEvent."""
    return {
        "specversion": "1.0",
        "requestid": str(uuid.uuid4()),
        "id": str(uuid.uuid4()),
        "source": "/projects/1/webhook/policies/3",
        "type": event_type,
        "datacontenttype": "application/json",
        "time": "2026-03-06T06:08:43Z",
        "data": _harbor_data(repository, tag, digest),
        "operator": "admin",
    }


def _harbor_data(repository: str, tag: str | None, digest: str) -> dict[str, Any]:
    namespace, _, name = repository.partition("/")
    place = f"{repository}@{digest}" if tag is None else f"{repository}:{tag}"
    resource = {"digest": digest, "tag": tag or digest, "resource_url": f"harbor.test/{place}"}
    return {
        "resources": [resource],
        "repository": {
            "date_created": 1586922308,
            "name": name,
            "namespace": namespace,
            "repo_full_name": repository,
            "repo_type": "private",
        },
    }


def docker_hub_notification(repository: str = "acme/autosd", *, tag: str | None = "cs9") -> dict[str, Any]:
    """Return a notification of Docker Hub; without a tag as its automated builds once sent it."""
    namespace, _, name = repository.partition("/")
    pushed: dict[str, Any] = {"pushed_at": 1.417566161e09, "pusher": "trustedbuilder", "images": []}
    return {
        "callback_url": f"https://registry.hub.docker.com/u/{repository}/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/",
        "push_data": pushed if tag is None else {**pushed, "tag": tag},
        "repository": {
            "comment_count": 0,
            "date_created": 1417494799,
            "is_private": True,
            "name": name,
            "namespace": namespace,
            "owner": namespace,
            "repo_name": repository,
            "repo_url": f"https://registry.hub.docker.com/v2/{repository}",
            "star_count": 0,
            "status": "Active",
        },
    }
