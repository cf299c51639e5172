"""Reading the committed manifests, and rendering them from their overlay."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import yaml

__all__ = ["HEADER", "LOCAL_MANIFESTS", "load_manifests", "render_overlay"]

LOCAL_MANIFESTS = Path(__file__).with_name("local.yaml")
"""The rendered local overlay."""

HEADER = """\
# Rendered from knative/overlays/local; do not edit. After a change there, in knative/base or in crds:
#     python -m image_catalog.local.manifests
# (this header, and the output of `kubectl kustomize knative/overlays/local`).
"""

_RENDER_TIMEOUT_SECONDS = 60
"""Rendering takes a second; a kubectl that asks for something would otherwise wait for ever."""


def load_manifests(path: Path = LOCAL_MANIFESTS) -> list[dict[str, Any]]:
    """Read every object of a rendered overlay, in its order.

    Parameters
    ----------
    path
        A YAML file with one object per document.
    """
    documents: list[dict[str, Any]] = orjson.loads(_as_json(path.read_text(encoding="utf-8")))
    return documents


@lru_cache(maxsize=2)
def _as_json(text: str) -> bytes:
    """Return the documents in the form that is read fastest: who checks many installations asks for them many times."""
    # libyaml is ten times as fast where it is there, and the stack starts with this file.
    loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return orjson.dumps([document for document in yaml.load_all(text, loader) if document])


def render_overlay(overlay: Path, *, kubectl: str = "kubectl") -> str:
    """Return what ``kubectl apply -k`` would deploy, with the header of the committed file.

    Parameters
    ----------
    overlay
        Folder with a kustomization, ``knative/overlays/local`` of a checkout.
    kubectl
        The program.

    Raises
    ------
    subprocess.CalledProcessError
        Raised if the overlay does not build; its `stderr` says why.
    """
    command = [kubectl, "kustomize", str(overlay)]
    rendered = subprocess.run(  # noqa: S603  # the program and the folder are the caller's, and no shell reads them
        command, check=True, capture_output=True, text=True, timeout=_RENDER_TIMEOUT_SECONDS
    )
    return HEADER + rendered.stdout
