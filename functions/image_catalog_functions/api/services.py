"""What the API's calls work with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from image_catalog.catalog.index import Index
from image_catalog.cluster import Caller, CatalogImages, KubernetesAPI
from image_catalog.config import Settings
from image_catalog_functions.api.http.problems import Problem, ProblemReason
from image_catalog_functions.api.reading.completed import BuildIndex
from image_catalog_functions.api.reading.feed import Feed
from image_catalog_functions.api.recording import Recorder
from image_catalog_functions.api.streaming.streams import StreamLimits

if TYPE_CHECKING:
    from image_catalog.audit import AuditStore
    from image_catalog.events import EventSink
    from image_catalog_functions.api.notifying.doors import Doors
    from image_catalog_functions.api.notifying.requesting import PushRequester
    from image_catalog_functions.api.recalling import RecallKeeper
    from image_catalog_functions.api.writing.calling import FunctionClient

__all__ = ["Access", "Services"]


class Access(Protocol):
    """Says who may do what; `Guard` asks the API server, `OpenGuard` lets everybody."""

    def known(
        self, authorization: str | None, verb: str, namespace: str | None, resource: str = "catalogimages"
    ) -> Caller | None:
        """Return the caller if the right was granted moments ago; never waits."""

    async def identify(self, authorization: str | None) -> Caller:
        """Return who the caller is, or raise the problem that nobody knows it."""

    async def require(
        self, authorization: str | None, verb: str, namespace: str | None, resource: str = "catalogimages"
    ) -> Caller:
        """Return the caller, or raise the problem that says why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that the calls work with; each router is made from it.

    Attributes
    ----------
    settings
        What is configured.
    clock
        Tells the time.
    index
        Every entry.
    builds
        Every completed build.
    image_feed, build_feed
        What keeps the two filled.
    guard
        Says who may do what.
    api, images
        Speak to the API server, for writes alone: no read waits for it.
    functions
        Has the publish and verify functions do something.
    recorder
        Keeps who was given which image.
    doors
        Says which registries may tell of pushes.
    pushes
        Has checked what they tell of.
    recalls
        Marks what a recall holds for, and has the world told.
    sink
        Where clients' events go; `None` without a broker.
    audit
        Who did what, and what entries were like; `None` without a database.
    stream_limits
        How long, how often and how many events are streamed.
    stopping
        Set when the process is told to stop: what lasts for as long as somebody listens ends then.
    jobs
        Run while the API serves: the feeds, the writer of access counts.
    closers
        Run when it stops, in this order, after the jobs have been stopped.
    """

    settings: Settings
    clock: Callable[[], datetime]
    index: Index
    builds: BuildIndex
    image_feed: Feed
    build_feed: Feed
    guard: Access
    api: KubernetesAPI
    images: CatalogImages
    functions: FunctionClient
    recorder: Recorder
    doors: Doors
    pushes: PushRequester
    recalls: RecallKeeper
    sink: EventSink | None = None
    audit: AuditStore | None = None
    stream_limits: StreamLimits = field(default_factory=StreamLimits)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: tuple[Callable[[], Awaitable[None]], ...] = ()
    closers: tuple[Callable[[], Awaitable[None]], ...] = ()

    def require_audit(self) -> AuditStore:
        """Return the audit, for a call that cannot be answered without it.

        Raises
        ------
        Problem
            501 ``AuditNotConfigured`` without a database.
        """
        if self.audit is None:
            raise Problem(
                HTTPStatus.NOT_IMPLEMENTED,
                ProblemReason.AUDIT_NOT_CONFIGURED,
                "this catalog keeps no history: no database is configured; set IMAGE_CATALOG_DATABASE_URL for the "
                "functions audit and api",
                details={"setting": "IMAGE_CATALOG_DATABASE_URL"},
            )
        return self.audit
