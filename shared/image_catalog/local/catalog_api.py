"""What the catalog's API is given on one machine, where a cluster has names, volumes and an ingress."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from image_catalog.config import ApiAuth
from image_catalog.local.knative import Service

__all__ = ["API", "CATALOG_PORT", "api_command", "api_environment"]

API = "api"
"""The Service that answers people, and its ServiceAccount."""

CATALOG_PORT = 8080
"""Where it listens if nobody else does and nobody says otherwise."""


def api_command(service: Service, *, port: int, auth: ApiAuth) -> tuple[str, ...]:
    """Return what the manifest runs, on this machine's port and for this machine alone.

    Parameters
    ----------
    service
        The API's Service.
    port
        Where it listens.
    auth
        Whether it asks the cluster about callers.
    """
    # Of an option that is given twice the last counts.
    return (*service.command, "--host", "127.0.0.1", "--port", str(port), "--auth", auth.value)


def api_environment(urls: Mapping[str, str], token: Path) -> dict[str, str]:
    """Return where the API finds the functions that it calls, and what it proves itself to them with.

    Parameters
    ----------
    urls
        Where each function listens.
    token
        File with its token.
    """
    return {
        "IMAGE_CATALOG_PUBLISH_URL": urls["publish"],
        "IMAGE_CATALOG_VERIFY_URL": urls["verify"],
        "IMAGE_CATALOG_TOKEN_FILE": str(token),
    }
