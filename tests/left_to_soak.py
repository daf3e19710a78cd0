"""Accidents and variants that `make soak` runs and `make test` leaves out, by name.

`make test` walks each pipeline once from its beginning to its end, and shows one kill, one reorganisation and
one restored backup of each kind.  Here is what does the same again at another point, with another number or
on another kind of store: it is marked `slow`, as all that takes minutes.
"""

from __future__ import annotations

from typing import Final

Names = dict[str, tuple[str, ...]]
SEALING: Final[Names] = {
    # Snap-up and rebuild are walked in test_snap_up.py, sealing into a bucket in test_bucket.py.
    "bucket_runs": (
        "test_data_come_into_a_sector_of_a_bucket_and_out_again",
        "test_a_replica_that_a_bucket_lost_is_made_again_there",
    ),
    "c2_elsewhere": (
        "test_a_guest_that_dies_is_followed_by_another",
        "test_its_own_host_does_c2_once_it_has_a_slot",
    ),
    "changes": (
        "test_a_kill_at_each_write_leaves_one_message[TERMINATE]",
        "test_a_restored_database_sends_nothing_twice[nothing-TERMINATE]",
        "test_a_restored_database_sends_nothing_twice[QUEUED-EXTEND]",
        "test_a_restored_database_sends_nothing_twice[SENT-TERMINATE]",
        "test_a_change_on_its_way_at_the_restore_is_followed[TERMINATE]",
        "test_the_chain_is_compared_where_no_message_is_known[EXTEND]",
        "test_a_restored_database_sends_nothing_twice[nothing-EXTEND]",
        "test_a_restored_database_sends_nothing_twice[QUEUED-TERMINATE]",
    ),
    "damocles": ("test_a_worker_that_says_everything_twice_gets_nothing_done_twice",),
    "damocles_data": ("test_a_worker_that_takes_no_data_loses_the_sector_and_gets_zeros",),
    "damocles_jobs": (
        "test_a_lost_replica_is_made_again_by_a_damocles_worker",
        "test_another_replica_than_the_sectors_is_not_taken",
    ),
    "deals": ("test_a_verified_and_a_plain_deal_become_active_and_come_back",),
    "gone_host": (
        "test_what_the_chain_does_not_know_begins_again[PIECE_ADDED-TREE_D]",
        "test_what_the_chain_does_not_know_begins_again[PC2_DONE-PERSIST]",
        "test_a_sector_with_a_pre_commit_gets_the_same_replica[SEED_ASSIGNED]",
        "test_a_snap_up_goes_on_with_another_host_of_the_store[KEY_CLEAR]",
        "test_a_committed_sector_needs_its_host_no_more",
        "test_unsealing_goes_on_with_another_host_of_the_store",
    ),
    # Proofs, keys and parameters of Groth16 are compared with golden ones in tests/unit/workers/snark.
    "groth16": ("test_window_posts_change_to_groth16_once_there_are_parameters",),
    "hanging": (
        "test_the_late_proof_of_the_first_host_changes_nothing",
        "test_a_lone_host_begins_anew_with_another_child",
    ),
    "life": ("test_a_lost_file_costs_only_its_own_sector",),
    "market_deal": (
        "test_two_published_deals_are_sealed_into_one_sector_and_begin[one-piece-twice]",
        "test_a_verified_deal_is_claimed_by_a_sector_that_lives_as_it_asks[600 days]",
    ),
    "pieces": (
        "test_a_host_killed_before_each_report_does_no_stage_twice",
        "test_two_allocations_of_one_piece_are_two_places_and_two_claims",
        "test_a_piece_of_an_aborted_sector_goes_into_another",
        "test_allocation_that_expires_after_the_pre_commit_costs_no_sector",
        "test_data_that_another_miner_has_with_fewer_zeros_is_sealed",
    ),
    # Four sectors land with one proof in test_aggregate.py.
    "porep_rules": (
        "test_thirteen_groth16_partitions_of_each_sector_land_as_one_proof",
        "test_data_are_sealed_interactively_all_the_same",
        "test_without_a_prover_that_aggregates_groth16_commits_wait_and_say_so",
    ),
    "reorganised": (
        "test_sector_has_the_epochs_of_the_branch_that_its_commit_is_on",
        "test_sector_without_its_sealing_files_is_sealed_again_for_another_seed",
    ),
    "restored": (
        "test_sectors_of_a_restored_backup_go_on_where_chain_and_host_have_them[TICKET_ASSIGNED-PERSISTED]",
        "test_sectors_of_a_restored_backup_go_on_where_chain_and_host_have_them[PERSISTED-PROVING]",
        "test_no_host_begins_a_sector_anew_while_another_has_not_reported",
        "test_sectors_of_a_restored_backup_go_on_where_chain_and_host_have_them[PERSISTED-PRECOMMIT_SENT]",
    ),
    "restored_updates": (
        "test_an_update_goes_on_where_the_chain_has_it[nothing-FILLED]",
        "test_an_update_goes_on_where_the_chain_has_it[READY-SNAPPED]",
        "test_an_update_goes_on_where_the_chain_has_it[PIECES_ASSIGNED-UPDATE_LANDED]",
        "test_an_update_goes_on_where_the_chain_has_it[SNAP_STORED-FILLED]",
        "test_an_update_goes_on_where_the_chain_has_it[UPDATE_LANDED-SNAPPED]",
        "test_an_update_goes_on_where_the_chain_has_it[nothing-UPDATE_LANDED]",
        "test_an_update_goes_on_where_the_chain_has_it[UPDATE_SENT-SNAPPED]",
        "test_an_update_of_which_no_message_is_known_is_seen_on_the_chain",
    ),
    "snap_up": (
        "test_a_host_killed_before_each_report_does_no_stage_of_a_run_twice",
        "test_another_ticket_gives_another_comm_r_and_stores_nothing",
    ),
    "update_batches": ("test_an_update_that_left_the_chain_is_taken_back_and_lands_again",),
    "windows": (
        "test_files_that_come_back_within_the_window_cost_nothing[2]",
        "test_a_branch_that_leaves_before_the_challenge_costs_no_window[6]",
    ),
}
FOLDERS: Final[dict[str, Names]] = {
    "tests/integration/sealing": SEALING,
    "tests/unit/workers/snark": {
        # A window is proven and verified so in the same file.
        "host_proofs": ("test_a_win_is_groth16_once_the_child_is_warm_and_the_devnet_checks_it",),
    },
    # Migrations that change no more; each is gone back to through all later ones, which takes 10 to 20 s.
    "tests/integration/dashboard": {
        "miner_batches": ("test_one_ceiling_of_before_becomes_that_of_each_kind",)
    },
    "tests/unit/apps/checks": {"old_alerts": ("test_alerts_from_before_get_names_and_go_on",)},
    "tests/unit/apps/market": {
        "migrations": ("test_miners_that_the_environment_named_go_on_to_serve_their_data",)
    },
    "tests/unit/apps/messages": {
        "migrations": ("test_fillers_of_a_pool_that_ran_the_first_0004_get_their_height",)
    },
    "tests/unit/apps/pieces": {
        "fetches": ("test_urls_of_downloads_that_ended_earlier_lose_their_keys",),
        "quotas": (
            "test_pieces_from_before_the_quotas_are_counted",
            "test_tenants_with_data_keep_what_they_had_when_the_default_came",
        ),
    },
    "tests/unit/apps/sectors": {
        "why_paused": ("test_rows_of_before_get_their_columns_however_often_it_is_begun",)
    },
}
"""Tests by folder and the middle of their file's name."""
LEFT: Final = tuple(
    f"{folder}/test_{file}.py::{name}"
    for folder, files in FOLDERS.items()
    for file, names in files.items()
    for name in names
)
"""Node ids, or their beginnings."""


def is_left(nodeid: str) -> bool:
    """Return whether a test is left to `make soak`."""
    return nodeid.startswith(LEFT)
