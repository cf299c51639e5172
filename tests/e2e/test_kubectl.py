"""The real ``kubectl`` on the embedded Kubernetes API, with the project's own CRDs.

One story per test, each on an API server of its own.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from image_catalog.testing.kubectl import Completed, Kubectl, find_kubectl
from image_catalog.testing.kubernetes_api import kubernetes_api

ROOT = Path(__file__).parents[2]
GROUP = "automotive.sdv.cloud.redhat.com"
IMAGE_BUILD_CRD = ROOT / "knative" / "overlays" / "local" / "imagebuild-crd.yaml"
ENTRIES = f"/apis/{GROUP}/v1alpha1/namespaces/demo/catalogimages"

pytestmark = pytest.mark.skipif(find_kubectl() is None, reason="kubectl is not installed")


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder with a kubectl, and a client that plays the functions' part."""

    kubectl: Kubectl
    api: httpx.AsyncClient
    folder: Path

    async def __call__(self, command: str, **environment: str) -> str:
        """Run a command that must succeed and return its stdout."""
        result = await self.kubectl.run(f"kubectl {command}", environment=environment)
        assert result.exit == 0, f"kubectl {command}: {result.stderr}"
        return result.stdout

    async def refused(self, command: str) -> Completed:
        """Run a command that must fail."""
        result = await self.kubectl.run(f"kubectl {command}")
        assert result.exit == 1, f"kubectl {command}: {result.stdout}"
        return result

    def write(self, name: str, manifest: dict[str, Any]) -> str:
        """Write a manifest as YAML and return its name."""
        (self.folder / name).write_text(yaml.safe_dump(manifest))
        return name

    async def verified(self, name: str, phase: str) -> None:
        """Write the status that verify writes."""
        path = f"{ENTRIES}/{name}"
        generation = (await self.api.get(path)).json()["metadata"]["generation"]
        condition = {
            "type": "Available",
            "status": "True" if phase == "Available" else "False",
            "reason": "Verified",
            "message": "the registry has it",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "observedGeneration": generation,
        }
        effective = {"architecture": "arm64", "distro": "autosd", "targets": ["rpi4"]}
        status = {
            "phase": phase,
            "observedGeneration": generation,
            "conditions": [condition],
            "effectiveMetadata": effective,
        }
        headers = {"Content-Type": "application/merge-patch+json"}
        response = await self.api.patch(f"{path}/status", json={"status": status}, headers=headers)
        response.raise_for_status()


def entry(name: str, tag: str = "1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "CatalogImage",
        "metadata": {"name": name, "namespace": "demo", "labels": {f"{GROUP}/architecture": "arm64"}},
        "spec": {
            "registryUrl": f"quay.io/automotive/{name}:{tag}",
            # kubectl compares lists as a whole: left to its default, `verified` would be a change at every apply.
            "metadata": {"architecture": "arm64", "distro": "autosd", "targets": [{"name": "rpi4", "verified": False}]},
            **spec,
        },
    }


BUILD = {
    "apiVersion": f"{GROUP}/v1alpha1",
    "kind": "ImageBuild",
    "metadata": {"name": "nightly", "namespace": "demo"},
    "spec": {"architecture": "arm64", "export": {"container": "quay.io/automotive/nightly:1"}},
}


@pytest.fixture(scope="module")
def crds() -> list[dict[str, Any]]:
    """Read the definitions once: that takes longer than an API server's start."""
    return [yaml.safe_load(path.read_text()) for path in (*(ROOT / "crds").glob("*.yaml"), IMAGE_BUILD_CRD)]


@pytest.fixture
async def bench(tmp_path: Path, crds: list[dict[str, Any]]) -> AsyncIterator[Bench]:
    binary = find_kubectl()
    assert binary is not None
    async with kubernetes_api(tmp_path, namespace="demo", crds=crds, namespaces=["demo"]) as api:
        yield Bench(Kubectl(binary=binary, kubeconfig=api.kubeconfig, folder=tmp_path), api.client, tmp_path)


