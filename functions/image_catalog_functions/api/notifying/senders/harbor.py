"""The notifications of Harbor's webhooks, in both of the payload formats that a policy can choose.

``Default`` is Harbor's own form; ``CloudEvents`` has the same under ``data``, with
an id. What stands in a policy's field *Auth Header* is sent as ``Authorization``.
Where an artifact has no tag, its digest stands in the tag's place.

See https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from image_catalog.models.reference import is_digest
from image_catalog_functions.api.notifying.senders.pushes import (
    MAX_PUSHES,
    Mark,
    Notification,
    Push,
    Repository,
    SentModel,
    Tag,
)

__all__ = ["HarborNotification"]

_TELLING: Final = frozenset(
    {
        "PUSH_ARTIFACT",
        "DELETE_ARTIFACT",
        "CREATE_TAG",
        "harbor.artifact.pushed",
        "harbor.artifact.deleted",
        "harbor.tag.created",
    }
)
"""Events after which a place has other content; those of scans, quotas and pulls tell of none."""


class _Resource(SentModel):
    digest: Tag | None = None
    tag: Tag | None = None


class _Repository(SentModel):
    repo_full_name: Repository


class _Data(SentModel):
    resources: Annotated[tuple[_Resource, ...], Field(max_length=MAX_PUSHES)] = ()
    repository: _Repository | None = None


class HarborNotification(Notification):
    """A notification of Harbor in either form."""

    type: Annotated[str, Field(max_length=128)]
    """What happened."""
    id: Mark | None = None
    """The CloudEvent's id."""
    event_data: _Data | None = None
    """To what, in the form ``Default``."""
    data: _Data | None = None
    """To what, in the form ``CloudEvents``."""

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.type in _TELLING and (self._told is None or self._told.repository is None):
            raise ValueError("event_data.repository (or data.repository, in a CloudEvent) is missing")
        return self

    @property
    def _told(self) -> _Data | None:
        return self.event_data or self.data

    def pushes(self) -> list[Push]:
        """Return what was pushed and deleted."""
        told = self._told
        if self.type not in _TELLING or told is None or told.repository is None:
            return []
        repository = told.repository.repo_full_name
        return [
            Push(repository, tag, resource.digest or None, self.id or None)
            for resource in told.resources
            if (tag := _tag(resource)) or resource.digest
        ]


def _tag(resource: _Resource) -> str | None:
    return None if not resource.tag or is_digest(resource.tag) else resource.tag
