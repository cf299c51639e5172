"""What is wrong with a CatalogRegistry, beyond what its schema can say."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from image_catalog.errors import CatalogError
from image_catalog.models import CatalogRegistry, Reference
from image_catalog.models.reference import parse_host
from image_catalog.registry.hosts import HostPolicy, Origin, normal_host

__all__ = ["Complaint", "complaint", "probed_host"]


class Complaint(NamedTuple):
    """What is wrong with a CatalogRegistry.

    Attributes
    ----------
    reason
        One word from the closed set: ``InvalidHost``, ``HostTaken``,
        ``InvalidEndpoint``, ``InvalidTokenRealm`` or ``InvalidCABundle``.
    message
        One sentence with the remedy.
    """

    reason: str
    message: str

    @property
    def is_idle(self) -> bool:
        """Whether the object applies to nothing, or to what cannot be asked: there is nothing to probe."""
        return self.reason in {"InvalidHost", "HostTaken", "InvalidEndpoint"}


def complaint(registry: CatalogRegistry, hosts: HostPolicy) -> Complaint | None:
    """Return the first thing that is wrong with a CatalogRegistry.

    Parameters
    ----------
    registry
        The object.
    hosts
        Knows the others.
    """
    return next(_complaints(registry, hosts), None)


def probed_host(registry: CatalogRegistry) -> str | None:
    """Return the host that a probe asks for; `None` for a wildcard, which names none, unless it has an endpoint."""
    host = normal_host(registry.spec.host)
    return None if host.startswith("*") and registry.spec.endpoint is None else host


def _complaints(registry: CatalogRegistry, hosts: HostPolicy) -> Iterator[Complaint]:
    spec = registry.spec
    if said := _refused(lambda: Reference.parse(f"{spec.host.replace('*', 'any', 1)}/image")):
        yield Complaint("InvalidHost", f"no reference can name {spec.host}, so this applies to nothing: {said}")
        return
    other = hosts.rule(normal_host(spec.host))
    if other is not None and other.metadata.name != registry.metadata.name:
        yield Complaint(
            "HostTaken",
            f"the CatalogRegistry {other.metadata.name} is older and speaks for {spec.host}, so this one applies to "
            "nothing; delete one of the two",
        )
        return
    if spec.endpoint is not None:
        endpoint = spec.endpoint
        if said := _refused(lambda: Origin.of_url(endpoint)):
            yield Complaint("InvalidEndpoint", f"{endpoint} cannot be asked: {said}")
    for realm in spec.token_realms:
        if said := _refused(partial(parse_host, realm)):
            yield Complaint(
                "InvalidTokenRealm", f"{realm} in tokenRealms is no host[:port], so no token server is it: {said}"
            )
    if spec.tls is not None and spec.tls.ca_bundle and not _is_bundle(spec.tls.ca_bundle):
        yield Complaint("InvalidCABundle", "tls.caBundle cannot be read; it must be PEM certificates")


def _refused(parse: Callable[[], object]) -> str | None:
    """Return why something cannot be read; `None` if it can."""
    try:
        parse()
    except CatalogError as e:
        return e.message
    return None


def _is_bundle(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True
