"""Checks what each ServiceAccount may do: as much as its function does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.surroundings import NAMESPACE, Surroundings
from image_catalog.cluster import SUBJECT_ACCESS_REVIEW, KubernetesAPI

__all__ = ["Right", "check_rights", "expected_rights", "may"]

_CHECK: Final = "rights"


@dataclass(frozen=True, slots=True)
class Right:
    """Something that may be done in the whole cluster, or in one namespace.

    Attributes
    ----------
    group, resource, verb, subresource
        As RBAC names them; the subresource is empty for the object itself.
    """

    group: str
    resource: str
    verb: str
    subresource: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {'/'.join(filter(None, (self.resource, self.subresource)))}"


async def may(api: KubernetesAPI, user: str, right: Right, *, namespace: str = "") -> bool:
    """Ask the API server whether a ServiceAccount may do something.

    Parameters
    ----------
    api
        Asks as somebody who may review access.
    user
        ``system:serviceaccount:namespace:name``.
    right
        What.
    namespace
        Where; empty means everywhere.

    Raises
    ------
    ForbiddenError
        Raised if the caller may not review access.
    """
    attributes = {"verb": right.verb, "group": right.group, "resource": right.resource, "namespace": namespace}
    if right.subresource:
        attributes["subresource"] = right.subresource
    # A token of the account would say these groups; a review takes nothing for granted.
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}", "system:authenticated"]
    spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
    answer = await api.create(SUBJECT_ACCESS_REVIEW, {"spec": spec})
    return (answer.get("status") or {}).get("allowed") is True


async def check_rights(around: Surroundings) -> list[Finding]:
    """Compare what each account may do with what its role in this version says."""
    wanted = expected_rights(around.manifests)
    return list(await asyncio.gather(*(_account(around.api, name, rights) for name, rights in wanted.items())))


async def _account(api: KubernetesAPI, name: str, rights: list[Right]) -> Finding:
    user = f"system:serviceaccount:{NAMESPACE}:{name}"
    missing = [str(right) for right in rights if not await may(api, user, right)]
    subject = f"serviceaccount/{name}"
    if not missing:
        return Finding(
            check=_CHECK, subject=subject, state=State.OK, message=f"may do all {len(rights)} things it does"
        )
    return Finding(
        check=_CHECK,
        subject=subject,
        state=State.WRONG,
        message=f"may not {', '.join(missing)}",
        remedy="kubectl apply -k your overlay; its roles are those of knative/rbac",
    )


def expected_rights(manifests: Iterable[Mapping[str, Any]]) -> dict[str, list[Right]]:
    """Return what each ServiceAccount is to be allowed in the whole cluster.

    Parameters
    ----------
    manifests
        ClusterRoles and ClusterRoleBindings among whatever else.
    """
    objects = list(manifests)
    roles = {m["metadata"]["name"]: m["rules"] for m in objects if m["kind"] == "ClusterRole"}
    return {
        subject["name"]: list(_rights(roles[binding["roleRef"]["name"]]))
        for binding in objects
        if binding["kind"] == "ClusterRoleBinding"
        for subject in binding["subjects"]
    }


def _rights(rules: Iterable[Mapping[str, Any]]) -> Iterator[Right]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for full in rule["resources"]:
                resource, _, subresource = full.partition("/")
                yield from (Right(group, resource, verb, subresource) for verb in rule["verbs"])
