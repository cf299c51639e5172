"""Egress proxies, by the variables that curl and kubectl go by."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from image_catalog.cli.errors import SettingsError

__all__ = ["proxy_address", "proxy_for", "proxy_headers"]


def proxy_for(scheme: str, host: str, port: int) -> str | None:
    """Return the proxy's URL by the variables that curl and kubectl go by, or `None`.

    Parameters
    ----------
    scheme, host, port
        Where the request goes.

    Raises
    ------
    SettingsError
        Raised if the proxy is one that cannot be used.
    """
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - most have no proxy

    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    # Requests to this machine go directly, as in Go: a proxy is another machine.
    direct = host in {"localhost", "::1"} or host.startswith("127.")
    if not proxy or direct or proxy_bypass(f"{host}:{port}"):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme != "http":
        said = proxy.rpartition("@")[2]
        raise SettingsError(f"proxy {said} is no http:// proxy", hint=f"exempt the server with NO_PROXY={host}")
    return proxy


def proxy_address(proxy: str) -> tuple[str, int]:
    """Return where a proxy listens."""
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or 3128


def proxy_headers(proxy: str) -> dict[str, str]:
    """Return what a proxy is shown, where its URL names a user."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    from base64 import b64encode  # noqa: PLC0415 - few proxies ask who it is

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}
