from __future__ import annotations

from pathlib import Path

import pytest

from image_catalog.config import ApiAuth, Settings
from image_catalog.local.catalog_api import API, api_command, api_environment
from image_catalog.local.knative import Service, read_manifests
from image_catalog.local.manifests import load_manifests


@pytest.fixture
def service() -> Service:
    (found,) = [service for service in read_manifests(load_manifests()).services if service.name == API]
    return found


@pytest.mark.parametrize("auth", list(ApiAuth))
def test_the_manifests_command_is_bound_to_this_machine_alone(service: Service, auth: ApiAuth) -> None:
    command = api_command(service, port=4711, auth=auth)
    assert command[: len(service.command)] == service.command
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {"--host": "127.0.0.1", "--port": "4711", "--auth": auth.value}


def test_the_environment_names_settings_that_there_are(tmp_path: Path) -> None:
    given = api_environment({"publish": "http://p", "verify": "http://v"}, tmp_path / "token")
    fields = {name.removeprefix("IMAGE_CATALOG_").lower(): value for name, value in given.items()}
    settings = Settings.model_validate(fields)
    assert (settings.publish_url, settings.verify_url) == ("http://p", "http://v")
    assert settings.token_file == tmp_path / "token"