async def test_crds_are_applied_and_applied_again(bench: Bench) -> None:
    await bench(f"delete crd catalogimages.{GROUP}")
    crd = f"customresourcedefinition.apiextensions.k8s.io/catalogimages.{GROUP}"
    manifest = ROOT / "crds" / "catalogimages.yaml"

    assert await bench(f"apply -f {manifest}") == f"{crd} created\n"
    assert await bench(f"wait --for=condition=Established {crd}") == f"{crd} condition met\n"
    assert await bench(f"apply -f {manifest}") == f"{crd} unchanged\n"


async def test_an_entry_is_created_changed_and_applied_again(bench: Bench) -> None:
    resource = f"catalogimage.{GROUP}/a"
    first, second = bench.write("a.yaml", entry("a")), bench.write("a2.yaml", entry("a", tags=["golden"]))

    assert await bench(f"apply -f {first}") == f"{resource} created\n"
    assert await bench(f"apply -f {first}") == f"{resource} unchanged\n"
    assert await bench(f"apply -f {second}") == f"{resource} configured\n"
    assert await bench("get catimg a -o jsonpath='{.spec.tags}/{.metadata.generation}'") == '["golden"]/2'
    assert await bench(f"apply -f {first}") == f"{resource} configured\n"
    assert await bench("get catimg a -o jsonpath='{.spec.tags}/{.spec.driftPolicy}'") == "/alert"


async def test_an_image_build_is_created_changed_and_applied_again(bench: Bench) -> None:
    changed = BUILD | {"spec": {"architecture": "amd64", "export": {"container": "quay.io/automotive/nightly:2"}}}

    assert await bench(f"apply -f {bench.write('b.yaml', BUILD)}") == f"imagebuild.{GROUP}/nightly created\n"
    assert await bench(f"apply -f {bench.write('b2.yaml', changed)}") == f"imagebuild.{GROUP}/nightly configured\n"
    assert (
        await bench("get imagebuild nightly -o jsonpath='{.spec.export.container}'") == "quay.io/automotive/nightly:2"
    )


async def test_diff_shows_what_apply_would_change(bench: Bench) -> None:
    await bench(f"apply -f {bench.write('a.yaml', entry('a'))}")
    changed = await bench.refused(f"diff -f {bench.write('a2.yaml', entry('a', verifyBlobs=True))}")

    assert "-  verifyBlobs: false\n+  verifyBlobs: true\n" in changed.stdout
    assert await bench("diff -f a.yaml") == ""


async def test_a_pull_secret_is_created_and_its_type_is_shown(bench: Bench) -> None:
    login = f"--docker-server=quay.io --docker-username=robot --docker-password={secrets.token_hex()}"
    await bench(f"create secret docker-registry pull {login}")

    header, row = (await bench("get secrets")).splitlines()
    assert header.split() == ["NAME", "TYPE", "DATA", "AGE"]
    assert row.split()[:3] == ["pull", "kubernetes.io/dockerconfigjson", "1"]


async def test_entries_are_listed_in_every_form(bench: Bench) -> None:
    files = [bench.write(f"{name}.yaml", entry(name)) for name in ("a", "b", "c")]
    await bench(f"apply -f {' -f '.join(files)}")
    await bench.verified("a", "Available")

    table = [line.split() for line in (await bench("get catimg")).splitlines()]
    assert table[0] == ["NAME", "REGISTRY", "ARCHITECTURE", "DISTRO", "TARGET", "PHASE", "AGE"]
    assert table[1][:6] == ["a", "quay.io/automotive/a:1", "arm64", "autosd", "rpi4", "Available"]
    wide = (await bench("get catimg -o wide")).splitlines()
    assert wide[0].split()[-3:] == ["NAMESPACE", "DELETED", "RECALLED"]
    assert wide[1].split()[-1] == "demo"
    assert yaml.safe_load(await bench("get catimg a -o yaml"))["spec"] == entry("a")["spec"] | {
        "driftPolicy": "alert",
        "verificationInterval": "1h",
        "verifyBlobs": False,
        "metadata": {
            "architecture": "arm64",
            "distro": "autosd",
            "os": "linux",
            "targets": [{"name": "rpi4", "verified": False}],
        },
    }
    assert len(json.loads(await bench("get catimg -A -o json"))["items"]) == 3
    assert await bench("get automotive -o name") == "".join(f"catalogimage.{GROUP}/{n}\n" for n in "abc")


