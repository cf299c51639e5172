"""Which cluster a command of ``image-catalog`` works on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from image_catalog.cli.errors import SettingsError

if TYPE_CHECKING:
    from image_catalog.cluster import KubernetesAPI

__all__ = ["ClusterContext", "ClusterKubeconfig", "kubeconfig_path", "with_cluster"]

_T = TypeVar("_T")

ClusterKubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Which cluster, and who asks (KUBECONFIG, ~/.kube/config); in a Pod without one its ServiceAccount.",
        exists=True,
        dir_okay=False,
    ),
]
ClusterContext = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")]


def with_cluster(kubeconfig: Path | None, context: str | None, use: Callable[[KubernetesAPI], Awaitable[_T]]) -> _T:
    """Connect to a cluster, use it, and close the connection.

    Parameters
    ----------
    kubeconfig
        The file; `None` looks where kubectl does, and then takes a Pod's own ServiceAccount.
    context
        A context of it; `None` means its current one.
    use
        What to do.

    Raises
    ------
    SettingsError
        Raised if a context is named and there is no kubeconfig.
    ClusterUnavailableError
        Raised if the kubeconfig cannot be used, or the API server does not answer.
    """
    path = kubeconfig or kubeconfig_path()
    if path is None and context is not None:
        raise SettingsError(f'there is no kubeconfig with a context "{context}"', hint="name one with --kubeconfig")

    async def run() -> _T:
        from image_catalog.cluster import KubernetesAPI, KubernetesTransport  # noqa: PLC0415 - only these commands do

        transport = await KubernetesTransport.connect(kubeconfig=path, context=context)
        api = KubernetesAPI(transport=transport)
        try:
            return await use(api)
        finally:
            await api.close()

    return asyncio.run(run())


def kubeconfig_path() -> Path | None:
    """Return the kubeconfig that kubectl would read first; `None` where there is none."""
    listed = [Path(path) for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return next((path for path in listed or [Path.home() / ".kube" / "config"] if path.is_file()), None)
