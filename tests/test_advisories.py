"""Every advisory about clients like this one has a test, and a row in ``docs/security.md``."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text()

REGISTRY = "shared/registry"
HOSTILE = "functions/verify/test_hostile_users.py"
MISBEHAVING = "functions/verify/test_misbehaving.py::test_misbehaviour_has_its_phase_and_reason"

ADVISORIES: dict[int, tuple[str, ...]] = {
    1: (
        f"{REGISTRY}/test_realms_and_redirects.py::test_credential_goes_only_where_it_belongs",
        f"{REGISTRY}/test_realms_and_redirects.py::test_foreign_realm_is_asked_without_the_credential",
    ),
    2: (
        f"{REGISTRY}/test_realms_and_redirects.py::test_realm_that_nobody_may_ask_is_refused",
        f"{REGISTRY}/test_realms_and_redirects.py::test_refused_realm_is_not_asked_at_all",
        MISBEHAVING,
    ),
    3: (
        f"{REGISTRY}/test_connections.py::test_rebinding_a_name_gains_nothing",
        f"{REGISTRY}/test_realms_and_redirects.py::test_token_server_that_redirects_is_not_followed",
        f"{HOSTILE}::test_attacks_on_addresses",
    ),
    4: (
        f"{REGISTRY}/test_realms_and_redirects.py::test_redirect_to_another_origin_carries_no_credential",
        f"{REGISTRY}/test_realms_and_redirects.py::test_challenge_of_a_redirects_target_is_not_answered",
    ),
    5: (f"{REGISTRY}/test_realms_and_redirects.py::test_refreshed_token_is_not_attached_after_a_redirect",),
    6: (f"{REGISTRY}/test_realms_and_redirects.py::test_location_of_a_good_answer_is_not_followed",),
    7: (f"{HOSTILE}::test_attacks_on_credentials",),
    8: (f"{REGISTRY}/test_referrers.py::test_link_to_a_next_page_is_not_followed",),
    9: (f"{REGISTRY}/test_manifests.py::test_manifest_that_cannot_be_trusted_is_refused",),
    10: (f"{REGISTRY}/test_inspect.py::test_bytes_that_are_not_what_was_asked_for_are_refused",),
    11: (MISBEHAVING, "fuzz/test_documents.py::test_a_manifest_is_read_or_refused"),
    12: (f"{REGISTRY}/test_connections.py::test_manifest_that_is_too_large_is_not_read", MISBEHAVING),
    13: (
        f"{REGISTRY}/test_inspect.py::test_requests_for_nested_indexes_are_bounded_before_they_are_made",
        f"{REGISTRY}/test_referrers.py::test_list_is_bounded_and_names_each_once_and_never_the_image",
    ),
    14: (f"{REGISTRY}/test_connections.py::test_encoded_answer_is_refused", MISBEHAVING),
    15: (f"{REGISTRY}/test_facts.py::test_title_of_a_file_is_shown_and_leads_nowhere",),
    16: (
        f"{REGISTRY}/test_addresses.py::test_reach_of_addresses",
        f"{REGISTRY}/test_field_tables.py::test_networks_from_their_first_to_their_last_address",
    ),
    17: (
        f"{REGISTRY}/test_addresses.py::test_other_spellings_are_no_addresses",
        f"{HOSTILE}::test_attacks_on_addresses",
    ),
    18: (
        "shared/models/test_reference.py::test_invalid_reference_is_refused_with_the_remedy",
        f"{REGISTRY}/test_realms_and_redirects.py::test_host_that_was_judged_is_the_host_that_is_asked",
    ),
    19: ("functions/api/reading/test_lists.py::test_impossible_parameter_is_named_with_what_is_allowed",),
    20: (f"{REGISTRY}/test_tokens.py::test_service_and_scope_cannot_add_parameters",),
}
"""The advisories by their number on the page, and the tests that hold the catalog to what they teach."""


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of a file's tests."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("test", sorted({test for tests in ADVISORIES.values() for test in tests}))
def test_that_is_named_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(TESTS / path)


def test_the_page_names_the_same_tests() -> None:
    rows = re.findall(r"^\| (\d+) \| .* \| (`test_.*`) \|$", PAGE, re.MULTILINE)
    shown = {int(number): set(re.findall(r"`(\w+)`", tests)) for number, tests in rows}
    assert shown == {number: {test.partition("::")[2] for test in tests} for number, tests in ADVISORIES.items()}
