from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from image_catalog.models import CatalogRegistry


def registry(**spec: Any) -> CatalogRegistry:
    return CatalogRegistry.model_validate({"metadata": {"name": "a"}, "spec": {"host": "quay.io", **spec}})


@pytest.mark.parametrize("host", ["quay.io", "*.example.com", "localhost:5000", "[::1]:5000", "registry"])
def test_hosts_that_can_be_named(host: str) -> None:
    assert registry(host=host).spec.host == host


@pytest.mark.parametrize("host", ["https://quay.io", "quay.io/acme", "Quay.io", "*", ""], ids=repr)
def test_hosts_that_cannot(host: str) -> None:
    with pytest.raises(ValidationError):
        registry(host=host)


@pytest.mark.parametrize(
    "endpoint", ["ftp://quay.io", "quay.io", "https://user@quay.io", "https://quay.io?x=1"], ids=repr
)
def test_endpoints_are_plain_urls(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        registry(endpoint=endpoint)


@pytest.mark.parametrize(
    "notifications",
    [{"type": "quay"}, {"secretRef": {"name": "pushes", "namespace": "ops"}}, {"type": "nexus", "secretRef": {}}],
    ids=["no Secret", "no type", "a type that nobody reads"],
)
def test_notifications_say_who_sends_them_and_how_they_are_proved(notifications: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        registry(notifications=notifications)


def test_plain_http_keeps_its_capitals_on_the_wire() -> None:
    tls = registry(tls={"plainHTTP": True}).to_dict()["spec"]["tls"]
    assert tls["plainHTTP"] is True


def test_the_availability_keeps_its_digits_on_the_wire() -> None:
    found = CatalogRegistry.model_validate({**registry().to_dict(), "status": {"availability24h": 0.25}})
    assert found.to_dict()["status"]["availability24h"] == 0.25
