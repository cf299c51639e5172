"""Kubernetes Events: what ``kubectl describe`` shows of what the catalog decided."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import structlog

from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._kinds import CATALOG_IMAGE, CATALOG_REGISTRY, EVENT, IMAGE_BUILD
from image_catalog.errors import AlreadyExistsError, CatalogError
from image_catalog.models import CatalogImage, CatalogRegistry, ImageBuild, format_time

__all__ = ["EventRecorder", "ObjectReference"]

logger = structlog.get_logger(__name__)

# What the events API takes as a note; longer ones are refused as a whole.
MAX_MESSAGE_BYTES: Final = 1024
MAX_NAME_LENGTH: Final = 253
# Events about cluster-scoped objects live here, as those of Kubernetes' own components do.
CLUSTER_EVENTS_NAMESPACE: Final = "default"

_KINDS = {CatalogImage: CATALOG_IMAGE, CatalogRegistry: CATALOG_REGISTRY, ImageBuild: IMAGE_BUILD}


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The object that an Event is about.

    Attributes
    ----------
    api_version, kind
        Its kind.
    namespace
        Its namespace; empty for a cluster-scoped kind.
    name, uid
        The object; ``kubectl describe`` matches both.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""

    @classmethod
    def of(cls, about: CatalogImage | ImageBuild | CatalogRegistry) -> ObjectReference:
        """Refer to an entry, a build or a registry."""
        kind = next(kind for model, kind in _KINDS.items() if isinstance(about, model))
        meta = about.metadata
        return cls(kind.api_version, kind.kind, meta.namespace, meta.name, meta.uid)


class EventRecorder:
    """Writes Kubernetes Events, at most one for each catalog event.

    Parameters
    ----------
    api
        Speaks to the API server.
    clock
        Tells the time.
    component
        Who reports, ``image-catalog-publish`` for example.
    """

    def __init__(self, *, api: KubernetesAPI, clock: Callable[[], datetime], component: str = "image-catalog") -> None:
        self._api = api
        self._clock = clock
        self._component = component

    async def record(
        self,
        about: CatalogImage | ImageBuild | CatalogRegistry | ObjectReference,
        *,
        event_id: str,
        reason: str,
        message: str,
        type: Literal["Normal", "Warning"] = "Normal",  # noqa: A002 - the field's name in Kubernetes
    ) -> bool:
        """Write an Event; never fails its caller, because it is a comment and not the deed.

        Parameters
        ----------
        about
            The object.
        event_id
            Id of the catalog event: the same id writes no second Event.
        reason
            One CamelCase word from the closed set.
        message
            A sentence for people.
        type
            ``Warning`` for what somebody should look at.

        Returns
        -------
        bool
            Whether the Event is there now.
        """
        reference = about if isinstance(about, ObjectReference) else ObjectReference.of(about)
        namespace = reference.namespace or CLUSTER_EVENTS_NAMESPACE
        now = format_time(self._clock())
        body = {
            "metadata": {"name": _event_name(reference.name, event_id), "namespace": namespace},
            "involvedObject": {
                "apiVersion": reference.api_version,
                "kind": reference.kind,
                "name": reference.name,
                **({"namespace": reference.namespace} if reference.namespace else {}),
                **({"uid": reference.uid} if reference.uid else {}),
            },
            "reason": reason,
            "message": _shorten(message),
            "type": type,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component},
        }
        try:
            await self._api.create(EVENT, body, namespace)
        except AlreadyExistsError:
            return True
        except CatalogError as e:
            logger.warning("event not written", about=f"{namespace}/{reference.name}", reason=reason, error=e.message)
            return False
        return True


def _event_name(name: str, event_id: str) -> str:
    suffix = hashlib.sha256(event_id.encode()).hexdigest()[:16]
    return f"{name[: MAX_NAME_LENGTH - len(suffix) - 1].rstrip('.-')}.{suffix}"


def _shorten(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return message
    ellipsis = "…"
    return encoded[: MAX_MESSAGE_BYTES - len(ellipsis.encode())].decode(errors="ignore") + ellipsis
