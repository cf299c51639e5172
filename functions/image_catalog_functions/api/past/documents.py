"""What the calls about the past answer, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from image_catalog.audit import Outcome
from image_catalog.models import SourceImageBuild
from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.wording import Count
from image_catalog_functions.api.artifacts.documents import RecallNote

__all__ = ["AuditRecord", "HistoryList", "HistoryVersion", "PastMetadata", "RecordList", "record_document"]


class AuditRecord(KubernetesModel):
    """Something that happened: who did what, when, and how it ended."""

    seq: Count
    """Its place among all records."""
    event_id: str
    """Id of the event, or of the change, that it tells of."""
    kind: str
    """What happened: an event's type without the catalog's prefix, or `image.added` and `image.changed` by hand."""
    namespace: str | None = None
    """Namespace of the entry."""
    name: str | None = None
    """Name of the entry; absent where it was refused before it had one."""
    time: Time
    """When it happened."""
    recorded_at: Time
    """When the audit learnt of it."""
    actor: str
    """Who did it: a user; `ImageBuild namespace/name`; `image-catalog` for what it found out by itself; `unknown`, with
    the tool where the cluster tells it; `unauthenticated`."""
    outcome: Outcome
    """How it ended."""
    digest: str | None = None
    """The content that it is about."""
    registry_url: str | None = None
    """The reference that it is about."""
    message: str
    """What happened, as a sentence for people."""
    confirmed: bool
    """Whether the entry itself shows it; what only an event says is not."""
    position: Count
    """Its place among the records of the entry."""
    previous_hash: str
    """Hash of the entry's record before it."""
    hash: str
    """SHA-256 of what it says and of `previousHash`."""
    data: dict[str, Any]
    """All else: `event` is the whole CloudEvent, `changes` lists what was edited by hand."""


class PastMetadata(KubernetesModel):
    """How a list of the past goes on."""

    continue_: str = Field(alias="continue")
    """For the parameter `continue` of the next call; empty on the last page."""
    remaining_item_count: Count | None = None
    """How many items follow after this page; absent where nobody counts them."""
    resource_version: str | None = None
    """Version of the entry that the answer shows; absent where there is none any more."""
    note: str | None = None
    """What the answer lacks, and why, as a sentence for people."""


class RecordList(KubernetesModel):
    """A page of records, newest first."""

    items: list[AuditRecord]
    """The records."""
    metadata: PastMetadata
    """How the list goes on."""


class HistoryVersion(KubernetesModel):
    """One version of an entry."""

    digest: str | None = None
    """Digest of the version; absent while nobody knows it."""
    current: bool
    """Whether the entry points to it now."""
    published_at: Time | None = None
    """When it was published."""
    published_by: str | None = None
    """Who published it; absent where the audit does not know."""
    source_image_build: SourceImageBuild | None = None
    """The build that made it."""
    superseded_at: Time | None = None
    """When the next version took its place, or the entry was removed; absent for the current one."""
    recall: RecallNote | None = None
    """Why it must not be used any more, where it is recalled."""


class HistoryList(KubernetesModel):
    """A page of an entry's versions, or of its records where a `kind` is asked for; newest first."""

    items: list[HistoryVersion | AuditRecord]
    """The versions, or records."""
    metadata: PastMetadata
    """How the list goes on."""


_FIELDS = tuple((name, field.alias or name) for name, field in AuditRecord.model_fields.items())


def record_document(record: Any) -> dict[str, Any]:
    """Return a record as it is answered."""
    values = ((alias, getattr(record, name)) for name, alias in _FIELDS)
    return {alias: value for alias, value in values if value is not None}
