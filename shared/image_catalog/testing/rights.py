"""What manifests let a ServiceAccount do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["granted"]


def granted(manifests: Iterable[Mapping[str, Any]], account: str) -> set[tuple[str, str, str]]:
    """Return what a ServiceAccount of ``image-catalog`` may do in the whole cluster.

    Parameters
    ----------
    manifests
        ClusterRoles and ClusterRoleBindings among whatever else.
    account
        The ServiceAccount's name.

    Returns
    -------
    set of tuple
        API group, resource and verb of each right.
    """
    objects = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "image-catalog"}
    roles = [
        objects["ClusterRole", manifest["roleRef"]["name"]]
        for (kind, _), manifest in objects.items()
        if kind == "ClusterRoleBinding" and subject in manifest["subjects"]
    ]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
