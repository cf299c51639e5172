"""Every advisory about clients like this one, and every attack of tenants on tenants, has tests and a row.

They are in ``docs/security.md``.
"""

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
AUDIT = "shared/audit/test_appending.py"
HISTORY = "functions/audit/test_history.py"
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


TENANTS: dict[str, tuple[str, ...]] = {
    "names-that-never-answer": (f"{REGISTRY}/test_lookups.py::test_names_that_never_answer_hold_up_no_other",),
    "registries-that-hold-connections": (
        f"{REGISTRY}/test_circuit.py::test_registry_for_which_no_connection_came_free_is_not_blamed",
    ),
    "registries-that-hold-events": (
        "functions/test_fairness.py::test_registry_that_hangs_from_the_start_leaves_the_places_to_others",
        "shared/registry/test_places.py::test_those_that_nobody_knows_hold_a_part_together",
    ),
    "registries-that-leave-connections": (
        "shared/registry/test_pools.py::test_request_takes_no_longer_because_many_others_were_asked_a_moment_ago",
    ),
    "a-batch-of-one-registry": (
        "functions/reverify/test_reverify.py::test_registries_share_it_alike_however_long_one_is_overdue",
    ),
    "a-repository-that-fails": (
        f"{REGISTRY}/test_circuit.py::test_repositories_that_fail_do_not_speak_for_a_registry_that_answers",
        f"{REGISTRY}/test_circuit.py::test_repositories_that_fail_do_not_keep_a_registry_shut_that_is_back",
    ),
    "an-image-whose-blobs-fail": (
        f"{REGISTRY}/test_circuit.py::test_one_image_whose_blobs_are_broken_does_not_speak_for_its_registry",
    ),
    "a-foreign-token-server": (
        f"{REGISTRY}/test_circuit.py::test_a_registry_cannot_have_another_ones_token_server_left_alone",
    ),
    "text-that-is-work": (f"{REGISTRY}/test_work.py::test_text_of_a_stranger_is_read_in_time",),
    "regions-of-aws": (
        f"{REGISTRY}/test_ecr.py::test_made_up_regions_neither_fill_the_memory_nor_push_out_real_ones",
        f"{REGISTRY}/test_ecr.py::test_failure_of_aws_is_waited_for_once_by_all_who_wait",
    ),
    "a-check-without-end": (
        "functions/verify/test_time_limits.py::test_time_limit_is_for_the_tag_and_the_pin_together",
    ),
    "text-that-a-terminal-obeys": (
        f"{REGISTRY}/test_manifests.py::test_platforms_of_an_index",
        f"{REGISTRY}/test_facts.py::test_title_of_a_file_is_shown_and_leads_nowhere",
    ),
    "a-recall-of-what-others-have": (
        "functions/api/writing/test_recall_marks.py::test_entries_of_other_namespaces_are_left_alone",
        "functions/api/writing/test_recall_marks.py::test_a_version_that_was_promoted_and_superseded_since_is_marked_as_such",
    ),
    "a-made-up-promotion": (
        "functions/api/writing/test_promoting.py::test_nobody_else_is_believed_where_an_image_was_promoted_from",
    ),
    "an-events-id-taken-in-advance": (
        f"{AUDIT}::test_who_takes_an_events_id_changes_nothing_of_its_record",
        f"{AUDIT}::test_strangers_cannot_take_every_place_beside_an_events_record",
        f"{HISTORY}::test_a_stranger_who_knows_an_events_id_changes_nothing_of_the_history",
    ),
    "a-report-under-another-ones-id": (f"{AUDIT}::test_a_report_of_somebody_else_under_the_same_id_is_another",),
    "made-up-consumers": (f"{HISTORY}::test_nobody_was_given_an_image_because_an_event_says_so",),
    "a-text-that-no-index-takes": (f"{AUDIT}::test_no_text_is_too_long_for_an_index_and_keeps_others_records_away",),
    "a-dead-letter-under-anothers-id": (
        "shared/audit/test_letters.py::test_a_letter_under_anothers_id_does_not_take_its_place",
    ),
    "events-that-fill-the-history": (f"{HISTORY}::test_an_event_that_is_too_long_fills_no_history",),
    "a-change-that-never-was": (f"{HISTORY}::test_a_change_that_a_stranger_posts_is_not_believed",),
    "a-dead-letter-for-an-operator": (
        "shared/cli/test_audit.py::test_a_letter_that_a_stranger_made_up_goes_nowhere_by_an_operators_hand",
        "shared/cli/test_audit.py::test_a_clusters_letter_does_not_go_to_the_operators_own_machine",
    ),
    "a-link-in-a-shared-folder": (
        "shared/cli/download/test_names.py::test_a_link_in_the_folder_is_not_followed_out_of_it",
        "shared/cli/download/test_fetching.py::test_a_link_where_a_note_goes_is_not_followed",
    ),
}
"""What one tenant may do to another, likewise."""


@cache
def names_in(path: Path) -> frozenset[str]:
    """Return the names of a file's tests."""
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("test", sorted({test for tests in (ADVISORIES | TENANTS).values() for test in tests}))
def test_that_is_named_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in names_in(TESTS / path)


def test_the_page_names_the_same_tests() -> None:
    rows = re.findall(r"^\| `?([\w-]+)`? \| .* \| (`test_.*`) \|$", PAGE, re.MULTILINE)
    shown = {name: set(re.findall(r"`(\w+)`", tests)) for name, tests in rows}
    told = {str(name): tests for name, tests in (ADVISORIES | TENANTS).items()}
    assert shown == {name: {test.partition("::")[2] for test in tests} for name, tests in told.items()}
