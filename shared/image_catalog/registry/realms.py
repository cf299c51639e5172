"""Which token servers may be asked, and which of them may see a credential."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from image_catalog.errors import HostNotAllowedError
from image_catalog.registry.hosts import HostPolicy, Origin, Security, Target

__all__ = ["Realm", "judge_realm"]


@dataclass(frozen=True, slots=True)
class Realm:
    """A token server that may be asked.

    Attributes
    ----------
    url
        Where it is.
    origin
        Its scheme, host and port.
    security
        What the connection to it must be like.
    trusted
        Whether it may see the registry's credential; if not, it is asked
        anonymously or not at all.
    """

    url: str
    origin: Origin
    security: Security
    trusted: bool


def judge_realm(url: str, target: Target, hosts: HostPolicy) -> Realm:
    """Decide about the realm of a challenge, before any credential is looked at.

    A registry can name any URL as its realm, so the URL is as hostile as the
    registry (CVE-2026-33540, CVE-2026-48978). "The same registrable domain" is
    no reason for trust: on shared domains that is another customer.

    Parameters
    ----------
    url
        The realm, as the challenge has it.
    target
        The registry that sent the challenge.
    hosts
        What may be contacted at all.

    Raises
    ------
    HostNotAllowedError
        Raised if nobody may ask there: not http or https, plain http away
        from the registry's own origin, user information, a fragment, a host
        that is not written canonically or that policy forbids.
    """
    where = f"{target.registry} sends us for a token to a realm that is not asked"
    # Before Python's own parser, which drops control characters silently.
    if not url.isascii() or not url.isprintable() or any(character in url for character in ' "\\<>#'):
        raise HostNotAllowedError(f"{where}: it is no plain URL")
    try:
        urlsplit(url)
        origin = Origin.of_url(url)
    except ValueError as e:
        raise HostNotAllowedError(f"{where}: it is no URL") from e
    except HostNotAllowedError as e:
        raise HostNotAllowedError(f"{where}: {e.message}") from e
    if origin == target.origin:
        return Realm(url, origin, target.security, trusted=True)
    if origin.scheme != "https":
        raise HostNotAllowedError(f"{where}: {origin} is not https")
    return Realm(url, origin, hosts.security(origin, target), trusted=target.vouches_for(origin))
