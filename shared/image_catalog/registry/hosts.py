"""Where a registry is really asked, and what its administrator allows there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from image_catalog.errors import HostNotAllowedError, InvalidReferenceError
from image_catalog.models.catalogregistry import CatalogRegistry, CatalogRegistrySpec
from image_catalog.models.reference import parse_host
from image_catalog.registry.limits import DEFAULT_CONCURRENCY

__all__ = ["HostPolicy", "Origin", "Security", "Target", "normal_host"]

_DEFAULT_PORTS = {"https": 443, "http": 80}

_API_HOSTS = {"docker.io": "registry-1.docker.io"}
"""Hosts of references whose API answers under another name."""

_KNOWN_REALMS = frozenset({("docker.io", "auth.docker.io"), ("registry.gitlab.com", "gitlab.com")})
"""Hosted registries whose token server has a host of its own, as their operators document it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a credential is bound to.

    Attributes
    ----------
    scheme
        ``https`` or ``http``.
    host
        Canonical host, IPv6 in brackets.
    port
        The port, never left out.
    """

    scheme: str
    host: str
    port: int

    @property
    def default_port(self) -> int:
        """The port that the scheme has without one."""
        return _DEFAULT_PORTS[self.scheme]

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's default, port."""
        return self.host if self.port == self.default_port else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @classmethod
    def of_url(cls, url: str) -> Origin:
        """Read the origin of an absolute URL.

        Parameters
        ----------
        url
            An ``http`` or ``https`` URL.

        Raises
        ------
        HostNotAllowedError
            Raised if it has another scheme, user information, or a host that
            is not in canonical form.
        """
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS:
            raise HostNotAllowedError(f"a URL with scheme {parts.scheme[:16]!r} is not followed, only http and https")
        if "@" in parts.netloc:
            raise HostNotAllowedError("a URL that carries user information is not followed")
        try:
            host, port = parse_host(parts.netloc)
        except InvalidReferenceError as e:
            raise HostNotAllowedError(f"a URL is not followed: {e.message}") from e
        if port is None:
            # An explicit :443 counts as none there, also with http.
            port = 443 if parts.netloc.endswith(":443") else _DEFAULT_PORTS[parts.scheme]
        return cls(parts.scheme, host, port)


