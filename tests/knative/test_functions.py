"""Each function and its manifests say the same."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import image_catalog_functions
from image_catalog.events import as_filters
from image_catalog.local.knative import read_manifests
from image_catalog.local.manifests import LOCAL_MANIFESTS

Objects = dict[tuple[str, str], dict[str, Any]]

_API = "api"
"""Answers people over HTTP; no event wakes it."""

_FUNCTIONS = sorted(
    path.parent.name for path in Path(image_catalog_functions.__path__[0]).glob("*/main.py") if path.parent.name != _API
)


def _constant(function: str, name: str) -> Any:
    return getattr(importlib.import_module(f"image_catalog_functions.{function}.main"), name)


def test_every_function_has_a_service_and_every_service_a_function(objects: Objects) -> None:
    assert sorted(name for kind, name in objects if kind == "Service") == sorted([*_FUNCTIONS, _API])


def test_the_api_has_a_sink_and_no_trigger(objects: Objects) -> None:
    assert ("SinkBinding", _API) in objects
    assert ("Trigger", _API) not in objects


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_a_functions_trigger_lets_through_what_the_function_listens_to(function: str, objects: Objects) -> None:
    filters = as_filters(_constant(function, "TRIGGERS"))
    trigger = objects.get(("Trigger", function))
    # A function that takes whatever comes is a dead-letter sink, and nothing but dead letters is sent there.
    assert filters == (trigger["spec"]["filters"] if trigger else [])


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_a_function_has_a_sink_where_it_emits(function: str, objects: Objects) -> None:
    assert (("SinkBinding", function) in objects) == bool(_constant(function, "EMITS"))


def test_the_local_stack_understands_every_knative_object_of_its_overlay(local: Objects) -> None:
    manifests = read_manifests(LOCAL_MANIFESTS.read_text())
    read = {
        *(("Broker", broker.name) for broker in manifests.brokers),
        *(("Trigger", trigger.name) for trigger in manifests.triggers),
        *(("ApiServerSource", source.name) for source in manifests.api_server_sources),
        *(("PingSource", source.name) for source in manifests.ping_sources),
        *(("Service", service.name) for service in manifests.services),
        *(("SinkBinding", binding.name) for binding in manifests.sink_bindings),
    }
    assert read == {key for key, manifest in local.items() if ".knative.dev/" in manifest["apiVersion"]}
