"""Checks the CustomResourceDefinitions: there, served, and of this version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from image_catalog import __version__
from image_catalog.cli.installation.findings import Finding, State
from image_catalog.cli.installation.kinds import CRD
from image_catalog.cli.installation.surroundings import Surroundings
from image_catalog.models.names import GROUP

__all__ = ["check_definitions"]

_CHECK: Final = "crds"
_APPLY: Final = "kubectl apply -k crds, from the release that the functions are of"


async def check_definitions(around: Surroundings) -> list[Finding]:
    """Compare each definition of ours with the one in the cluster."""
    ours = [
        m for m in around.of_kind("CustomResourceDefinition") if not m["metadata"]["name"].startswith("imagebuilds.")
    ]
    return [_compare(crd, await around.api.get(CRD, crd["metadata"]["name"])) for crd in ours]


def _compare(ours: Mapping[str, Any], found: Mapping[str, Any] | None) -> Finding:
    subject = f"crd/{ours['metadata']['name']}"
    state, message, remedy = State.OK, f"as version {__version__} has it", ""
    if found is None:
        state, message, remedy = State.WRONG, "not installed", _APPLY
    elif not _is_true(found, "Established"):
        state, message = (
            State.WRONG,
            "installed and not served: its names are another definition's, or it is being deleted",
        )
        remedy = f"kubectl describe {subject} says which"
    elif _is_the_operators(found):
        state, message = State.WRONG, "the build operator's own: fields of the catalog's are cut off entries"
        remedy = f"docs/migrating.md, then {_APPLY}"
    elif _versions(found) != _versions(ours):
        state, message, remedy = State.WRONG, f"of another version than {__version__}", _APPLY
    return Finding(check=_CHECK, subject=subject, state=state, message=message, remedy=remedy)


def _is_the_operators(found: Mapping[str, Any]) -> bool:
    """Tell it by the generator's mark: ours are written by no controller-gen."""
    annotations = found["metadata"].get("annotations") or {}
    mine = found["metadata"]["name"].endswith(f".{GROUP}")
    return mine and "controller-gen.kubebuilder.io/version" in annotations


def _versions(crd: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Return what is compared: an API server adds much to the rest."""
    return {
        version["name"]: (version["schema"]["openAPIV3Schema"], version.get("selectableFields"))
        for version in crd["spec"]["versions"]
    }


def _is_true(found: Mapping[str, Any], condition: str) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)
