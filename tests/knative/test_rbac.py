from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image_catalog.models.names import GROUP

Objects = dict[tuple[str, str], dict[str, Any]]
Granted = Callable[[str], set[tuple[str, str, str]]]

_FUNCTIONS = ["publish", "verify", "reverify", "cleanup", "audit"]
_SOURCES = {"imagebuilds-source": "imagebuilds", "catalogimages-source": "catalogimages"}


def _of_kind(objects: Objects, kind: str) -> list[dict[str, Any]]:
    return [manifest for (of, _), manifest in objects.items() if of == kind]


def test_no_rule_has_a_wildcard(objects: Objects) -> None:
    for role in _of_kind(objects, "ClusterRole"):
        for rule in role["rules"]:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            assert not any("*" in value for values in rule.values() for value in values)


def test_every_binding_joins_one_account_of_ours_to_one_role(objects: Objects) -> None:
    for binding in _of_kind(objects, "ClusterRoleBinding"):
        (subject,) = binding["subjects"]
        assert subject["namespace"] == "image-catalog"
        assert (subject["kind"], subject["name"]) in objects
        assert binding["roleRef"]["name"] == f"image-catalog-{subject['name']}" == binding["metadata"]["name"]
        assert ("ClusterRole", binding["roleRef"]["name"]) in objects


def test_every_account_has_a_binding_and_a_user(objects: Objects) -> None:
    accounts = {manifest["metadata"]["name"] for manifest in _of_kind(objects, "ServiceAccount")}
    assert accounts == {*_FUNCTIONS, *_SOURCES, "api"}
    assert accounts == {b["subjects"][0]["name"] for b in _of_kind(objects, "ClusterRoleBinding")}


@pytest.mark.parametrize(("account", "resource"), _SOURCES.items(), ids=list(_SOURCES))
def test_a_source_watches_its_kind_and_nothing_else(account: str, resource: str, granted: Granted) -> None:
    assert granted(account) == {(GROUP, resource, verb) for verb in ("get", "list", "watch")}


def test_nobody_reads_secrets_of_the_whole_cluster(objects: Objects) -> None:
    reading = {r["metadata"]["name"] for r in _of_kind(objects, "ClusterRole") if "secrets" in str(r["rules"])}
    assert reading == {"image-catalog-secret-reader"}
    assert objects["ClusterRole", "image-catalog-secret-reader"]["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    ]
    assert not [b for b in objects.values() if b.get("roleRef", {}).get("name") in reading]


def test_the_readme_shows_how_an_owner_lets_the_functions_read_secrets(top: Path) -> None:
    readme = (top / "knative/README.md").read_text()
    assert "--clusterrole=image-catalog-secret-reader" in readme
    assert "--serviceaccount=image-catalog:publish" in readme
    assert "--serviceaccount=image-catalog:verify" in readme


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_no_function_escalates_writes_builds_or_deletes_but_tombstones(function: str, granted: Granted) -> None:
    for group, resource, verb in granted(function):
        assert verb in {"get", "list", "create", "patch"} or (function, resource, verb) == (
            "cleanup",
            "leases",
            "delete",
        )
        assert group != "rbac.authorization.k8s.io"
        assert resource != "imagebuilds" or verb in {"get", "list"}
        assert resource != "catalogregistries" or verb in {"get", "list"}


def test_the_api_writes_nothing_but_entries_and_reads_no_secret(granted: Granted) -> None:
    beside = {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
        ("", "events", "create"),
        ("", "namespaces", "get"),
        (GROUP, "catalogregistries", "list"),
    }
    for group, resource, verb in granted("api") - beside:
        assert group == GROUP
        assert resource in {"catalogimages", "catalogimages/status", "imagebuilds"}
        assert resource != "imagebuilds" or verb in {"get", "list", "watch"}


def test_only_publish_and_verify_and_the_count_of_accesses_write_an_entrys_status(granted: Granted) -> None:
    writing = {name for name in [*_FUNCTIONS, "api"] if (GROUP, "catalogimages/status", "patch") in granted(name)}
    assert writing == {"publish", "verify", "api"}


def test_people_who_edit_a_namespace_cannot_write_a_status(objects: Objects) -> None:
    for name in ("image-catalog-view", "image-catalog-edit"):
        for rule in objects["ClusterRole", name]["rules"]:
            assert rule["resources"] == ["catalogimages"]


def test_nobody_gets_a_publishers_rights_by_themselves(objects: Objects) -> None:
    role = objects["ClusterRole", "image-catalog-publisher"]
    assert not [label for label in role["metadata"]["labels"] if label.startswith("rbac.authorization.k8s.io/")]
    assert not [b for b in objects.values() if b.get("roleRef", {}).get("name") == "image-catalog-publisher"]
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {"catalogimages", "imagebuilds"}


def test_the_readmes_table_of_rights_is_what_the_roles_grant(top: Path, granted: Granted) -> None:
    readme = (top / "knative/README.md").read_text()
    section = readme.partition("## Rights")[2].partition("\n## ")[0]
    documented = {}
    for line in section.splitlines():
        if match := re.fullmatch(r"\| `([\w-]+)` \| (.+) \|", line):
            documented[match[1]] = {
                (resource.strip("`"), verb.strip(","))
                for resource, *verbs in (right.split() for right in match[2].split(";"))
                for verb in verbs
            }
    assert documented == {
        account: {(resource, verb) for _, resource, verb in granted(account)}
        for account in [*_FUNCTIONS, "api", *_SOURCES]
    }
