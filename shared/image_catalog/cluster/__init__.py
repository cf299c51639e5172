"""The one place that speaks Kubernetes.

`KubernetesAPI` has the verbs, over any `ResourceKind` and any `Transport`; the
classes beside it are what the catalog does with them, one kind each. Every
foreign exception is converted here into `image_catalog.errors`; an absent object
is `None`.
"""

from image_catalog.cluster._account_tokens import AccountToken, AccountTokens, request_token
from image_catalog.cluster._api import KubernetesAPI
from image_catalog.cluster._builds import ImageBuilds
from image_catalog.cluster._callers import AUDIENCE, AccessReviewer, Caller, TokenReviewer
from image_catalog.cluster._claim import Claim, ClaimOutcome, ClaimResult, Tombstone
from image_catalog.cluster._claims import Claims
from image_catalog.cluster._config_maps import MAX_CONFIG_MAP_BYTES, ConfigMapData, ConfigMaps
from image_catalog.cluster._deferred import DeferredTransport
from image_catalog.cluster._events import EventRecorder, ObjectReference
from image_catalog.cluster._images import CatalogImages, ImagePage, ImageRow
from image_catalog.cluster._kinds import (
    CATALOG_IMAGE,
    CATALOG_REGISTRY,
    CONFIG_MAP,
    EVENT,
    IMAGE_BUILD,
    LEASE,
    NAMESPACE,
    SECRET,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REVIEW,
    ResourceKind,
)
from image_catalog.cluster._kubernetes_transport import KubernetesTransport
from image_catalog.cluster._lists import Page, TableRow
from image_catalog.cluster._registries import CatalogRegistries
from image_catalog.cluster._retry import retry_on_conflict
from image_catalog.cluster._secrets import Secrets
from image_catalog.cluster._transport import JSON, MERGE_PATCH, Response, StreamingResponse, Transport, split_lines
from image_catalog.cluster._watch_items import Bookmarked, Changed, ChangeType, Interrupted, Relisted, WatchItem

__all__ = [
    "AUDIENCE",
    "CATALOG_IMAGE",
    "CATALOG_REGISTRY",
    "CONFIG_MAP",
    "EVENT",
    "IMAGE_BUILD",
    "JSON",
    "LEASE",
    "MAX_CONFIG_MAP_BYTES",
    "MERGE_PATCH",
    "NAMESPACE",
    "SECRET",
    "SUBJECT_ACCESS_REVIEW",
    "TOKEN_REVIEW",
    "AccessReviewer",
    "AccountToken",
    "AccountTokens",
    "Bookmarked",
    "Caller",
    "CatalogImages",
    "CatalogRegistries",
    "ChangeType",
    "Changed",
    "Claim",
    "ClaimOutcome",
    "ClaimResult",
    "Claims",
    "ConfigMapData",
    "ConfigMaps",
    "DeferredTransport",
    "EventRecorder",
    "ImageBuilds",
    "ImagePage",
    "ImageRow",
    "Interrupted",
    "KubernetesAPI",
    "KubernetesTransport",
    "ObjectReference",
    "Page",
    "Relisted",
    "ResourceKind",
    "Response",
    "Secrets",
    "StreamingResponse",
    "TableRow",
    "TokenReviewer",
    "Tombstone",
    "Transport",
    "WatchItem",
    "request_token",
    "retry_on_conflict",
    "split_lines",
]