@dataclass(frozen=True, slots=True)
class Security:
    """What a connection must be like; connections are shared only between equals.

    Attributes
    ----------
    allow_private
        Whether addresses of `Reach.PRIVATE` may be connected to.
    ca_bundle
        PEM certificates to trust beside the system's.
    insecure_skip_verify
        Whether any certificate is accepted.
    """

    allow_private: bool = False
    ca_bundle: str | None = None
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A registry as it is asked.

    Attributes
    ----------
    registry
        ``host[:port]`` as references name it.
    origin
        Where its API is.
    api
        URL of its API, up to and with ``/v2/``.
    security
        What the connection must be like.
    token_realms
        ``host[:port]`` of token servers that its administrator lists.
    concurrency
        Requests under way at once.
    budget
        Host of the CatalogRegistry that what is asked is counted for; `None`
        where there is none.
    """

    registry: str
    origin: Origin
    api: str
    security: Security
    token_realms: frozenset[str]
    concurrency: int
    budget: str | None = None

    def vouches_for(self, realm: Origin) -> bool:
        """Tell whether the registry's credential may go to a token server.

        Parameters
        ----------
        realm
            The token server, over https or at the registry's own origin.
        """
        return (
            realm.authority in self.token_realms
            or (self.registry, realm.authority) in _KNOWN_REALMS
            # A mirror may pass on the challenge of the registry that it stands for.
            or realm.authority == self.registry
        )


class HostPolicy:
    """Decides where a registry is asked and whether it may be asked at all.

    Parameters
    ----------
    registries
        The cluster's CatalogRegistry objects. An exact host wins over a
        wildcard, the longest wildcard over shorter ones, and of two for the
        same host the one that was there first. A host without a port speaks of
        the default port, as it does in a reference.
    listed_only
        Whether hosts without a CatalogRegistry are refused.
    allow_private
        Whether every host may have a private address. For the local stack.
    """

    def __init__(
        self, registries: Iterable[CatalogRegistry] = (), *, listed_only: bool = False, allow_private: bool = False
    ) -> None:
        self._listed_only = listed_only
        self._allow_private = allow_private
        self._rules: dict[str, CatalogRegistry] = {}
        self._wildcards: list[str] = []
        self._targets: dict[str, Target] = {}
        self.replace(registries)

    def replace(self, registries: Iterable[CatalogRegistry]) -> None:
        """Take another set of CatalogRegistry objects; requests under way end under the old one.

        Parameters
        ----------
        registries
            All objects of the cluster.
        """
        rules: dict[str, CatalogRegistry] = {}
        for registry in sorted(registries, key=CatalogRegistry.seniority):
            rules.setdefault(normal_host(registry.spec.host), registry)
        before, self._rules = self._rules, rules
        if {host: rule.spec for host, rule in rules.items()} == {host: rule.spec for host, rule in before.items()}:
            # Targets stay the same objects: what was learnt about a registry is bound to them.
            return
        self._wildcards = sorted((host[1:] for host in rules if host.startswith("*.")), key=len, reverse=True)
        self._targets = {}

    def find(self, registry: str) -> CatalogRegistrySpec | None:
        """Return what a CatalogRegistry says of a host, `None` if none does.

        Parameters
        ----------
        registry
            ``host[:port]`` as references name it.
        """
        rule = self.rule(registry)
        return rule.spec if rule else None

    def rule(self, registry: str) -> CatalogRegistry | None:
        """Return the CatalogRegistry that speaks for a host, with its status; `None` if none does.

        Parameters
        ----------
        registry
            ``host[:port]`` as references name it.
        """
        exact = self._rules.get(registry)
        if exact is not None:
            return exact
        return next((self._rules[f"*{suffix}"] for suffix in self._wildcards if registry.endswith(suffix)), None)

    def target(self, registry: str) -> Target:
        """Return where and how a registry is asked.

        Parameters
        ----------
        registry
            ``host[:port]`` as references name it.

        Raises
        ------
        HostNotAllowedError
            Raised if only listed hosts may be asked and this is none.
        """
        target = self._targets.get(registry)
        if target is None:
            target = self._make_target(registry)
            if len(self._targets) >= _TARGETS_KEPT:
                self._targets.clear()
            self._targets[registry] = target
        return target

    def security(self, origin: Origin, target: Target) -> Security:
        """Return what a connection must be like that a registry's answer leads to.

        Parameters
        ----------
        origin
            Where a redirect or a challenge leads.
        target
            The registry whose answer leads there.

        Raises
        ------
        HostNotAllowedError
            Raised if only listed hosts may be asked and this is none.
        """
        if origin == target.origin or origin.authority in target.token_realms:
            return target.security
        if (target.registry, origin.authority) in _KNOWN_REALMS:
            return self._security(self.find(origin.authority))
        return self._security(self._listed(origin.authority))

    def outside(self, origin: Origin) -> tuple[Target, Security]:
        """Return how a host is asked that is no registry, and what the connection must be like.

        Parameters
        ----------
        origin
            Where the request goes, whatever endpoint a CatalogRegistry names.

        Raises
        ------
        HostNotAllowedError
            Raised if only listed hosts may be asked and this is none, or if it
            is to be asked over plain http and nobody allowed that.
        """
        spec = self._listed(origin.authority)
        plain = bool(spec and spec.tls and spec.tls.plain_http)
        if origin.scheme == "http" and not (plain or self._allow_private):
            raise HostNotAllowedError(
                f"{origin} would be asked over plain http, and nobody allowed that; an administrator does with "
                f"a CatalogRegistry for {origin.authority} that says tls: {{plainHTTP: true}}"
            )
        return self.target(origin.authority), self._security(spec)

    def _listed(self, registry: str) -> CatalogRegistrySpec | None:
        spec = self.find(registry)
        if spec is None and self._listed_only:
            raise HostNotAllowedError(
                f"{registry} may not be contacted: only listed registries are; "
                "an administrator adds it with a CatalogRegistry"
            )
        return spec

    def _security(self, spec: CatalogRegistrySpec | None) -> Security:
        if spec is None:
            return Security(allow_private=self._allow_private)
        tls = spec.tls
        return Security(
            allow_private=self._allow_private or spec.allow_private_networks,
            ca_bundle=tls.ca_bundle if tls else None,
            insecure_skip_verify=bool(tls and tls.insecure_skip_verify),
        )

    def _make_target(self, registry: str) -> Target:
        spec, rule = self._listed(registry), self.rule(registry)
        realms = {normal_host(realm) for realm in spec.token_realms} if spec else set()
        limits = spec.limits if spec else None
        if spec and spec.endpoint:
            origin, prefix = Origin.of_url(spec.endpoint), urlsplit(spec.endpoint).path.rstrip("/")
        else:
            host, port = parse_host(_API_HOSTS.get(registry, registry))
            plain = bool(spec and spec.tls and spec.tls.plain_http)
            scheme = "http" if plain else "https"
            # A registry is on 443 by default, and on 80 where it speaks plain http.
            origin, prefix = Origin(scheme, host, port or _DEFAULT_PORTS[scheme]), ""
        return Target(
            registry=registry,
            origin=origin,
            api=f"{origin}{prefix.removesuffix('/v2')}/v2/",
            security=self._security(spec),
            token_realms=frozenset(realms),
            concurrency=(limits and limits.max_concurrent_requests) or DEFAULT_CONCURRENCY,
            budget=rule.spec.host if rule else None,
        )


_TARGETS_KEPT = 4096
"""Hosts whose target is kept: hosts are typed by users, so the memory for them is bounded."""


def normal_host(host: str) -> str:
    """Write a host as references do: lower case, without the default port.

    Parameters
    ----------
    host
        ``host[:port]`` or ``*.suffix[:port]``. What is neither comes back as it is.
    """
    if host.startswith("*"):
        return host.lower().removesuffix(":443")
    try:
        name, port = parse_host(host)
    except InvalidReferenceError:
        # No reference can name it, so the rule applies to nothing.
        return host
    return name if port is None else f"{name}:{port}"
