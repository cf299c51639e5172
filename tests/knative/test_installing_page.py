"""The page about installing says how the functions scale and what each release's image is called."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

import image_catalog

Objects = dict[tuple[str, str], dict[str, Any]]


def test_the_table_of_scaling_is_what_the_services_say(top: Path, build: Callable[[Path], Objects]) -> None:
    page = (top / "docs" / "installing.md").read_text().partition("## Scaling")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| `(\w+)` \| (\d+)–(\d+) \| (\d+) \| (\d+) \| \S", page, re.MULTILINE)
    actual = []
    for (kind, name), service in build(top / "knative/overlays/plain").items():
        if kind == "Service":
            template = service["spec"]["template"]
            annotations, spec = template["metadata"]["annotations"], template["spec"]
            least = annotations.get("autoscaling.knative.dev/min-scale", "0")
            most = annotations["autoscaling.knative.dev/max-scale"]
            actual.append((name, least, most, str(spec["containerConcurrency"]), str(spec["timeoutSeconds"])))
    assert sorted(shown) == sorted(actual)


def test_the_overlays_that_the_page_names_exist_and_the_image_has_this_version(top: Path) -> None:
    page = (top / "docs" / "installing.md").read_text()
    for overlay in re.findall(r"knative/(overlays/\w+|components/[\w-]+)", page):
        assert (top / "knative" / overlay / "kustomization.yaml").is_file()
    (overlay,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "newTag" in block)
    (image,) = yaml.safe_load(overlay)["images"]
    assert image["newTag"] == image_catalog.__version__
