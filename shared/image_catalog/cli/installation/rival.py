"""Looks for the build operator's own catalog controller, beside which the catalog must not run.

Both would write the status of the same entries, and put and take the same
finalizer. The operator of https://github.com/centos-automotive-suite/automotive-dev-operator
runs the controller in the same process as that of ImageBuilds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.kinds import DEPLOYMENT
from image_catalog.cli.installation.rights import Right, may
from image_catalog.cli.installation.surroundings import Surroundings
from image_catalog.cluster import CATALOG_IMAGE, LEASE
from image_catalog.models.kubernetes import parse_time
from image_catalog.models.names import GROUP

__all__ = ["check_rival"]

_CHECK: Final = "operator"
_SELECTOR: Final = "app.kubernetes.io/name=automotive-dev-operator"
_LEASES: Final = ("930f6355.sdv.cloud.redhat.com", "930f6355-build.sdv.cloud.redhat.com")
"""What its leader holds, by the mode that it runs in."""
_WRITES: Final = Right(GROUP, "catalogimages", "update", subresource="status")
_REMEDY: Final = "docs/migrating.md tells how to end its catalog controller and keep its builds"


async def check_rival(around: Surroundings) -> list[Finding]:
    """Find whatever else reconciles CatalogImages."""
    found = [finding async for finding in _deployments(around)]
    explained = {finding.subject.partition("/")[0] for finding in found}
    found += [finding async for finding in _leaders(around, explained)]
    return found or [
        Finding(check=_CHECK, subject="catalogimages", state=State.OK, message="no other controller writes them")
    ]


async def _deployments(around: Surroundings) -> AsyncIterator[Finding]:
    for deployment in await around.api.list_all(DEPLOYMENT, label_selector=_SELECTOR):
        spec, metadata = deployment["spec"], deployment["metadata"]
        pod = spec["template"]["spec"]
        subject = f"{metadata['namespace']}/deployment/{metadata['name']}"
        user = f"system:serviceaccount:{metadata['namespace']}:{pod.get('serviceAccountName', 'default')}"
        if spec.get("replicas", 1) == 0 or _only_prepares(pod):
            yield _well(subject, "runs no controller of entries")
        elif not await may(around.api, user, _WRITES):
            yield _well(subject, "may not write entries")
        elif not (bound := _namespace(pod, metadata["namespace"])):
            yield _wrong(subject, "reconciles CatalogImages, whose status and finalizer the functions write, too")
        elif await around.api.list_all(CATALOG_IMAGE, bound):
            yield _wrong(subject, f"reconciles the CatalogImages of namespace {bound}, as the functions do")
        else:
            yield _well(subject, f"is bound to namespace {bound}, which has no entries")


async def _leaders(around: Surroundings, explained: set[str]) -> AsyncIterator[Finding]:
    """Find an operator that was deployed under another label: its leader renews a Lease."""
    for name in _LEASES:
        for lease in await around.api.list_all(LEASE, field_selector=f"metadata.name={name}"):
            namespace, spec = lease["metadata"]["namespace"], lease.get("spec") or {}
            renewed = parse_time(spec.get("renewTime"))
            lasts = timedelta(seconds=spec.get("leaseDurationSeconds") or 0)
            if namespace in explained or renewed is None or isinstance(renewed, str):
                continue
            if renewed + 2 * lasts > around.clock():
                holder = spec.get("holderIdentity")
                yield _wrong(
                    f"{namespace}/lease/{name}", f"the build operator leads as {holder}, and reconciles entries"
                )


def _manager(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    containers: list[dict[str, Any]] = pod.get("containers") or [{}]
    return next((c for c in containers if c.get("name") == "manager"), containers[0])


def _only_prepares(pod: Mapping[str, Any]) -> bool:
    words = [*(_manager(pod).get("command") or ()), *(_manager(pod).get("args") or ())]
    return "--mode=platform" in words or ("--mode", "platform") in set(pairwise(words))


def _namespace(pod: Mapping[str, Any], own: str) -> str:
    """Return the one namespace that it is bound to; empty where it sees all."""
    variables: dict[str, Mapping[str, Any]] = {v["name"]: v for v in _manager(pod).get("env") or ()}
    variable = variables.get("WATCH_NAMESPACE", {})
    # What is taken from somewhere is the Pod's own namespace, as operators have it.
    return own if "valueFrom" in variable else str(variable.get("value") or "")


def _well(subject: str, message: str) -> Finding:
    return Finding(check=_CHECK, subject=subject, state=State.OK, message=message)


def _wrong(subject: str, message: str) -> Finding:
    return Finding(check=_CHECK, subject=subject, state=State.WRONG, message=message, remedy=_REMEDY)
