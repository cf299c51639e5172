"""The notifications of Docker Hub's webhooks.

They tell of pushes to a tag, without a digest, and of nothing else, with a time in
whole seconds: two pushes can be told alike. Nothing is signed, no header field can
be chosen, and what proves them is in the URL that the owner gives to Docker Hub.
Their ``callback_url`` is not called: whoever can send a notification could have the
catalog call anything.

See https://docs.docker.com/docker-hub/repos/manage/webhooks/.
"""

from __future__ import annotations

from image_catalog_functions.api.notifying.senders.pushes import Notification, Push, Repository, SentModel, Tag

__all__ = ["DockerHubNotification"]


class _PushData(SentModel):
    tag: Tag | None = None


class _Repository(SentModel):
    repo_name: Repository


class DockerHubNotification(Notification):
    """A notification of Docker Hub."""

    push_data: _PushData
    """What was pushed; older notifications do not say to which tag, and then any of them may be it."""
    repository: _Repository
    """Where."""

    def pushes(self) -> list[Push]:
        """Return what was pushed."""
        return [Push(self.repository.repo_name, self.push_data.tag or None)]