async def test_registries_are_listed_with_how_they_are(bench: Bench) -> None:
    registry = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "CatalogRegistry",
        "metadata": {"name": "quay"},
        "spec": {"host": "quay.io", "type": "quay", "endpoint": "https://mirror.example.com/quay"},
    }
    await bench(f"apply -f {bench.write('quay.yaml', registry)}")
    conditions = [
        {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"}
        for kind, status, reason in (("Accepted", "True", "Accepted"), ("Reachable", "False", "RegistryUnreachable"))
    ]
    status = {"phase": "Unreachable", "circuit": "Open", "availability24h": 0.9931, "conditions": conditions}
    path = f"/apis/{GROUP}/v1alpha1/catalogregistries/quay/status"
    headers = {"Content-Type": "application/merge-patch+json"}
    (await bench.api.patch(path, json={"status": status}, headers=headers)).raise_for_status()

    columns = ["NAME", "HOST", "PHASE", "CIRCUIT", "AVAILABLE 24H", "LAST PROBE", "AGE"]
    head, row = (await bench("get catreg")).splitlines()
    assert re.split(r"  +", head.strip()) == columns
    assert row.split()[:5] == ["quay", "quay.io", "Unreachable", "Open", "0.9931"]
    head, row = (await bench("get catreg -o wide")).splitlines()
    assert re.split(r"  +", head.strip()) == [*columns, "REASON", "ACCEPTED", "TYPE", "ENDPOINT", "BUDGET"]
    assert row.split()[-4:] == ["RegistryUnreachable", "Accepted", "quay", "https://mirror.example.com/quay"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        pytest.param(f"-l {GROUP}/architecture=arm64", "abc", id="label"),
        pytest.param(f"-l '{GROUP}/architecture notin (arm64)'", "", id="label-set"),
        pytest.param("--field-selector status.phase=Available", "b", id="field"),
        pytest.param("--field-selector spec.registryUrl!=quay.io/automotive/a:1", "bc", id="field-not"),
        pytest.param("--chunk-size=2", "abc", id="chunks"),
        pytest.param("--sort-by=.spec.registryUrl", "abc", id="sorted"),
    ],
)
async def test_entries_are_selected(bench: Bench, options: str, names: str) -> None:
    files = [bench.write(f"{name}.yaml", entry(name)) for name in ("a", "b", "c")]
    await bench(f"apply -f {' -f '.join(files)}")
    await bench.verified("b", "Available")

    listed = await bench(f"get catimg -o name {options}")
    assert listed == "".join(f"catalogimage.{GROUP}/{name}\n" for name in names)


async def test_a_watch_shows_each_change(bench: Bench) -> None:
    await bench(f"apply -f {bench.write('a.yaml', entry('a'))}")
    async with bench.kubectl.start("kubectl get catimg -w") as watching:
        await watching.watching()
        await bench.verified("a", "Verifying")
        await bench.verified("a", "Available")
        await watching.printed(4)
        shown = (await watching.interrupt()).stdout.splitlines()

    assert [line.split()[5] for line in shown[2:]] == ["Verifying", "Available"]


