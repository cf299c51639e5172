"""Reads what an event asks for, and whether it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from image_catalog.catalog.wishes import RefusedError, Wish, is_published_by_itself, wish_of_build, wish_of_request
from image_catalog.cluster import ImageBuilds
from image_catalog.config import Settings
from image_catalog.events import ReceivedEvent
from image_catalog.models import ImageBuild
from image_catalog.models.events import BuildRef, PublishRequest, RejectionReason

__all__ = ["Intake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Turns events into wishes.

    Parameters
    ----------
    builds
        Reads builds: the broker's ingress is open to every Pod, so what an
        event says of a build is not believed before anything is written.
    settings
        Which builds are published by themselves, and whose requests are taken.
    clock
        Tells the time.
    """

    builds: ImageBuilds
    settings: Settings
    clock: Callable[[], datetime]

    @property
    def default_namespace(self) -> str:
        """Namespace of entries for which nobody says one."""
        return self.settings.default_namespace

    async def read(self, event: ReceivedEvent[ImageBuild | PublishRequest]) -> Wish | None:
        """Return what an event asks for; `None` when it is nothing.

        Raises
        ------
        RefusedError
            Raised if it asks for what may not be, or cannot be.
        TransientError
            Raised when the API server is in trouble that passes.
        """
        payload = event.data
        if isinstance(payload, ImageBuild):
            # Decided from the event alone: builds change often, and few changes are news.
            return self._automatic(payload)
        if payload.automatic and payload.image_build is not None:
            named = await self._named(payload.image_build)
            # Whether it is (still) published by itself is for `confirm` to say, after what the event owes was told.
            pushed = named.is_completed and named.published_reference is not None
            return wish_of_build(named, now=self.clock()) if pushed else None
        self._refuse_unknown(event, payload)
        build = await self._named(payload.image_build) if payload.image_build else None
        # A time that has not come yet would shut out everything that is published until then.
        asked_at = min(event.time or self.clock(), self.clock())
        return wish_of_request(payload, build=build, default_namespace=self.default_namespace, now=asked_at)

    async def confirm(self, wish: Wish) -> Wish | None:
        """Return a build's wish as the build itself makes it now; `None` when it makes none any more."""
        if wish.build is None:
            return wish
        build = await self.builds.get(wish.build.namespace, wish.build.name)
        if build is None or build.metadata.uid != wish.build.uid:
            return None
        return self._automatic(build)

    def _automatic(self, build: ImageBuild) -> Wish | None:
        """Return the wish of a build that is published by itself."""
        if not is_published_by_itself(build, self.settings.publish_policy):
            return None
        return wish_of_build(build, now=self.clock())

    async def _named(self, named: BuildRef) -> ImageBuild:
        build = await self.builds.get(named.namespace, named.name)
        if build is None:
            raise RefusedError(
                RejectionReason.BUILD_NOT_FOUND, f'ImageBuild "{named.name}" not found in namespace "{named.namespace}"'
            )
        return build

    def _refuse_unknown(self, event: ReceivedEvent[object], request: PublishRequest) -> None:
        if event.is_authenticated:
            return
        if not self.settings.accept_unauthenticated:
            raise RefusedError(
                RejectionReason.UNAUTHENTICATED,
                "requests at the broker's ingress are turned off; post it to the catalog's API",
            )
        if request.promoted_from is not None:
            raise RefusedError(
                RejectionReason.UNAUTHENTICATED,
                "promotedFrom is believed of the catalog's API alone; promote with POST /images/{name}/promote",
            )
        if request.auth_secret_ref is not None:
            raise RefusedError(
                RejectionReason.UNAUTHENTICATED,
                "authSecretRef is refused from a caller that nobody knows; post the request to the catalog's API",
            )
        if request.metadata is not None and any(target.verified for target in request.metadata.targets):
            raise RefusedError(
                RejectionReason.UNAUTHENTICATED,
                "metadata.targets[].verified is refused from a caller that nobody knows; post it to the catalog's API",
            )
