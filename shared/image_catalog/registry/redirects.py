"""Where an answer may lead: redirects are followed, but only to what can be read in one way."""

from __future__ import annotations

import httpx

from image_catalog.errors import HostNotAllowedError, RegistryFaultError
from image_catalog.registry.hosts import Origin

__all__ = ["check_same_host", "follow"]


def follow(url: httpx.URL, origin: Origin, location: str, subject: str) -> tuple[httpx.URL, Origin]:
    """Return where a redirect leads.

    Parameters
    ----------
    url
        What was asked.
    origin
        Who answered.
    location
        Value of the ``Location`` header.
    subject
        What it is about, for messages.

    Raises
    ------
    RegistryFaultError
        Raised if it is no URL.
    HostNotAllowedError
        Raised if it leads away from https, or where no request may go.
    """
    try:
        following = url.join(location).copy_with(fragment=None)
        next_origin = Origin.of_url(str(following))
        check_same_host(following, next_origin)
    except (httpx.InvalidURL, ValueError) as e:
        raise RegistryFaultError(f"{subject}: {origin} redirects to what is no URL") from e
    except HostNotAllowedError as e:
        raise HostNotAllowedError(f"{subject}: {origin} redirects where it is not followed: {e.message}") from e
    if origin.scheme == "https" and next_origin.scheme != "https":
        raise HostNotAllowedError(f"{subject}: {origin} redirects from https to {next_origin}, which is not followed")
    return following, next_origin


def check_same_host(url: httpx.URL, origin: Origin) -> None:
    """Make sure that the host that was judged is the host that will be connected to.

    Parameters
    ----------
    url
        The URL as the connection reads it.
    origin
        Its origin as it was judged.

    Raises
    ------
    HostNotAllowedError
        Raised if two parsers read two hosts.
    """
    if url.raw_host.decode() != origin.host.strip("[]") or (url.port or origin.default_port) != origin.port:
        raise HostNotAllowedError(f"a URL is not followed whose host can be read in two ways, {origin.host} is one")
