"""Secrets that open an image, and what an entry says when they do not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from image_catalog.testing.pipeline import PipelineFunction
from image_catalog.testing.registry import BearerAuth
from image_catalog.testing.world import World, running_world

pytestmark = pytest.mark.story

URL = "quay.io/acme/autosd:cs9"


class TestCredentials:
    @pytest.fixture
    async def world(self, tmp_path: Path, functions: tuple[PipelineFunction, ...]) -> Any:
        async with running_world(functions, tmp_path, auth=BearerAuth()) as world:
            world.push()
            self.reader, self.stranger = world.registry.account("reader"), world.registry.account("stranger")
            world.registry.restrict("acme", self.reader)
            yield world

    async def test_a_secret_opens_a_private_image(self, world: World) -> None:
        world.allow_secrets()
        world.add_secret("pull", self.reader)
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert image.status.phase == "Available"

    async def test_no_credential(self, world: World) -> None:
        image = await world.add(url=URL)
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "AuthenticationFailed")
        assert world.says()["Verified"][0] == "False"

    async def test_a_wrong_password(self, world: World) -> None:
        world.allow_secrets()
        world.add_secret("pull", self.reader)
        world.registry.account("reader")
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "AuthenticationFailed")

    async def test_a_credential_without_the_right(self, world: World) -> None:
        world.allow_secrets()
        world.add_secret("pull", self.stranger)
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "AccessDenied")

    async def test_a_token_server_that_denies(self, world: World) -> None:
        world.allow_secrets()
        world.add_secret("pull", self.stranger)
        world.registry.restrict("acme", self.reader, at_token=True)
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "AccessDenied")

    async def test_a_denial_of_what_was_available_may_mean_that_it_was_deleted(self, world: World) -> None:
        world.allow_secrets()
        world.add_secret("pull", self.reader)
        await world.add(url=URL, authSecretRef={"name": "pull"})
        world.registry.restrict("acme", self.stranger)
        world.pipeline.restart("verify")
        await world.pass_time(hours=1)
        available = world.image().status.condition("Available")
        assert available is not None
        assert available.reason == "AccessDenied"
        assert available.message.startswith("denied or deleted")
        world.registry.restrict("acme", self.reader)
        await world.pass_time(minutes=5)
        assert world.image().status.phase == "Available"

    async def test_a_secret_that_is_not_there(self, world: World) -> None:
        world.allow_secrets()
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "SecretNotFound")
        assert world.says()["Verified"][0] == "Unknown"
        assert not world.network.requests

    async def test_a_secret_that_the_owner_did_not_allow_names_the_command(self, world: World) -> None:
        world.add_secret("pull", self.reader)
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        available = image.status.condition("Available")
        assert available is not None
        assert (image.status.phase, available.reason) == ("Failed", "SecretForbidden")
        assert "kubectl create rolebinding" in available.message

    async def test_a_secret_of_another_namespace_that_does_not_allow_ours(self, world: World) -> None:
        world.allow_secrets(namespace="team-b")
        world.add_secret("pull", self.reader, namespace="team-b")
        image = await world.add(url=URL, authSecretRef={"name": "pull", "namespace": "team-b"})
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "SecretForbidden")
        assert not world.network.requests

    async def test_nobody_learns_through_an_entry_which_secrets_another_namespace_has(self, world: World) -> None:
        world.allow_secrets(namespace="team-b")
        world.add_secret("known", self.reader, namespace="team-b")
        told = []
        for name in ("known", "absent"):
            image = await world.add(
                f"with-{name}", url=f"{URL}-{name}", authSecretRef={"name": name, "namespace": "team-b"}
            )
            available = image.status.condition("Available")
            assert available is not None
            told.append((available.reason, available.message.replace(name, "NAME")))
        assert told[0] == told[1]
        assert told[0][0] == "SecretForbidden"

    async def test_a_secret_that_cannot_be_used(self, world: World) -> None:
        world.allow_secrets()
        world.pipeline.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "pull", "namespace": "team-a"},
                "type": "Opaque",
                "data": {},
            }
        )
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        assert (image.status.phase, world.says()["Available"][1]) == ("Failed", "SecretInvalid")

    async def test_those_that_fail_together_do_not_come_back_together(self, world: World) -> None:
        """A credential that ends takes hundreds of entries with it: each five minutes all of them were due at once."""
        world.allow_secrets()
        images = [await world.add(f"v{n}", url=f"{URL}{n}", authSecretRef={"name": "pull"}) for n in range(8)]
        assert {world.says(image.metadata.name)["Available"][1] for image in images} == {"SecretNotFound"}
        assert len({image.status.next_verification_time for image in images}) > 4

    async def test_a_failed_credential_is_tried_again_within_five_minutes(self, world: World) -> None:
        world.allow_secrets()
        image = await world.add(url=URL, authSecretRef={"name": "pull"})
        due = image.status.next_verification_time
        assert due is not None
        assert timedelta(minutes=4.5) <= due - world.clock.now() <= timedelta(minutes=5)
        world.add_secret("pull", self.reader)
        await world.pass_time(minutes=5)
        assert world.image().status.phase == "Available"
