"""Egress proxies: which requests go through one."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # documented, but not in typeshed

from image_catalog.registry.hosts import Origin

__all__ = ["ProxyTable"]


class ProxyTable:
    """Proxies by scheme, with the hosts that need none.

    Parameters
    ----------
    environment
        A process's environment: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``
        and ``NO_PROXY`` are read, in either case, as curl does. ``HTTP_PROXY``
        in capitals is not: a CGI server sets that from a request's header.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = environment or {}
        self._proxies: dict[str, str] = {}
        for scheme in ("https", "http"):
            proxy = (
                environment.get(f"{scheme}_proxy")
                or (environment.get("HTTPS_PROXY") if scheme == "https" else None)
                or environment.get("all_proxy")
                or environment.get("ALL_PROXY")
            )
            if proxy:
                self._proxies[scheme] = proxy if "://" in proxy else f"http://{proxy}"
        if self._proxies:
            self._proxies["no"] = environment.get("no_proxy") or environment.get("NO_PROXY") or ""

    def find(self, origin: Origin) -> str | None:
        """Return the URL of the proxy for an origin, `None` for a direct connection.

        Parameters
        ----------
        origin
            Where the request goes.
        """
        proxy = self._proxies.get(origin.scheme)
        if proxy is None or proxy_bypass_environment(origin.authority, self._proxies):
            return None
        return proxy
