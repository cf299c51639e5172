"""Whatever comes from who has the token, it is read or refused by field, and never breaks anything."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from image_catalog.models.catalogregistry import NotificationType
from image_catalog.testing.fuzzing import JSON, document, examples, mutated
from image_catalog.testing.notifications import (
    distribution_event,
    docker_hub_notification,
    envelope,
    harbor_cloud_event,
    harbor_notification,
    listen,
    quay_notification,
)
from image_catalog.testing.world import World
from image_catalog_functions.api.http.bodies import read_strictly
from image_catalog_functions.api.notifying.documents import FORM
from image_catalog_functions.api.notifying.senders.pushes import MAX_PUSHES, Push
from image_catalog_functions.api.notifying.senders.table import SENDERS

pytestmark = pytest.mark.story

DIGEST = f"sha256:{'a' * 64}"


def read(sender: str, body: Any) -> list[Push]:
    return read_strictly(SENDERS[NotificationType(sender)], orjson.dumps(body)).pushes()


@pytest.mark.parametrize(
    ("sender", "body", "pushes"),
    [
        pytest.param(
            "distribution",
            envelope(
                {**distribution_event(digest=DIGEST), "id": "1"},
                {**distribution_event(action="pull"), "id": "2"},
                {**distribution_event(action="mount"), "id": "3"},
                {**distribution_event(action="delete"), "id": "4"},
                {**distribution_event(action="delete", tag=None), "id": "5"},
                {**distribution_event(tag=None), "id": "6"},
            ),
            [
                Push("acme/autosd", "cs9", DIGEST, "1"),
                Push("acme/autosd", "cs9", None, "4"),
                Push("acme/autosd", None, None, "5"),
            ],
            id="distribution: pushes and deletions, the last of a whole repository",
        ),
        pytest.param("quay", quay_notification(tags=["a", "b"]), [Push("acme/autosd", "a"), Push("acme/autosd", "b")]),
        pytest.param("quay", quay_notification(tags={"a": "b750"}), [Push("acme/autosd", "a")], id="quay: as it was"),
        pytest.param("quay", {"repository": "acme/autosd", "build_id": "1"}, [], id="quay: a build"),
        pytest.param("harbor", harbor_notification(), [Push("acme/autosd", "cs9", f"sha256:{'a' * 64}")]),
        pytest.param(
            "harbor",
            harbor_notification(event_type="DELETE_ARTIFACT", tag=None),
            [Push("acme/autosd", None, f"sha256:{'a' * 64}")],
            id="harbor: an artifact without a tag",
        ),
        pytest.param(
            "harbor",
            {**harbor_cloud_event(event_type="harbor.artifact.deleted"), "id": "7"},
            [Push("acme/autosd", "cs9", f"sha256:{'a' * 64}", "7")],
            id="harbor: a CloudEvent",
        ),
        pytest.param("harbor", harbor_notification(event_type="PULL_ARTIFACT"), [], id="harbor: a pull"),
        pytest.param(
            "harbor", {"type": "QUOTA_EXCEED", "event_data": {"custom_attributes": {}}}, [], id="harbor: quota"
        ),
        pytest.param("dockerhub", docker_hub_notification(), [Push("acme/autosd", "cs9")], id="dockerhub"),
        pytest.param("dockerhub", docker_hub_notification(tag=None), [Push("acme/autosd")], id="dockerhub: as it was"),
    ],
)
def test_what_a_notification_tells(sender: str, body: dict[str, Any], pushes: list[Push]) -> None:
    assert read(sender, body) == pushes


def test_what_the_document_shows_is_a_notification() -> None:
    (content,) = FORM["requestBody"]["content"].values()
    assert [push.tag for push in read("distribution", content["example"])] == ["cs9-qemu"]


@pytest.mark.parametrize(
    ("sender", "body", "path"),
    [
        pytest.param("distribution", {}, "events", id="distribution: no events"),
        pytest.param("distribution", envelope({"action": "push"}), "events[0].target", id="distribution: no target"),
        pytest.param(
            "distribution", envelope(*[distribution_event()] * (MAX_PUSHES + 1)), "events", id="distribution: too many"
        ),
        pytest.param("quay", {"updated_tags": ["a"]}, "repository", id="quay: nowhere"),
        pytest.param("quay", quay_notification(tags=["a"] * (MAX_PUSHES + 1)), "updated_tags", id="quay: too many"),
        pytest.param("harbor", {"event_data": {}}, "type", id="harbor: no type"),
        pytest.param("harbor", {"type": "PUSH_ARTIFACT", "event_data": {}}, "body", id="harbor: nowhere"),
        pytest.param("dockerhub", {"push_data": {"tag": "1"}}, "repository", id="dockerhub: nowhere"),
        pytest.param(
            "dockerhub", {"repository": {"repo_name": 5}, "push_data": {}}, "repository.repo_name", id="a number"
        ),
        pytest.param("quay", [], "body", id="a list"),
        pytest.param("quay", b"{", None, id="no JSON"),
        pytest.param("quay", b"[" * 100, None, id="deep"),
        pytest.param("quay", b"", None, id="nothing"),
    ],
)
async def test_what_is_wrong_with_a_notification_is_said_by_field(
    world: World, listening: Any, sender: str, body: Any, path: str | None
) -> None:
    token = listen(world, sender, host="docker.io" if sender == "dockerhub" else "quay.io")
    answer = await listening.tell(body, token)
    assert (answer.status_code, answer.json()["reason"]) == (400, "InvalidBody")
    if path is not None:
        paths = [violation["path"] for violation in answer.json()["details"]["violations"]]
        assert any(each.startswith(path) for each in paths), paths
    assert not listening.events


async def test_a_body_that_is_too_large_is_not_read(world: World, listening: Any) -> None:
    token = listen(world, "quay")
    answer = await listening.tell(b" " * (1024 * 1024 + 1), token)
    assert (answer.status_code, answer.json()["reason"]) == (413, "BodyTooLarge")


TEXTS = st.sampled_from(["acme/autosd", "", "/", "..", "a" * 600, "acme/x:1", f"x@{DIGEST}", "é\0\n", DIGEST])
TEXT = TEXTS | st.text(max_size=20)
TARGET = mutated({"repository": TEXT, "tag": TEXT, "digest": TEXT, "mediaType": TEXT})
EVENT = mutated({"id": TEXT, "action": st.sampled_from(["push", "delete", "pull", ""]), "target": TARGET})
DATA = mutated(
    {
        "resources": st.lists(mutated({"digest": TEXT, "tag": TEXT}), max_size=3),
        "repository": mutated({"repo_full_name": TEXT}),
    }
)
BODIES = {
    "distribution": mutated({"events": st.lists(EVENT, max_size=4)}),
    "quay": mutated({"repository": TEXT, "updated_tags": st.lists(TEXT, max_size=3) | st.dictionaries(TEXT, TEXT)}),
    "harbor": mutated(
        {"type": st.sampled_from(["PUSH_ARTIFACT", "harbor.artifact.deleted", "x"]), "event_data": DATA, "data": DATA}
    ),
    "dockerhub": mutated({"push_data": mutated({"tag": TEXT}), "repository": mutated({"repo_name": TEXT})}),
}


@pytest.mark.parametrize("sender", list(BODIES))
def test_odd_bodies_are_read_or_refused(sender: str) -> None:
    @examples()
    @given((BODIES[sender] | JSON).map(document))
    def try_one(body: bytes) -> None:
        try:
            pushes = read_strictly(SENDERS[NotificationType(sender)], body).pushes()
        except ValidationError:
            return
        assert all(push.repository for push in pushes)
        assert all(push.tag != "" and push.digest != "" for push in pushes)

    try_one()


@pytest.mark.parametrize("sender", list(BODIES))
async def test_odd_bodies_are_never_a_fault_of_the_api(world: World, listening: Any, sender: str) -> None:
    token = listen(world, sender, host="docker.io" if sender == "dockerhub" else "quay.io")
    strategy = (BODIES[sender] | JSON).map(document)
    bodies: list[bytes] = []

    @examples()
    @given(strategy)
    def gather(body: bytes) -> None:
        bodies.append(body)

    gather()
    for body in bodies[:60]:
        answer = await listening.tell(body, token)
        assert answer.status_code in {202, 400}, (body, answer.text)
