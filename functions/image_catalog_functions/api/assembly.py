"""Builds what the API's calls work with from what every function is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from image_catalog.catalog.index import Index
from image_catalog.cluster import CATALOG_IMAGE, IMAGE_BUILD, AccessReviewer, Secrets, TokenReviewer
from image_catalog.config import ApiAuth
from image_catalog.context import Context
from image_catalog_functions.api.access import Guard, OpenGuard
from image_catalog_functions.api.notifying.doors import Doors
from image_catalog_functions.api.notifying.requesting import PushPacer, PushRequester
from image_catalog_functions.api.reading.completed import BuildIndex
from image_catalog_functions.api.reading.feed import Feed
from image_catalog_functions.api.recalling import RecallKeeper, Teller, Watched
from image_catalog_functions.api.recording import Recorder
from image_catalog_functions.api.services import Access, Services
from image_catalog_functions.api.writing import AccessWriter, open_client
from image_catalog_functions.api.writing.written import read_entry

__all__ = ["assemble"]


def assemble(context: Context, *, auth: ApiAuth) -> Services:
    """Build the services; what they open is closed by the application's closers.

    Parameters
    ----------
    context
        Settings, clock and the doors to cluster and broker.
    auth
        Whether the API server is asked about callers.
    """
    index, builds, api = Index(), BuildIndex(), context.api
    teller = Teller(images=context.images, recorder=context.recorder, sink=context.sink, clock=context.clock)
    recalls = RecallKeeper(
        index=index,
        images=context.images,
        read=lambda namespace, name: read_entry(api, index, namespace, name),
        teller=teller,
        filled=lambda: image_feed.filled,
        clock=context.clock,
    )
    watched = Watched(index, recalls.see)
    image_feed = Feed(name="images", watch=lambda: api.watch(CATALOG_IMAGE), collection=watched, clock=context.clock)
    build_feed = Feed(name="builds", watch=lambda: api.watch(IMAGE_BUILD), collection=builds, clock=context.clock)
    functions = open_client(context.settings)
    accesses = AccessWriter(index=index, images=context.images, interval=context.settings.access_write_interval)
    recorder = Recorder(audit=context.audit, clock=context.clock)
    doors = Doors(registries=context.registries, secrets=Secrets(api=api), clock=context.clock)
    pacer = PushPacer(interval=context.settings.notification_interval, rate=context.settings.notification_rate)
    pushes = PushRequester(index=index, sink=context.sink, pacer=pacer, clock=context.clock)
    jobs: list[Callable[[], Awaitable[None]]] = [image_feed.run, build_feed.run]
    jobs += [accesses.run, recorder.run, recalls.run, pushes.run]
    return Services(
        settings=context.settings,
        clock=context.clock,
        index=index,
        builds=builds,
        image_feed=image_feed,
        build_feed=build_feed,
        guard=_guard(context, auth),
        api=api,
        images=context.images,
        functions=functions,
        recorder=recorder,
        doors=doors,
        pushes=pushes,
        recalls=recalls,
        sink=context.sink,
        audit=context.audit,
        jobs=tuple(jobs),
        closers=(accesses.flush, pushes.flush, recorder.aclose, functions.aclose, context.aclose),
    )


def _guard(context: Context, auth: ApiAuth) -> Access:
    if auth is ApiAuth.NONE:
        return OpenGuard()
    settings = context.settings
    return Guard(
        tokens=TokenReviewer(api=context.api, clock=context.clock, audience=None),
        access=AccessReviewer(api=context.api),
        allowed_for=settings.access_allowed_for,
        denied_for=settings.access_denied_for,
    )
