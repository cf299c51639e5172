"""Checks the entries that are there: that they can be read, and the Secrets that they and registries name."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

from pydantic import ValidationError

from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.rights import Right, may
from image_catalog.cli.installation.surroundings import NAMESPACE, Surroundings
from image_catalog.cluster import CATALOG_IMAGE, CATALOG_REGISTRY, SECRET
from image_catalog.errors import ForbiddenError
from image_catalog.models import CatalogImage

__all__ = ["check_entries", "check_secrets"]

_READERS: Final = ("publish", "verify")
_READ: Final = Right("", "secrets", "get")
_NAMED: Final = 3
"""How many unreadable entries are named: who has a thousand knows by then."""


async def check_entries(around: Surroundings) -> list[Finding]:
    """Read every entry as the functions do: what they cannot read they pass over."""
    count, unreadable = 0, []
    async for found in _entries(around):
        count += 1
        try:
            CatalogImage.from_object(found)
        except ValidationError as e:
            field = ".".join(str(part) for part in e.errors()[0]["loc"])
            unreadable.append(f"{found['metadata']['namespace']}/{found['metadata']['name']} ({field})")
    if not unreadable:
        return [Finding(check="entries", subject="catalogimages", state=State.OK, message=f"{count}, all can be read")]
    named = ", ".join(unreadable[:_NAMED]) + (", …" if len(unreadable) > _NAMED else "")
    return [
        Finding(
            check="entries",
            subject="catalogimages",
            state=State.WRONG,
            message=f"{len(unreadable)} of {count} cannot be read, so that nobody verifies them: {named}",
            remedy="docs/migrating.md, where the build operator wrote them; else kubectl edit",
        )
    ]


async def check_secrets(around: Surroundings) -> list[Finding]:
    """Look whether the Secrets that entries and registries name are there, and may be read by those who need them."""
    named: Counter[tuple[str, str]] = Counter()
    async for found in _entries(around):
        if reference := (found.get("spec") or {}).get("authSecretRef"):
            named[reference.get("namespace") or found["metadata"]["namespace"], reference["name"]] += 1
    for registry in await around.api.list_all(CATALOG_REGISTRY):
        if reference := (registry["spec"].get("auth") or {}).get("secretRef"):
            named[reference["namespace"], reference["name"]] += 1
    findings = [await _secret(around, namespace, name, count) for (namespace, name), count in sorted(named.items())]
    findings += [await _namespace(around, namespace) for namespace in sorted({namespace for namespace, _ in named})]
    return findings or [
        Finding(check="secrets", subject="secrets", state=State.OK, message="no entry and no registry names one")
    ]


async def _secret(around: Surroundings, namespace: str, name: str, count: int) -> Finding:
    subject = f"{namespace}/secret/{name}"
    try:
        there = await around.api.get(SECRET, name, namespace) is not None
    except ForbiddenError:
        message = "may not be looked at by the user of this kubeconfig"
        return Finding(check="secrets", subject=subject, state=State.UNKNOWN, message=message)
    if there:
        return Finding(check="secrets", subject=subject, state=State.OK, message=f"there, named by {count}")
    remedy = f"kubectl -n {namespace} create secret docker-registry {name} …, or name another one"
    message = f"not there, named by {count}"
    return Finding(check="secrets", subject=subject, state=State.WRONG, message=message, remedy=remedy)


async def _namespace(around: Surroundings, namespace: str) -> Finding:
    users = {name: f"system:serviceaccount:{NAMESPACE}:{name}" for name in _READERS}
    barred = [name for name, user in users.items() if not await may(around.api, user, _READ, namespace=namespace)]
    subject = f"{namespace}/secrets"
    if not barred:
        message = f"{' and '.join(_READERS)} may read them"
        return Finding(check="secrets", subject=subject, state=State.OK, message=message)
    accounts = " ".join(f"--serviceaccount={NAMESPACE}:{name}" for name in _READERS)
    return Finding(
        check="secrets",
        subject=subject,
        state=State.WRONG,
        message=f"{' and '.join(barred)} may not read them",
        remedy=f"its owner allows it: kubectl -n {namespace} create rolebinding image-catalog-secret-reader "
        f"--clusterrole=image-catalog-secret-reader {accounts}",
    )


async def _entries(around: Surroundings) -> AsyncIterator[dict[str, Any]]:
    """Yield every entry, a page at a time; one that is read twice because the list began anew counts twice."""
    async for page in around.api.pages(CATALOG_IMAGE):
        for found in page.objects:
            yield found
