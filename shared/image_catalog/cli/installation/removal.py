"""Takes an installation away: what writes entries is stopped, then the finalizers go, and then what is asked for.

An entry whose finalizer nobody takes off can never be deleted, nor its
namespace, nor the CustomResourceDefinition.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_catalog.cli.installation.kinds import CRD, INSTALLED, STOPPED, named
from image_catalog.cli.installation.surroundings import NAMESPACE
from image_catalog.cluster import CATALOG_IMAGE, LEASE, KubernetesAPI, ResourceKind
from image_catalog.cluster import NAMESPACE as NAMESPACE_KIND
from image_catalog.errors import ClusterUnavailableError, WriteConflictError
from image_catalog.models.names import FINALIZER, GROUP, LABEL_REFERENCE_HASH

__all__ = ["Removal", "Step", "carry_out", "plan_removal"]

_PART: Final = "app.kubernetes.io/part-of=image-catalog"
_DEFINITIONS: Final = (f"catalogimages.{GROUP}", f"catalogregistries.{GROUP}")
_TRIES: Final = 5
"""Writers of an entry are stopped by then; what still comes between is a delivery that was under way."""


@dataclass(frozen=True, slots=True)
class Step:
    """An object that is deleted.

    Attributes
    ----------
    kind, name, namespace
        The object; the namespace is `None` for a cluster-scoped one.
    """

    kind: ResourceKind
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return named(self.kind, self.name, self.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What is to be done, in its order.

    Attributes
    ----------
    stopped
        What would put finalizers back, and what wakes it.
    held
        Entries that have our finalizer, as namespace and name.
    removed
        What was installed.
    entries
        How many entries are deleted; 0 where they are kept.
    definitions
        The claims and the definitions that go with the entries.
    notes
        What is left, and what could not be looked at.
    """

    stopped: list[Step]
    held: list[tuple[str, str]]
    removed: list[Step]
    entries: int
    definitions: list[Step]
    notes: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.stopped or self.held or self.removed or self.definitions)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry, and whether it has our finalizer."""

    namespace: str
    name: str
    held: bool


async def plan_removal(api: KubernetesAPI, *, everything: bool, entries: bool) -> Removal:
    """Find out what is to be done; nothing is changed.

    Parameters
    ----------
    api
        The cluster.
    everything
        Whether all that was installed goes, the namespace last; the definitions and entries stay.
    entries
        Whether the entries, their claims and the definitions go, too.
    """
    notes: list[str] = []
    stopped = [step for kind in STOPPED async for step in _ours(api, kind, notes)]
    names = [name async for name in _entries(api)]
    removed = [step for kind in INSTALLED async for step in _ours(api, kind, notes)] if everything else []
    if not entries and any(name.namespace == NAMESPACE for name in names):
        removed = [step for step in removed if step.kind != NAMESPACE_KIND]
        notes.append(f"namespace {NAMESPACE} stays: there are entries in it")
    definitions: list[Step] = []
    if entries:
        claims = await api.list_all(LEASE, label_selector=LABEL_REFERENCE_HASH)
        definitions += [Step(LEASE, c["metadata"]["name"], c["metadata"]["namespace"]) for c in claims]
        definitions += [Step(CRD, name) for name in _DEFINITIONS if await api.get(CRD, name) is not None]
    return Removal(
        stopped=stopped,
        held=[(name.namespace, name.name) for name in names if name.held],
        removed=removed,
        entries=len(names) if entries else 0,
        definitions=definitions,
        notes=notes,
    )


async def carry_out(api: KubernetesAPI, plan: Removal, tell: Callable[[str], None]) -> None:
    """Do what was planned; whatever is gone already is passed over, so that it can be run again.

    Parameters
    ----------
    api
        The cluster.
    plan
        What to do.
    tell
        Told of each thing that was done.

    Raises
    ------
    WriteConflictError
        Raised if somebody keeps writing an entry.
    ForbiddenError
        Raised if the user may not do it; what was done before stays done.
    """
    await _delete(api, plan.stopped, tell)
    for namespace, name in plan.held:
        if await _release(api, namespace, name):
            tell(f"let go of catalogimage/{name} in {namespace}")
    # A delivery that was under way may have put one back.
    for entry in [entry async for entry in _entries(api) if entry.held]:
        await _release(api, entry.namespace, entry.name)
    last = [step for step in plan.removed if step.kind == NAMESPACE_KIND]
    await _delete(api, [step for step in plan.removed if step not in last], tell)
    await _delete(api, plan.definitions, tell)
    await _delete(api, last, tell)


async def _delete(api: KubernetesAPI, steps: list[Step], tell: Callable[[str], None]) -> None:
    for step in steps:
        if await api.delete(step.kind, step.name, step.namespace):
            tell(f"deleted {step}")


async def _release(api: KubernetesAPI, namespace: str, name: str) -> bool:
    """Take our finalizer off an entry, whoever wrote it and whether we can read it."""
    for attempt in range(_TRIES):
        found = await api.get(CATALOG_IMAGE, name, namespace)
        if found is None or not _is_held(found):
            return False
        metadata = found["metadata"]
        kept = [one for one in metadata["finalizers"] if one != FINALIZER]
        try:
            await api.patch(
                CATALOG_IMAGE,
                name,
                namespace,
                {"metadata": {"finalizers": kept}},
                resource_version=metadata["resourceVersion"],
                uid=metadata["uid"],
            )
        except WriteConflictError:
            if attempt == _TRIES - 1:
                raise
        else:
            return True
    return False


async def _entries(api: KubernetesAPI) -> AsyncIterator[_Entry]:
    """Yield every entry; none where the kind is not installed."""
    if await api.get(CRD, _DEFINITIONS[0]) is None:
        return
    seen: set[tuple[str, str]] = set()
    async for page in api.pages(CATALOG_IMAGE):
        for found in page.objects:
            entry = _Entry(found["metadata"]["namespace"], found["metadata"]["name"], _is_held(found))
            # A list that began anew while it was read gives some of them twice.
            if (entry.namespace, entry.name) not in seen:
                seen.add((entry.namespace, entry.name))
                yield entry


def _is_held(found: Mapping[str, Any]) -> bool:
    return FINALIZER in (found["metadata"].get("finalizers") or ())


async def _ours(api: KubernetesAPI, kind: ResourceKind, notes: list[str]) -> AsyncIterator[Step]:
    """Find what every overlay marks as part of the catalog, also what an overlay of somebody's own has added."""
    where = NAMESPACE if kind.namespaced else None
    try:
        found = await api.list_all(kind, where, label_selector=_PART)
    except ClusterUnavailableError:
        notes.append(f"{kind.plural} cannot be listed: the cluster has no such kind, or does not answer")
        return
    for one in found:
        yield Step(kind, one["metadata"]["name"], where)
