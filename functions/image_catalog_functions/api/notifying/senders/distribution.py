"""The notifications of distribution, the registry of the CNCF, and of what is made of it.

An envelope holds events; which endpoint gets them is in the registry's own
configuration, with the header fields that it sends along. It sends each until it
is taken, in no order, under an id of the event's own. An image with several
platforms comes as one event for each child, by digest, and one for the index, by
tag. A tag or a manifest that is deleted is an event, too, and so is a repository:
that one names nothing else. Blobs are pushed and deleted by the same words; no
entry names one.

See https://distribution.github.io/distribution/about/notifications/.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from image_catalog_functions.api.notifying.senders.pushes import MAX_PUSHES, Mark, Notification, Push, SentModel, Tag

__all__ = ["DistributionEnvelope"]

_TELLING: Final = frozenset({"push", "delete"})
"""Actions after which a place has other content; ``pull`` and ``mount`` leave manifests as they are."""


class _Target(SentModel):
    repository: Annotated[str, Field(max_length=512)] = ""
    tag: Tag | None = None
    digest: Tag | None = None


class _Event(SentModel):
    id: Mark | None = None
    action: Annotated[str, Field(max_length=64)]
    target: _Target


class DistributionEnvelope(Notification):
    """Events of a distribution registry."""

    events: Annotated[tuple[_Event, ...], Field(max_length=MAX_PUSHES)]
    """What happened; pulls as well."""

    def pushes(self) -> list[Push]:
        """Return what was pushed and deleted."""
        return [
            Push(target.repository, target.tag or None, target.digest or None, event.id or None)
            for event in self.events
            if event.action in _TELLING
            and (target := event.target).repository
            and (target.tag or target.digest or event.action == "delete")
        ]
