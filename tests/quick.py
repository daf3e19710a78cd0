"""The unit tests that take seconds: `make quick` leaves them out, so that it stays below 90 s on two cores.

They carry the marker `long`.  `make quick` ends with the slowest of those it ran: what belongs here is there.
"""

from __future__ import annotations

from typing import Final

LONG: Final = (
    "tests/unit/apps/api/rpc/test_batching.py",
    "tests/unit/apps/api/rpc/test_damocles.py",
    "tests/unit/apps/api/rpc/test_damocles_acts.py",
    "tests/unit/apps/api/rpc/test_damocles_files.py",
    "tests/unit/apps/api/rpc/test_damocles_hosts.py",
    "tests/unit/apps/api/rpc/test_damocles_job_losses.py",
    "tests/unit/apps/api/rpc/test_damocles_jobs.py",
    "tests/unit/apps/api/rpc/test_damocles_proofs.py",
    "tests/unit/apps/api/rpc/test_damocles_proven.py",
    "tests/unit/apps/api/rpc/test_damocles_reads.py",
    "tests/unit/apps/api/rpc/test_damocles_standing.py",
    "tests/unit/apps/api/test_chain_eth.py",
    "tests/unit/apps/api/test_schema.py::test_every_get_answers_as_the_document_says",
    "tests/unit/apps/blocks/rounds/test_miner_round.py",
    "tests/unit/apps/blocks/rounds/test_producer.py",
    "tests/unit/apps/blocks/test_finality.py",
    "tests/unit/apps/blocks/test_kills.py",
    "tests/unit/apps/blocks/test_storm.py",
    "tests/unit/apps/chain/heads/test_watch.py",
    "tests/unit/apps/chain/test_pool.py::test_reads_go_on_when_a_node_hangs",
    "tests/unit/apps/checks/test_alerts.py",
    "tests/unit/apps/core/test_compiled.py::test_threads_that_ask_first_at_once_share_one_statement",
    "tests/unit/apps/core/test_database_watch.py",
    "tests/unit/apps/core/test_transitions.py::test_nothing_but_transitions_writes_a_state",
    "tests/unit/apps/gateway/hub/test_client.py",
    "tests/unit/apps/messages/test_kills.py::test_a_kill_burns_no_nonce_and_gives_none_twice",
    "tests/unit/apps/messages/test_machine.py::test_the_messager_keeps_its_promises",
    "tests/unit/apps/messages/test_push.py::test_a_wrong_field_is_named_and_leaves_no_row",
    "tests/unit/apps/messages/test_recovery.py",
    "tests/unit/apps/pieces/test_deliveries.py",
    "tests/unit/apps/pieces/test_socket_watch.py::test_a_download_that_drips_ends",
    "tests/unit/apps/proving/test_backup_prover_kills.py",
    "tests/unit/apps/proving/test_transfer_races.py",
    "tests/unit/apps/proving/test_two_passes.py",
    "tests/unit/apps/sectors/test_adoption_files.py::test_killed_at_any_query_files_are_named_once",
    "tests/unit/apps/sectors/test_adoptions.py::test_a_head_reads_no_more_rows_the_more_sectors_there_are",
    "tests/unit/apps/sectors/test_aggregates.py",
    "tests/unit/apps/sectors/test_claim_walk.py",
    "tests/unit/apps/sectors/test_claims.py",
    "tests/unit/apps/sectors/test_numbers.py::NumbersProperty::test_it_never_repeats_and_never_takes_what_is_taken",
    "tests/unit/apps/sectors/test_restore_machine.py",
    "tests/unit/apps/sectors/test_roles.py",
    "tests/unit/apps/users/test_limits.py::test_a_bucket_empties_with_time",
    "tests/unit/house/test_texts.py",
    "tests/unit/wire/test_codec.py::test_a_damaged_document_is_refused_or_read_but_never_breaks",
    "tests/unit/workers/console/test_lease_keeper.py",
    "tests/unit/workers/signer/test_kills.py",
    "tests/unit/workers/storage/buckets/",
)
"""Folders, files and tests, from the checkout on; `tests/unit/house/test_quick.py` finds each of them."""


def is_long(nodeid: str) -> bool:
    """Return whether a test takes seconds, by its node id."""
    return nodeid.partition("[")[0].startswith(LONG)
