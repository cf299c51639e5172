"""The verbs, against the embedded API server."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

import pytest

from image_catalog.cluster import CATALOG_IMAGE, CONFIG_MAP, LEASE, KubernetesAPI, ResourceKind, Response
from image_catalog.errors import (
    AlreadyExistsError,
    ClusterUnavailableError,
    ForbiddenError,
    InvalidObjectError,
    WriteConflictError,
)
from image_catalog.testing.cluster import Call, Effect, InProcessCluster

NS = "team-a"


async def make(api: KubernetesAPI, name: str, **data: str) -> dict[str, object]:
    return await api.create(CONFIG_MAP, {"metadata": {"name": name}, "data": data}, NS)


async def test_created_object_can_be_read(api: KubernetesAPI) -> None:
    created = await make(api, "a", k="v")
    assert await api.get(CONFIG_MAP, "a", NS) == created
    assert created["kind"] == "ConfigMap"
    assert created["apiVersion"] == "v1"


async def test_absent_object_is_none_for_every_verb(api: KubernetesAPI) -> None:
    assert await api.get(CONFIG_MAP, "absent", NS) is None
    assert await api.patch(CONFIG_MAP, "absent", NS, {"data": {}}) is None
    assert await api.delete(CONFIG_MAP, "absent", NS) is False
    assert await api.patch_status(CATALOG_IMAGE, "absent", NS, {}, resource_version=None) is None


async def test_second_create_says_that_the_name_is_taken(api: KubernetesAPI) -> None:
    await make(api, "a")
    with pytest.raises(AlreadyExistsError, match="create configmaps a in namespace team-a"):
        await make(api, "a")


async def test_create_in_an_absent_namespace_is_invalid(api: KubernetesAPI) -> None:
    with pytest.raises(InvalidObjectError) as caught:
        await api.create(CONFIG_MAP, {"metadata": {"name": "a"}}, "nowhere")
    assert [violation.path for violation in caught.value.violations] == ["metadata.namespace"]
    assert str(caught.value) == 'namespace "nowhere" not found'


async def test_schema_violation_names_the_field(api: KubernetesAPI) -> None:
    with pytest.raises(InvalidObjectError) as caught:
        await api.create(CATALOG_IMAGE, {"metadata": {"name": "a"}, "spec": {"registryUrl": "no host"}}, NS)
    assert "spec.registryUrl" in {violation.path for violation in caught.value.violations}


async def test_patch_merges_and_null_removes(api: KubernetesAPI) -> None:
    await make(api, "a", k="v", old="x")
    patched = await api.patch(CONFIG_MAP, "a", NS, {"data": {"k": "w", "old": None}})
    assert patched is not None
    assert patched["data"] == {"k": "w"}


async def test_patch_of_a_stale_version_conflicts(api: KubernetesAPI) -> None:
    created = await make(api, "a")
    version = created["metadata"]["resourceVersion"]  # type: ignore[index]  # JSON
    assert await api.patch(CONFIG_MAP, "a", NS, {"data": {"k": "1"}}, resource_version=version) is not None
    with pytest.raises(WriteConflictError):
        await api.patch(CONFIG_MAP, "a", NS, {"data": {"k": "2"}}, resource_version=version)


async def test_patch_of_another_uid_conflicts(api: KubernetesAPI) -> None:
    await make(api, "a")
    with pytest.raises(WriteConflictError):
        await api.patch(CONFIG_MAP, "a", NS, {"data": {}}, uid="00000000-0000-0000-0000-000000000000")


async def test_preconditions_join_the_metadata_of_the_patch(api: KubernetesAPI) -> None:
    created = await make(api, "a")
    version = created["metadata"]["resourceVersion"]  # type: ignore[index]  # JSON
    patch = {"metadata": {"labels": {"x": "y"}}}
    patched = await api.patch(CONFIG_MAP, "a", NS, patch, resource_version=version)
    assert patched is not None
    assert patched["metadata"]["labels"] == {"x": "y"}
    assert patch == {"metadata": {"labels": {"x": "y"}}}


async def test_delete_holds_its_preconditions(api: KubernetesAPI) -> None:
    created = await make(api, "a")
    with pytest.raises(WriteConflictError):
        await api.delete(CONFIG_MAP, "a", NS, uid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(WriteConflictError):
        await api.delete(CONFIG_MAP, "a", NS, resource_version="1")
    meta = created["metadata"]
    assert await api.delete(CONFIG_MAP, "a", NS, uid=meta["uid"], resource_version=meta["resourceVersion"])  # type: ignore[index]  # JSON
    assert await api.get(CONFIG_MAP, "a", NS) is None


async def test_a_page_holds_no_more_than_its_reader_or_its_client_wants(cluster: InProcessCluster) -> None:
    for number in range(3):
        await make(cluster.api(), f"a{number}")
    for own, wanted in ((500, 2), (2, 500)):
        pages = cluster.api(page_size=own).pages(CONFIG_MAP, NS, at_most=wanted)
        assert [len(page.objects) async for page in pages] == [2, 1]


async def test_list_comes_in_pages(cluster: InProcessCluster) -> None:
    api = cluster.api(page_size=2)
    for number in range(5):
        await make(api, f"a{number}")
    pages = [page async for page in api.pages(CONFIG_MAP, NS)]
    assert [[o["metadata"]["name"] for o in page.objects] for page in pages] == [["a0", "a1"], ["a2", "a3"], ["a4"]]
    assert [(page.first, page.last) for page in pages] == [(True, False), (False, False), (False, True)]
    assert {page.objects[0]["kind"] for page in pages} == {"ConfigMap"}
    assert len({page.resource_version for page in pages}) == 1


async def test_list_filters_by_label(api: KubernetesAPI) -> None:
    await make(api, "a")
    await api.create(CONFIG_MAP, {"metadata": {"name": "b", "labels": {"x": "y"}}}, NS)
    assert [o["metadata"]["name"] for o in await api.list_all(CONFIG_MAP, NS, label_selector="x=y")] == ["b"]
    assert [o["metadata"]["name"] for o in await api.list_all(CONFIG_MAP, NS, field_selector="metadata.name=a")] == [
        "a"
    ]


async def test_list_of_all_namespaces(api: KubernetesAPI) -> None:
    for namespace in (NS, "team-b"):
        await api.create(LEASE, {"metadata": {"name": "a"}}, namespace)
    assert [o["metadata"]["namespace"] for o in await api.list_all(LEASE)] == [NS, "team-b"]


async def test_list_whose_continuation_expired_starts_again(cluster: InProcessCluster) -> None:
    api = cluster.api(page_size=1)
    await make(api, "a")
    await make(api, "b")
    cluster.fail(Effect.GONE, verb="list", nth=2)
    pages = [page async for page in api.pages(CONFIG_MAP, NS)]
    assert [(page.objects[0]["metadata"]["name"], page.first) for page in pages] == [
        ("a", True),
        ("a", True),
        ("b", False),
    ]
    cluster.fail(Effect.GONE, verb="list", nth=2)
    assert [o["metadata"]["name"] for o in await api.list_all(CONFIG_MAP, NS)] == ["a", "b"]


async def test_list_that_always_expires_gives_up(cluster: InProcessCluster) -> None:
    api = cluster.api(page_size=1)
    await make(api, "a")
    await make(api, "b")
    for nth in (2, 4, 6, 8):
        cluster.fail(Effect.GONE, verb="list", nth=nth)
    with pytest.raises(ClusterUnavailableError):
        await api.list_all(CONFIG_MAP, NS)


async def test_list_of_a_kind_that_is_not_served_is_no_empty_list(api: KubernetesAPI) -> None:
    with pytest.raises(ClusterUnavailableError, match=r"list widgets\.example\.com"):
        await api.list_all(ResourceKind("example.com", "v1", "widgets", "Widget"))


async def test_table_holds_printer_columns_by_name(cluster: InProcessCluster) -> None:
    api = cluster.api(page_size=1)
    for name in ("a", "b"):
        body = {"metadata": {"name": name}, "spec": {"registryUrl": f"q.io/x/{name}:1"}}
        await api.create(CATALOG_IMAGE, body, NS)
    pages = [rows async for rows in api.table_pages(CATALOG_IMAGE, NS)]
    assert [len(rows) for rows in pages] == [1, 1]
    assert [rows[0].cells["Registry"] for rows in pages] == ["q.io/x/a:1", "q.io/x/b:1"]
    assert pages[0][0].cells["Namespace"] == NS


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        pytest.param(Effect.FORBIDDEN, ForbiddenError, id="forbidden"),
        pytest.param(Effect.CONFLICT, WriteConflictError, id="conflict"),
        pytest.param(Effect.UNAVAILABLE, ClusterUnavailableError, id="503"),
        pytest.param(Effect.INTERNAL, ClusterUnavailableError, id="500"),
        pytest.param(Effect.TIMEOUT_BEFORE, ClusterUnavailableError, id="time-out before"),
    ],
)
async def test_failed_write_changes_nothing(
    cluster: InProcessCluster, api: KubernetesAPI, effect: Effect, error: type[Exception]
) -> None:
    await make(api, "a")
    cluster.fail(effect, verb="write")
    with pytest.raises(error, match="patch configmaps a in namespace team-a"):
        await api.patch(CONFIG_MAP, "a", NS, {"data": {"k": "v"}})
    found = await api.get(CONFIG_MAP, "a", NS)
    assert found is not None
    assert "data" not in found or not found["data"]


async def test_time_out_leaves_open_whether_the_write_happened(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.TIMEOUT_AFTER, verb="create")
    with pytest.raises(ClusterUnavailableError):
        await make(api, "a")
    assert await api.get(CONFIG_MAP, "a", NS) is not None


async def test_short_throttling_is_waited_for(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.THROTTLED, verb="create")
    await make(api, "a")
    assert [call.verb for call in cluster.calls] == ["create", "create"]


async def test_long_throttling_is_the_caller_s_affair(cluster: InProcessCluster, api: KubernetesAPI) -> None:
    cluster.fail(Effect.THROTTLED, verb="create", times=3)
    with pytest.raises(ClusterUnavailableError) as caught:
        await make(api, "a")
    assert caught.value.retry_after == timedelta(seconds=1)


async def test_log_of_calls_gives_the_rules_that_a_role_needs(cluster: InProcessCluster) -> None:
    api = cluster.api("verify")
    await api.get(CONFIG_MAP, "a", NS)
    await api.patch_status(CATALOG_IMAGE, "a", NS, {}, resource_version=None)
    await api.list_all(CATALOG_IMAGE)
    group = "automotive.sdv.cloud.redhat.com"
    assert cluster.rules("verify") == {
        ("", "configmaps", "get"),
        (group, "catalogimages", "list"),
        (group, "catalogimages/status", "patch"),
    }
    assert cluster.calls[0] == Call("verify", "get", "", "configmaps", "", NS, "a")


async def test_pause_that_is_too_long_to_wait_for_is_handed_on() -> None:
    body = b'{"kind": "Status", "message": "busy", "code": 429}'
    busy = Answering(Response(429, {"retry-after": "60"}, body))
    with pytest.raises(ClusterUnavailableError) as caught:
        await KubernetesAPI(transport=busy).get(CONFIG_MAP, "a", NS)
    assert caught.value.retry_after == timedelta(seconds=60)
    assert busy.requests == 1


async def test_object_that_is_refused_names_its_fields(api: KubernetesAPI) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"registryUrl": "q.io/x/a:1"}}
    created = await api.create(CATALOG_IMAGE, body, NS)
    with pytest.raises(InvalidObjectError) as caught:
        await api.patch(CATALOG_IMAGE, "a", NS, {"spec": {"registryUrl": "no host"}}, uid=created["metadata"]["uid"])
    assert [violation.path for violation in caught.value.violations] == ["spec.registryUrl"]


class Answering:
    """An API server that answers every request the same."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.requests = 0

    async def request(self, *_args: object, **_options: object) -> Response:
        self.requests += 1
        return self._response

    def stream(self, *_args: object, **_options: object) -> NoReturn:
        raise AssertionError("nothing is watched through this transport")

    async def close(self) -> None:
        """Nothing is open."""