async def test_describe_shows_the_status_and_the_events(bench: Bench) -> None:
    await bench(f"apply -f {bench.write('a.yaml', entry('a'))}")
    await bench.verified("a", "Available")
    uid = await bench("get catimg a -o jsonpath='{.metadata.uid}'")
    about = {"apiVersion": f"{GROUP}/v1alpha1", "kind": "CatalogImage", "name": "a", "namespace": "demo", "uid": uid}
    event = {
        "metadata": {"name": "a.1", "namespace": "demo"},
        "involvedObject": about,
        "reason": "Verified",
        "message": "digest unchanged",
        "type": "Normal",
        "source": {"component": "verify"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
    }
    (await bench.api.post("/api/v1/namespaces/demo/events", json=event)).raise_for_status()

    text = await bench("describe catimg a")
    assert "the registry has it" in text
    assert "verify  digest unchanged" in text


async def test_explain_tells_every_field_with_its_description(bench: Bench) -> None:
    text = await bench("explain catalogimage.spec")

    assert "KIND:       CatalogImage" in text
    assert "registryUrl\t<string> -required-" in text
    assert "What happens when the tag of a pinned entry moves." in text
    assert "enum: alert, follow, quarantine" in text
    assert "targets\t<[]Object>" in await bench("explain catimg.spec.metadata --recursive")


async def test_wait_ends_when_the_condition_holds(bench: Bench) -> None:
    await bench(f"apply -f {bench.write('a.yaml', entry('a'))}")
    async with bench.kubectl.start("kubectl wait --for=condition=Available catimg/a --timeout=30s") as waiting:
        await waiting.watching()
        await bench.verified("a", "Available")
        assert (await waiting.completed()).stdout == f"catalogimage.{GROUP}/a condition met\n"


async def test_edit_saves_what_the_editor_changed(bench: Bench) -> None:
    await bench(f"apply -f {bench.write('a.yaml', entry('a'))}")

    assert "edited" in await bench("edit catimg a", KUBE_EDITOR="sed -i s,:1,:2,")
    assert await bench("get catimg a -o jsonpath='{.spec.registryUrl}'") == "quay.io/automotive/a:2"


async def test_patch_label_and_annotate_change_what_they_name(bench: Bench) -> None:
    await bench(f"apply -f {bench.write('a.yaml', entry('a'))}")
    await bench("""patch catimg a --type=merge -p '{"spec":{"tags":["x"]}}'""")
    await bench("label catimg a tier=gold")
    await bench("annotate catimg a note=hello")

    assert await bench("get catimg a -o jsonpath='{.spec.tags}'") == '["x"]'
    metadata = json.loads(await bench("get catimg a -o json"))["metadata"]
    assert (metadata["labels"]["tier"], metadata["annotations"]["note"], metadata["generation"]) == ("gold", "hello", 2)


async def test_delete_waits_for_the_finalizer(bench: Bench) -> None:
    manifest = entry("a")
    manifest["metadata"]["finalizers"] = [f"catalogimage.{GROUP}/finalizer"]
    await bench(f"apply -f {bench.write('a.yaml', manifest)}")
    async with bench.kubectl.start("kubectl delete catimg a") as deleting:
        await deleting.watching()
        headers = {"Content-Type": "application/merge-patch+json"}
        await bench.api.patch(f"{ENTRIES}/a", json={"metadata": {"finalizers": None}}, headers=headers)
        assert (await deleting.completed()).exit == 0

    assert "NotFound" in (await bench.refused("get catimg a")).stderr


async def test_rights_can_be_asked_for(bench: Bench) -> None:
    assert await bench("auth can-i update catalogimages") == "yes\n"
    assert "Username" in await bench("auth whoami")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"registryUrl": "no-host"}, "spec.registryUrl: Invalid value", id="pattern"),
        pytest.param({"registryUrl": None}, "spec.registryUrl: Required value", id="required"),
        pytest.param({"driftPolicy": "ignore"}, 'spec.driftPolicy: Unsupported value: "ignore"', id="enum"),
        pytest.param(
            {"digest": f"sha256:{'0' * 64}", "registryUrl": f"q.io/a@sha256:{'1' * 64}"},
            "digest must equal the digest in registryUrl",
            id="cel",
        ),
        pytest.param({"colour": "red"}, 'unknown field "spec.colour"', id="unknown-field"),
    ],
)
async def test_an_invalid_entry_is_refused_in_the_api_servers_words(
    bench: Bench, change: dict[str, Any], message: str
) -> None:
    manifest = entry("bad")
    manifest["spec"] = {key: value for key, value in (manifest["spec"] | change).items() if value is not None}
    refused = await bench.refused(f"create -f {bench.write('bad.yaml', manifest)}")

    assert message in refused.stderr
