"""The composition root: everything that a function works with, built once per process."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from image_catalog.loading import collector_paused, leave_out, left_out

# To draw on terminals, which no function does, httpx and structlog would bring libraries: a seventh of a start.
leave_out("httpx._main")

# A function's main.py imports this module first, and with it nearly everything that its process loads.
with collector_paused(), left_out("rich"):
    from pydantic import SecretStr

    from image_catalog.catalog.asked import Asked
    from image_catalog.catalog.reachability import Probes
    from image_catalog.catalog.schedule import Schedule
    from image_catalog.catalog.told import Told
    from image_catalog.catalog.upkeep import Upkeep
    from image_catalog.cluster import (
        AccountTokens,
        CatalogImages,
        CatalogRegistries,
        Claims,
        ConfigMaps,
        DeferredTransport,
        EventRecorder,
        ImageBuilds,
        KubernetesAPI,
        KubernetesTransport,
        Secrets,
        TokenReviewer,
        Transport,
    )
    from image_catalog.config import EcrPolicy, RegistryPolicy, Settings
    from image_catalog.events import EventSink, configure_logging, open_sink
    from image_catalog.metrics import show_exemplars

if TYPE_CHECKING:
    from image_catalog.audit import AuditStore
    from image_catalog.catalog.checker import Checker
    from image_catalog.catalog.credentials import CredentialSources
    from image_catalog.catalog.exports import BuildFiles
    from image_catalog.registry.connections import ConnectionFactory
    from image_catalog.registry.limits import Timeouts

__all__ = ["Context", "Reviewer"]


def _now() -> datetime:
    return datetime.now(UTC)


class Reviewer:
    """Believes direct callers that the settings trust to say who the actor is.

    Parameters
    ----------
    reviews
        Tells who a token belongs to.
    trusted
        User names of callers that may speak for others.
    """

    def __init__(self, *, reviews: TokenReviewer, trusted: frozenset[str]) -> None:
        self._reviews = reviews
        self._trusted = trusted

    async def __call__(self, token: str) -> str | None:
        """Return the caller's name if it may speak for others, else `None`."""
        caller = await self._reviews.review(SecretStr(token))
        return caller.username if caller is not None and caller.username in self._trusted else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that a function works with.

    Built by `from_environment` in a function and by `build` where a test or a
    command line brings its own transport or clock.
    """

    settings: Settings
    clock: Callable[[], datetime]
    api: KubernetesAPI
    images: CatalogImages
    builds: ImageBuilds
    registries: CatalogRegistries
    config_maps: ConfigMaps
    claims: Claims
    recorder: EventRecorder
    schedule: Schedule
    asked: Asked
    told: Told
    upkeep: Upkeep
    probes: Probes
    rng: random.Random
    sink: EventSink | None
    audit: AuditStore | None
    reviewer: Reviewer
    _transport: Transport
    _make_checker: Callable[[], Checker]
    _stack: AsyncExitStack

    @property
    def checker(self) -> Checker:
        """Asks registries; made when it is first asked for, because most functions ask none."""
        return self._make_checker()

    @property
    def build_files(self) -> BuildFiles:
        """Lists and opens what builds exported to object stores."""
        from image_catalog.artifacts import ObjectStores  # noqa: PLC0415 - as in _make_checker
        from image_catalog.catalog.exports import BuildFiles  # noqa: PLC0415 - the same

        checker = self.checker
        return BuildFiles(
            stores=ObjectStores(carrier=checker.registry.outgoing),
            secrets=Secrets(api=self.api),
            prepare=checker.apply_policy,
            clock=self.clock,
        )

    @classmethod
    async def from_environment(cls) -> Context:
        """Build the context of a function from its process's environment.

        Raises
        ------
        PermanentError
            Raised if a setting makes no sense; the message names it.
        """
        settings = Settings.from_environment(os.environ)
        configure_logging(style=settings.log_format, level=settings.log_level)
        show_exemplars(shown=settings.metrics_exemplars)
        component = f"image-catalog-{os.environ.get('K_SERVICE', 'function')}"
        transport = DeferredTransport(
            lambda: KubernetesTransport.connect(kubeconfig=settings.kubeconfig, user_agent=component)
        )
        url = os.environ.get("K_SINK")
        sink = open_sink(url, overrides=os.environ.get("K_CE_OVERRIDES")) if url else None
        return cls.build(settings=settings, transport=transport, sink=sink, environment=os.environ, component=component)

    @classmethod
    def build(
        cls,
        *,
        settings: Settings,
        transport: Transport,
        sink: EventSink | None = None,
        environment: Mapping[str, str] | None = None,
        component: str = "image-catalog",
        clock: Callable[[], datetime] = _now,
        ticks: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        connect: ConnectionFactory | None = None,
        timeouts: Timeouts | None = None,
    ) -> Context:
        """Wire the parts together.

        Parameters
        ----------
        settings
            What is configured.
        transport
            Carries requests to the API server; closed with the context.
        sink
            Where events go; closed with the context.
        environment
            Where egress proxies and auth files are named; none without it, and
            nobody to be at AWS.
        component
            Who reports in Kubernetes Events.
        clock
            Tells the time.
        ticks
            Seconds that only go forward, which registries' tokens age by.
        rng
            Spreads times and orders.
        connect
            Makes the connections to registries; real ones by default.
        timeouts
            How long a registry is waited for.
        """
        rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        api = KubernetesAPI(transport=transport, page_size=settings.reverify_page, rng=rng)
        images, registries = CatalogImages(api=api), CatalogRegistries(api=api, clock=clock)
        stack = _open_stack(api, sink)
        return cls(
            settings=settings,
            clock=clock,
            api=api,
            images=images,
            builds=ImageBuilds(api=api),
            registries=registries,
            config_maps=ConfigMaps(api=api),
            claims=Claims(api=api, images=images, clock=clock),
            recorder=EventRecorder(api=api, clock=clock, component=component),
            schedule=Schedule(
                min_interval=settings.min_verification_interval,
                digest_factor=settings.digest_interval_factor,
                retry_initial=settings.retry_initial,
                retry_credentials=settings.retry_credentials,
                rng=rng,
            ),
            asked=Asked(),
            told=Told(),
            upkeep=Upkeep(retention=settings.audit_retention, clock=clock),
            probes=Probes(),
            rng=rng,
            sink=sink,
            audit=_open_audit(settings, clock=clock, stack=stack),
            reviewer=Reviewer(reviews=TokenReviewer(api=api, clock=clock), trusted=settings.trusted_callers),
            _transport=transport,
            _make_checker=cache(
                lambda: _make_checker(
                    settings,
                    api=api,
                    registries=registries,
                    environment=environment,
                    clock=clock,
                    ticks=ticks,
                    connect=connect,
                    timeouts=timeouts,
                    stack=stack,
                )
            ),
            _stack=stack,
        )

    async def ready(self) -> None:
        """Connect to the cluster, if that has not been done.

        Raises
        ------
        ClusterUnavailableError
            Raised if no cluster is configured.
        """
        if isinstance(self._transport, DeferredTransport):
            await self._transport.connected()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._stack.aclose()


def _open_stack(api: KubernetesAPI, sink: EventSink | None) -> AsyncExitStack:
    """Return what closes the connections that every function has."""
    stack = AsyncExitStack()
    stack.push_async_callback(api.close)
    if sink is not None:
        stack.push_async_callback(sink.aclose)
    return stack


def _open_audit(settings: Settings, *, clock: Callable[[], datetime], stack: AsyncExitStack) -> AuditStore | None:
    """Return the audit of the configured database, which is connected when it is first asked something."""
    if settings.database_url is None:
        return None
    from image_catalog.audit import AuditStore  # noqa: PLC0415 - most functions keep no history

    store = AuditStore.open(settings.database_url, clock=clock)
    stack.push_async_callback(store.aclose)
    return store


def _make_checker(
    settings: Settings,
    *,
    api: KubernetesAPI,
    registries: CatalogRegistries,
    environment: Mapping[str, str] | None,
    clock: Callable[[], datetime],
    ticks: Callable[[], float],
    connect: ConnectionFactory | None,
    timeouts: Timeouts | None,
    stack: AsyncExitStack,
) -> Checker:
    """Wire what asks registries; it is closed with the stack."""
    # A tenth of a second that the start of a function which asks no registry must not take.
    from image_catalog import registry  # noqa: PLC0415 - see above
    from image_catalog.catalog.allowances import Allowances  # noqa: PLC0415 - see above
    from image_catalog.catalog.checker import Checker  # noqa: PLC0415 - see above

    hosts = registry.HostPolicy(
        listed_only=settings.registry_policy is RegistryPolicy.LISTED,
        allow_private=settings.allow_private_networks,
    )
    client = registry.RegistryClient.create(
        hosts=hosts,
        environment=environment,
        connect=connect or registry.connect,
        clock=ticks,
        now=clock,
        recovery=settings.circuit_recovery,
        believed_for=settings.circuit_believed_for,
        timeouts=timeouts,
    )
    stack.push_async_callback(client.aclose)
    sources = _credential_sources(settings, api=api, environment=environment, clock=clock)
    return Checker(
        registry=client,
        hosts=hosts,
        registries=registries,
        credentials=sources,
        allowances=Allowances(registries=registries, throttle=client.throttle, clock=clock),
        clock=clock,
    )


def _credential_sources(
    settings: Settings, *, api: KubernetesAPI, environment: Mapping[str, str] | None, clock: Callable[[], datetime]
) -> CredentialSources:
    """Wire where credentials come from, in the order that counts."""
    from image_catalog import registry  # noqa: PLC0415 - as in _make_checker
    from image_catalog.catalog import credentials  # noqa: PLC0415 - the same

    secrets = credentials.KeptSecrets(secrets=Secrets(api=api), clock=clock)
    tokens = None
    if settings.service_account is not None:
        namespace, _, name = settings.service_account.partition("/")
        tokens = AccountTokens(api=api, clock=clock, namespace=namespace, name=name, pod=settings.pod_name)
    own_token = credentials.OwnToken(tokens=tokens, shared=settings.shared_namespaces)
    # Without an environment there is nobody to be at AWS, and no home to look for files in.
    aws = files = None
    if environment is not None:
        aws = registry.EcrTokens(clock=clock, door=registry.BotoDoor())
        files = registry.AuthFiles.from_environment(environment) if settings.auth_files else None
    cloud = credentials.CloudIdentity(tokens=aws, listed_only=settings.ecr_policy is EcrPolicy.LISTED)
    return credentials.CredentialSources(
        [
            credentials.EntrySecret(secrets=secrets),
            credentials.RegistryCredential(secrets=secrets, own_token=own_token, cloud=cloud),
            own_token,
            cloud,
            credentials.MountedFiles(files=files),
        ]
    )
