"""The pages about installing and migrating say what the commands do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.cli.installation import CHECKS, Reach, Surroundings, run_checks
from image_catalog.cli.installed import print_findings
from image_catalog.cli.output import Format
from image_catalog.cluster import CATALOG_IMAGE
from image_catalog.models import CatalogImageSpec, CatalogImageStatus, CatalogMetadata
from image_catalog.models.names import API_VERSION
from image_catalog.testing.cluster import InProcessCluster
from image_catalog.testing.installation import change

ROOT = Path(__file__).resolve().parents[4]
INSTALLING = (ROOT / "docs" / "installing.md").read_text()
MIGRATING = (ROOT / "docs" / "migrating.md").read_text()


def _entry(registry_url: str = "quay.io/org/sample:1", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "sample", "namespace": "team-a"}
    return {
        "apiVersion": API_VERSION,
        "kind": "CatalogImage",
        "metadata": metadata,
        "spec": {"registryUrl": registry_url, **spec},
    }


async def test_the_check_that_is_shown_is_what_a_check_prints(
    cluster: InProcessCluster, here: Any, around: Surroundings, capsys: pytest.CaptureFixture[str]
) -> None:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "SubscriberNotReady",
        "message": "Service verify has no address",
    }
    change(cluster.server, "Trigger", "verify", status={"conditions": [condition]})
    change(cluster.server, "ApiServerSource", "imagebuilds")
    cluster.server.apply(_entry(authSecretRef={"name": "pull"}))
    here.reach = Reach.NO_SUCH_NAME

    print_findings(await run_checks(around), Format.TABLE)

    printed = capsys.readouterr()
    (shown,) = re.findall(r"```console\n\$ image-catalog check\n(.*?)```", INSTALLING, flags=re.DOTALL)
    lines = iter([*printed.out.splitlines(), *printed.err.splitlines()])
    for line in shown.splitlines():
        # What is left out stands between lines that follow each other.
        assert line == "…" or line in lines, line


def test_every_check_is_shown() -> None:
    (shown,) = re.findall(r"```console\n\$ image-catalog check\n(.*?)```", INSTALLING, flags=re.DOTALL)
    assert set(re.findall(r"^[✓✗?] (\w+)", shown, re.MULTILINE)) == set(CHECKS)


def test_the_fields_that_are_migrated_to_exist() -> None:
    rows = re.findall(r"^\| [^|]+ \| `(spec|status)\.([\w.]+)` \|", MIGRATING, re.MULTILINE)
    assert len(rows) == 10
    models = {"spec": CatalogImageSpec, "status": CatalogImageStatus}
    for part, path in rows:
        head, _, tail = path.partition(".")
        assert head in _names(models[part])
        assert not tail or tail in _names(CatalogMetadata)


def _names(model: type[Any]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


async def test_the_patches_that_are_shown_make_entries_readable(
    cluster: InProcessCluster, wrong: Callable[[str], Any]
) -> None:
    assert '{"status":{"sourceImageBuild":null}}' in MIGRATING
    assert '{"spec":{"registryUrl":"docker.io/org/image:v1"}}' in MIGRATING
    cluster.server.apply(_entry())
    cluster.store_unchecked(
        CATALOG_IMAGE,
        "sample",
        "team-a",
        {"spec": {"registryUrl": "org/image:v1"}, "status": {"sourceImageBuild": "nightly-42"}},
    )
    api = cluster.api()
    assert await wrong("entries")
    await api.patch(CATALOG_IMAGE, "sample", "team-a", {"spec": {"registryUrl": "docker.io/org/image:v1"}})
    await api.patch_status(CATALOG_IMAGE, "sample", "team-a", {"sourceImageBuild": None}, resource_version=None)
    assert await wrong("entries") == []
