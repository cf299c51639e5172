"""Checks the registries that somebody described: by what verify says of them, and from here."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.surroundings import Reach, Surroundings
from image_catalog.cluster import CATALOG_REGISTRY
from image_catalog.models.catalogregistry import CatalogRegistry, RegistryPhase

__all__ = ["check_registries"]

_CHECK: Final = "registries"


async def check_registries(around: Surroundings) -> list[Finding]:
    """Look at every CatalogRegistry."""
    findings = []
    for found in await around.api.list_all(CATALOG_REGISTRY):
        subject = f"catalogregistry/{found['metadata']['name']}"
        try:
            registry = CatalogRegistry.model_validate(found)
        except ValidationError:
            findings.append(
                _finding(subject, State.WRONG, "cannot be read", "kubectl apply it again as this version has it")
            )
            continue
        findings.append(await _look(around, registry, subject))
    return findings or [_finding("catalogregistries", State.OK, "none: every registry is asked as it comes")]


async def _look(around: Surroundings, registry: CatalogRegistry, subject: str) -> Finding:
    status, url = registry.status, _url(registry)
    if status.phase is RegistryPhase.UNREACHABLE:
        said = next((c.message for c in status.conditions if c.status == "False" and c.message), "")
        remedy = f"kubectl describe {subject}; network policies, an egress proxy and spec.endpoint are on the way"
        return _finding(subject, State.WRONG, f"verify does not reach it{f': {said}' if said else ''}", remedy)
    if url is None:
        return _finding(subject, State.OK, "stands for many hosts, of which none is probed")
    if status.phase is None:
        remedy = "verify probes it at the next tick, if its Trigger and the PingSource reverify are ready"
        return _finding(subject, State.UNKNOWN, "verify has not probed it yet", remedy)
    reach = await around.probe(url)
    here = "and answers here, too" if reach is Reach.ANSWERED else "not from here, which needs not be wrong"
    return _finding(subject, State.OK, f"verify reaches it, {here}")


def _url(registry: CatalogRegistry) -> str | None:
    """Return where its API begins; `None` for a wildcard."""
    spec = registry.spec
    if spec.endpoint is None and spec.host.startswith("*"):
        return None
    scheme = "http" if spec.tls is not None and spec.tls.plain_http else "https"
    return f"{(spec.endpoint or f'{scheme}://{spec.host}').rstrip('/')}/v2/"


def _finding(subject: str, state: State, message: str, remedy: str = "") -> Finding:
    return Finding(check=_CHECK, subject=subject, state=state, message=message, remedy=remedy)
