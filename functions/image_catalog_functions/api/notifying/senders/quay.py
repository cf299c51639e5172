"""The notifications of Quay for the event "push to repository".

They name tags and no digests, and neither an id nor a time: two pushes of a tag
are told in the same bytes. Deletions are not told.

Quay sends no header field of ours, and signs nothing. What proves a notification
is in the URL that the owner of the repository gives to Quay: as the password of
its user information, or in the query.

See https://docs.redhat.com/en/documentation/red_hat_quay/3.8/html/use_red_hat_quay/repository_notifications.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from image_catalog_functions.api.notifying.senders.pushes import MAX_PUSHES, Notification, Push, Repository, Tag

__all__ = ["QuayNotification"]


class QuayNotification(Notification):
    """A notification of Quay; one of another event tells of no tags."""

    repository: Repository
    """Namespace and repository."""
    updated_tags: Annotated[tuple[Tag, ...] | dict[Tag, Any], Field(max_length=MAX_PUSHES)] = ()
    """The tags; older versions gave the image of each beside it."""

    def pushes(self) -> list[Push]:
        """Return what was pushed."""
        return [Push(self.repository, tag) for tag in self.updated_tags if tag]
