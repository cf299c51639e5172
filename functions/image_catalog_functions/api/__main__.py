"""``python -m image_catalog_functions.api``: the API as a process."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from image_catalog.config import ApiAuth, Settings
from image_catalog.errors import PermanentError
from image_catalog.loading import collector_paused

__all__ = ["run"]

_LAST_PORT: Final = 65535


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Serve the API; return the process's exit code.

    Parameters
    ----------
    arguments
        Of the command line; what is absent is taken from the settings.
    environment
        ``PORT``, which Knative sets, beats the settings.
    """
    parser = argparse.ArgumentParser(
        prog="python -m image_catalog_functions.api", description="Serve the catalog's API."
    )
    try:
        settings = Settings.from_environment(environment)
    except PermanentError as e:
        parser.exit(2, f"{e.message}\n")
    parser.add_argument("--host", default=settings.api_host, help="name or address to listen on (%(default)s)")
    port = environment.get("PORT") or str(settings.api_port)
    parser.add_argument("--port", type=_port, default=port, help="port to listen on, 0 takes a free one (%(default)s)")
    parser.add_argument(
        "--auth",
        choices=[auth.value for auth in ApiAuth],
        default=settings.api_auth.value,
        help="kubernetes asks the API server about every caller, none lets everybody on this machine in (%(default)s)",
    )
    asked = parser.parse_args(arguments)
    auth = ApiAuth(asked.auth)
    if auth is ApiAuth.NONE and not _is_loopback(asked.host):
        parser.exit(2, f"--auth none lets everybody in and so listens on loopback only, not on {asked.host}\n")
    # Later than the command line is read: a wrong word in it is told at once.
    import uvloop  # noqa: PLC0415 - see above

    with collector_paused():
        from image_catalog_functions.api.main import main  # noqa: PLC0415 - see above

    _compute_undisturbed()
    uvloop.run(main(host=asked.host, port=asked.port, auth=auth))
    return 0


def _compute_undisturbed() -> None:
    """Let no thread of ours be pushed aside because another one of them is woken.

    The loop's thread computes answers and the server's thread writes them: each answer wakes the other. Where the
    two share a core, that is two switches for each, a sixth of what an answer costs; this way they take turns of
    some milliseconds. Where cores are free it changes nothing.

    See https://man7.org/linux/man-pages/man7/sched.7.html, ``SCHED_BATCH``.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text[:64]!r} is no port: write a number from 0 to {_LAST_PORT}")
    return int(text)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ))
