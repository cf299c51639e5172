"""Reading entries for the command line, from the cluster itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson
import yaml

from image_catalog.cli.errors import NotFoundError
from image_catalog.cluster import CatalogImages, KubernetesAPI, KubernetesTransport
from image_catalog.errors import ClusterUnavailableError, PermanentError
from image_catalog.local.console import entry_table, plain_console
from image_catalog.models import CatalogImage

__all__ = ["print_image", "print_list"]

_LEFT_OUT = {"uid", "resourceVersion", "generation", "creationTimestamp"}
"""What the API server owns: without it the output can be applied again."""

_NEVER = datetime.min.replace(tzinfo=UTC)


@asynccontextmanager
async def _images(kubeconfig: Path | None, context: str | None) -> AsyncIterator[CatalogImages]:
    path = kubeconfig or Path.home() / ".kube" / "config"
    if not path.is_file():
        raise PermanentError(f"there is no kubeconfig {path}: name one with --kubeconfig or KUBECONFIG")
    try:
        api = KubernetesAPI(transport=await KubernetesTransport.connect(kubeconfig=path, context=context))
        try:
            yield CatalogImages(api=api)
        finally:
            await api.close()
    except ClusterUnavailableError as e:
        # What the official client says of a broken file has several lines.
        message = " ".join(e.message.split())
        raise ClusterUnavailableError(message if str(path) in message else f"kubeconfig {path}: {message}") from e


async def print_list(namespace: str | None, *, kubeconfig: Path | None, context: str | None) -> None:
    """Print a table of the entries, newest publication first.

    Parameters
    ----------
    namespace
        One namespace; `None` for all.
    kubeconfig
        Kubeconfig of the cluster; kubectl's default place when absent.
    context
        Context of the kubeconfig.

    Raises
    ------
    PermanentError
        Raised if there is no such kubeconfig.
    ClusterUnavailableError
        Raised if the cluster does not answer; the message names the kubeconfig.
    ForbiddenError
        Raised if the user may not list entries.
    """
    found: list[CatalogImage] = []
    async with _images(kubeconfig, context) as images:
        async for page in images.pages(namespace):
            if page.first:
                found.clear()
            found.extend(page.images)
    found.sort(key=lambda image: image.status.published_at or _NEVER, reverse=True)
    if not found:
        plain_console(stderr=True).print(f"no images in {f'namespace {namespace}' if namespace else 'any namespace'}")
        return
    plain_console().print(entry_table(found, now=datetime.now(UTC)))


async def print_image(
    namespace: str, name: str, *, as_json: bool, kubeconfig: Path | None, context: str | None
) -> None:
    """Print one entry so that it can be applied again.

    Parameters
    ----------
    namespace, name
        The entry.
    as_json
        JSON in place of YAML.
    kubeconfig, context
        As for `print_list`.

    Raises
    ------
    NotFoundError
        Raised if there is no such entry.
    """
    async with _images(kubeconfig, context) as images:
        image = await images.get(namespace, name)
    if image is None:
        raise NotFoundError(f'catalog image "{name}" not found in namespace "{namespace}"')
    document = image.to_dict()
    document["metadata"] = {key: value for key, value in document["metadata"].items() if key not in _LEFT_OUT and value}
    out = plain_console()
    if as_json:
        out.print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), markup=False)
    else:
        out.print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip(), markup=False)
