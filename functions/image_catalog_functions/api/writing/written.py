"""What a write answers: the entry as it is now, and the steps that led there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response

from image_catalog.catalog.index import Entry, Index
from image_catalog.cluster import CATALOG_IMAGE, KubernetesAPI
from image_catalog.models.events import PublishRejected, RejectionReason, Step
from image_catalog_functions.api.http.answers import uncached
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.services import Services

__all__ = ["Written", "read_entry", "refresh", "refused", "wire_steps"]

_CONFLICTS: Final = frozenset(
    {
        RejectionReason.ALREADY_EXISTS,
        RejectionReason.NAME_TAKEN,
        RejectionReason.OLDER_THAN_CURRENT,
        RejectionReason.PINNED_BY_USER,
    }
)
_MISTAKES: Final = frozenset(
    {
        RejectionReason.BUILD_NOT_COMPLETED,
        RejectionReason.NO_REGISTRY_LOCATION,
        RejectionReason.INVALID,
        RejectionReason.INVALID_REFERENCE,
    }
)


@dataclass(frozen=True, slots=True)
class Written:
    """A write that was done.

    Attributes
    ----------
    status
        The HTTP status code.
    entry
        The entry as the API server has it after the write.
    steps
        What was done.
    """

    status: int
    entry: Entry
    steps: tuple[Step, ...]

    def response(self) -> Response:
        """Answer with the object, as it was prepared for reads, and the steps beside it."""
        body = self.entry.json[:-1] + b',"steps":' + orjson.dumps(wire_steps(self.steps)) + b"}"
        return uncached(body, self.status)


async def refresh(services: Services, namespace: str, name: str) -> Entry | None:
    """Read an entry from the API server into the index, so that whoever wrote it sees it in every answer.

    Raises
    ------
    ClusterUnavailableError
        Raised when the API server does not answer.
    """
    return await read_entry(services.api, services.index, namespace, name)


async def read_entry(api: KubernetesAPI, index: Index, namespace: str, name: str) -> Entry | None:
    """Read an entry from the API server into an index, as `refresh` says."""
    known = index.get(namespace, name)
    found = await api.get(CATALOG_IMAGE, name, namespace)
    if found is not None:
        index.put(found)
    elif known is not None:
        # Only the one that was known before the question: another may have come in while it was asked.
        index.remove(namespace, name, uid=known.uid)
    return index.get(namespace, name)


def refused(rejected: PublishRejected) -> Problem:
    """Return what a refused publication is answered with."""
    reason = rejected.reason
    status = 422
    if reason in _CONFLICTS:
        status = 409
    elif reason in _MISTAKES:
        status = 400
    elif reason is RejectionReason.BUILD_NOT_FOUND:
        status = 404
    details: dict[str, Any] = {"steps": wire_steps(rejected.steps)}
    if rejected.existing is not None:
        details |= {"name": rejected.existing.name, "namespace": rejected.existing.namespace}
    return Problem(status, ProblemReason(reason.value), rejected.message, details=details)


def wire_steps(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Return steps as they stand in an answer."""
    return [step.to_dict() for step in steps]
