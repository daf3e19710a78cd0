"""Which file drives the routes that need more than a small pool, and looks at the audit log."""

from __future__ import annotations

from typing import Final

ROLES_TESTED: Final = "tests/unit/apps/sectors/test_roles.py"
MULTISIGS_TESTED: Final = "tests/integration/dashboard/test_multisigs.py"
OFFLINE_TESTED: Final = "tests/unit/apps/api/v1/test_offline_signing.py"
GROUPS_TESTED: Final = "tests/unit/apps/sectors/test_role_groups.py"
COMPACTION_TESTED: Final = "tests/integration/dashboard/test_compaction.py"
RECOVERY_TESTED: Final = "tests/integration/dashboard/test_recover_now.py"
NUMBERS_TESTED: Final = "tests/unit/apps/sectors/test_reservations.py"
FAILURES_TESTED: Final = "tests/integration/dashboard/test_failures.py"
TARGETS_TESTED: Final = "tests/integration/sealing/test_targets.py"
FILES_TESTED: Final = "tests/integration/sealing/test_file_removals.py"
DRIVES_TESTED: Final = "tests/unit/apps/sectors/test_drives_reset.py"
LEFTOVERS_TESTED: Final = "tests/integration/stores/test_store_scans.py"
ADOPTIONS_TESTED: Final = "tests/integration/dashboard/test_adoptions.py"
MOVES_TESTED: Final = "tests/integration/dashboard/test_moves.py"
RESTORE_TESTED: Final = "tests/integration/dashboard/test_restore.py"
CHANGES_TESTED: Final = "tests/integration/sealing/test_changes.py"
RUNS_TESTED: Final = "tests/integration/sealing/test_snap_up.py"
ALERTS_TESTED: Final = "tests/unit/apps/api/v1/test_alerts.py"
CHANNELS_TESTED: Final = "tests/unit/apps/api/v1/test_alert_channels.py"
STATUS_TESTED: Final = "tests/unit/apps/api/v1/test_status.py"
SETTINGS_TESTED: Final = "tests/unit/apps/checks/test_check_settings.py"
APPROVALS_TESTED: Final = "tests/unit/apps/api/v1/test_message_approvals.py"
RULES_TESTED: Final = "tests/integration/dashboard/test_auto_rules.py"
CHARGES_TESTED: Final = "tests/integration/dashboard/test_charges.py"
CONSOLES_TESTED: Final = "tests/integration/dashboard/test_consoles.py"
ELSEWHERE: Final = {
    "POST tenants/<str:name>/terms": CHARGES_TESTED,
    "POST tenants/<str:name>/corrections": CHARGES_TESTED,
    "PUT statements/<uuid:uuid>/payment": CHARGES_TESTED,
    "DELETE statements/<uuid:uuid>/payment": CHARGES_TESTED,
    "POST tokens": "tests/unit/apps/api/test_accounts.py",
    "DELETE tokens/<uuid:uuid>": "tests/unit/apps/api/test_accounts.py",
    "PUT alerts/<uuid:uuid>/acknowledgement": ALERTS_TESTED,
    "DELETE alerts/<uuid:uuid>/acknowledgement": ALERTS_TESTED,
    "POST alerts/<uuid:uuid>/comments": ALERTS_TESTED,
    "POST alert-channels": CHANNELS_TESTED,
    "PATCH alert-channels/<uuid:uuid>": CHANNELS_TESTED,
    "DELETE alert-channels/<uuid:uuid>": CHANNELS_TESTED,
    "POST alert-channels/<uuid:uuid>/test": CHANNELS_TESTED,
    "PATCH checks/<str:name>": SETTINGS_TESTED,
    "PUT tenants/<str:name>/service-targets": "tests/unit/apps/checks/test_service_targets.py",
    "PATCH status": STATUS_TESTED,
    "POST status/maintenance": STATUS_TESTED,
    "DELETE status/maintenance/<uuid:uuid>": STATUS_TESTED,
    "PATCH status/incidents/<uuid:uuid>": STATUS_TESTED,
    "POST consoles/join-tokens": CONSOLES_TESTED,
    "POST consoles:join": CONSOLES_TESTED,
    "DELETE consoles/<str:machine>": CONSOLES_TESTED,
    "POST join-tokens": "tests/integration/dashboard/test_host_join.py",
    "POST workers:join": "tests/integration/dashboard/test_host_join.py",
    "POST messages/<path:id>/approve": APPROVALS_TESTED,
    "POST messages/<path:id>/refuse": APPROVALS_TESTED,
    "POST approval-rules": APPROVALS_TESTED,
    "DELETE approval-rules/<uuid:uuid>": APPROVALS_TESTED,
    "POST approval-rules/<uuid:uuid>/removal": APPROVALS_TESTED,
    "DELETE approval-rules/<uuid:uuid>/removal": APPROVALS_TESTED,
    "POST signer-approvals": "tests/unit/apps/api/test_accounts.py",
    "POST claims:extend": "tests/unit/apps/sectors/test_claim_extensions.py",
    "POST miners": "tests/integration/dashboard/test_miner_additions.py",
    "POST miners/<str:address>/transfer": "tests/unit/apps/proving/test_transfer.py",
    "POST miners/<str:address>/sectors": "tests/unit/apps/sectors/test_pledge.py",
    "POST miners/<str:address>/pieces": "tests/unit/apps/api/v1/test_pieces.py",
    "POST miners/<str:address>/pieces:fetch": "tests/unit/apps/api/v1/test_pieces.py",
    "PATCH pieces/uploads/<str:uuid>": "tests/unit/apps/api/v1/test_pieces.py",
    "DELETE pieces/uploads/<str:uuid>": "tests/unit/apps/api/v1/test_pieces.py",
    "POST pieces/<str:piece_cid>/index": "tests/unit/apps/pieces/test_indexes.py",
    "PUT pieces/uploads/<str:uuid>/purpose": "tests/unit/apps/api/v1/test_pieces.py",
    "POST deals/<str:uuid>/data:fetch": "tests/unit/apps/api/v1/test_deals.py",
    "POST deals/<str:uuid>/data": "tests/unit/apps/api/v1/test_deals.py",
    "PUT workers/<str:uuid>/deal-files/<str:deal>": "tests/unit/apps/api/v1/test_deal_files.py",
    "PATCH miners/<str:address>/market": "tests/unit/apps/api/v1/test_deals.py",
    "POST miners/<str:address>/settlements": "tests/unit/apps/market/test_settling.py",
    "PATCH clients/<str:address>": "tests/unit/apps/api/v1/test_clients.py",
    "POST clients/<str:address>/tokens": "tests/unit/apps/api/v1/test_client_tokens.py",
    "DELETE clients/<str:address>/tokens/<uuid:uuid>": "tests/unit/apps/api/v1/test_client_tokens.py",
    "PUT tenants/<str:name>/piece-quota": "tests/unit/apps/api/v1/test_piece_quotas.py",
    "DELETE pieces/<str:piece_cid>": "tests/unit/apps/api/v1/test_pieces.py",
    "DELETE sectors/<str:uuid>/unsealed": "tests/integration/sealing/test_pieces.py",
    "PATCH proving/settings": "tests/integration/dashboard/test_proving_settings.py",
    "PATCH miners/<str:address>/proving": "tests/integration/dashboard/test_proving_settings.py",
    "POST miners/<str:address>/adoptions": ADOPTIONS_TESTED,
    "DELETE miners/<str:address>/adoptions/<str:uuid>": ADOPTIONS_TESTED,
    "POST miners/<str:address>/move": MOVES_TESTED,
    "DELETE miners/<str:address>/move": MOVES_TESTED,
    "PUT miners/<str:address>/target": TARGETS_TESTED,
    "DELETE miners/<str:address>/target": TARGETS_TESTED,
    "PATCH miners/<str:address>": "tests/integration/dashboard/test_miner_batches.py",
    "PATCH miners/<str:address>/batches": "tests/integration/dashboard/test_miner_batches.py",
    "PATCH miners/<str:address>/senders": "tests/integration/dashboard/test_miner_senders.py",
    "POST miners/<str:address>/deadlines/<str:index>/compact": COMPACTION_TESTED,
    "POST sector-records:import": "tests/unit/apps/sectors/test_sector_records.py",
    "POST miners/<str:address>/batches/send": "tests/integration/dashboard/test_miner_batches.py",
    "POST miners/<str:address>/pieces/seal": "tests/integration/dashboard/test_miner_batches.py",
    "POST sector-failures/<str:fingerprint>/retry": FAILURES_TESTED,
    "PUT sectors/<str:uuid>/state": FAILURES_TESTED,
    "POST sectors/<str:uuid>/terminate": CHANGES_TESTED,
    "POST sectors/<str:uuid>/extend": CHANGES_TESTED,
    "POST sector-changes": CHANGES_TESTED,
    "DELETE sector-changes/<str:uuid>": CHANGES_TESTED,
    "POST sectors/<str:uuid>/restore": RESTORE_TESTED,
    "POST sectors/<str:uuid>/remove-files": FILES_TESTED,
    "POST sectors:remove-files": FILES_TESTED,
    "POST stores/<str:uuid>/findings:remove": LEFTOVERS_TESTED,
    "POST workers/<str:uuid>/leftovers:remove": "tests/unit/apps/sectors/test_sealing_leftovers.py",
    "POST workers/<str:uuid>/drives:reset": DRIVES_TESTED,
    "POST sectors/<str:uuid>/snap-up": RUNS_TESTED,
    "POST sectors:snap-up": "tests/integration/dashboard/test_snap_up_many.py",
    "POST sectors/<str:uuid>/snap-up/retry": RUNS_TESTED,
    "POST sectors/<str:uuid>/snap-up/abort": RUNS_TESTED,
    "POST sectors/<str:uuid>/rebuild": RUNS_TESTED,
    "POST sectors/<str:uuid>/rebuild/retry": RUNS_TESTED,
    "POST sectors/<str:uuid>/rebuild/abort": RUNS_TESTED,
    "POST miners/<str:address>/roles": ROLES_TESTED,
    "POST miners/<str:address>/roles:remove": ROLES_TESTED,
    "POST miners/<str:address>/role-groups": GROUPS_TESTED,
    "POST miners/<str:address>/role-groups:remove": GROUPS_TESTED,
    "POST miners/<str:address>/roles:fail-over": ROLES_TESTED,
    "POST miners/<str:address>/roles:combine": ROLES_TESTED,
    "POST miners/<str:address>/roles:separate": ROLES_TESTED,
    "POST miners/<str:address>/roles:test": "tests/unit/apps/sectors/test_pledge.py",
    "POST miners/<str:address>/sector-numbers:allocate": NUMBERS_TESTED,
    "POST miners/<str:address>/sector-numbers:reserve": NUMBERS_TESTED,
    "POST miners/<str:address>/sector-numbers/<str:reservation>/release": NUMBERS_TESTED,
    "POST miners/<str:address>/sector-numbers/<str:reservation>/use": NUMBERS_TESTED,
    "POST miners/<str:address>/sectors/<str:number>/test": "tests/integration/dashboard/test_proving.py",
    "POST miners/<str:address>/deadlines/<str:index>/dry-run": "tests/integration/dashboard/test_proving.py",
    "POST miners/<str:address>/deadlines/<str:index>/recover": RECOVERY_TESTED,
    "POST miners/<str:address>/addresses": "tests/integration/dashboard/test_miner_addresses.py",
    "POST miners/<str:address>/withdrawals": "tests/integration/dashboard/test_withdrawals.py",
    "POST multisigs/<str:address>/proposals": "tests/integration/sealing/test_multisig_owner.py",
    "POST multisigs/<str:address>/proposals/<str:id>/decisions": MULTISIGS_TESTED,
    "POST offline-keys": OFFLINE_TESTED,
    "DELETE offline-keys/<str:address>": OFFLINE_TESTED,
    "POST offline-keys/<str:address>/exports": OFFLINE_TESTED,
    "POST offline-signatures": OFFLINE_TESTED,
    "POST messages/<path:id>/withdraw-export": OFFLINE_TESTED,
    "DELETE chain/network": "tests/unit/apps/chain/test_networks.py",
    "DELETE remote-wallets/<uuid:uuid>": "tests/integration/dashboard/test_remote_wallets.py",
    "PATCH remote-wallets/<uuid:uuid>": "tests/integration/dashboard/test_remote_wallets.py",
    "POST remote-wallets": "tests/integration/dashboard/test_remote_wallets.py",
    "POST auto-rules": RULES_TESTED,
    "PUT auto-rules/<uuid:uuid>": RULES_TESTED,
    "PATCH auto-rules/<uuid:uuid>": RULES_TESTED,
    "DELETE auto-rules/<uuid:uuid>": RULES_TESTED,
    "POST chain/nodes": "tests/unit/apps/api/v1/test_nodes.py",
    "PATCH chain/nodes/<str:key>": "tests/unit/apps/api/v1/test_nodes.py",
    "DELETE chain/nodes/<str:key>": "tests/unit/apps/api/v1/test_nodes.py",
    "POST chain/nodes/<str:key>/promote": "tests/unit/apps/api/v1/test_nodes.py",
    "PUT wallets/<str:address>/policy": "tests/integration/gateway/test_policies.py",
    "POST recovery": "tests/unit/apps/api/v1/test_recovery.py",
    "DELETE recovery": "tests/unit/apps/api/v1/test_recovery.py",
}
"""Routes that need more than this world: the test that drives each and looks at the log."""

PAGES_ELSEWHERE: Final = {
    "tests/unit/apps/api/v1/test_clients.py": r"client$",
    "tests/unit/apps/api/v1/test_deals.py": r"deal$",
    "tests/unit/apps/api/v1/test_client_tokens.py": r"client-token-",
    "tests/integration/dashboard/test_tenants.py": r"tenant|token|person|gateway",
    CHARGES_TESTED: r"charges-terms|charges-correction|statement-act",
    "tests/integration/dashboard/test_account.py": r"account|password|login|logout|invitation",
    "tests/integration/dashboard/test_host_join.py": r"host-join",
    CONSOLES_TESTED: r"console-",
    "tests/integration/dashboard/test_remote_wallets.py": r"remote-wallet",
    "tests/integration/dashboard/test_offline_signing.py": r"offline-|message-withdraw-export",
    RULES_TESTED: r"auto-rule",
    "tests/integration/dashboard/test_miner_additions.py": r"miner",
    "tests/integration/dashboard/test_deal_addresses.py": r"miner-addresses",
    "tests/integration/dashboard/test_withdrawal_page.py": r"miner-withdraw",
    "tests/unit/apps/sectors/test_claim_extensions.py": r"claims-extend",
    MULTISIGS_TESTED: r"multisig",
    "tests/integration/dashboard/test_approvals.py": r"message-approve|approval-rule",
    "tests/integration/dashboard/test_gas.py": r"gas",
    "tests/integration/dashboard/test_gas_rules.py": r"gas",
    "tests/integration/dashboard/test_fault_injection.py": r"fault-injection",
    "tests/unit/apps/chain/test_pool.py": r"chain",
    "tests/integration/gateway/test_policies.py": r"policy",
    "tests/unit/apps/sectors/test_pledge.py": r"pledge",
    RUNS_TESTED: r"sectors?-(snap-up|rebuild|run)",
    "tests/integration/dashboard/test_proving.py": r"proving",
    "tests/unit/apps/api/v1/test_recovery.py": r"recovery",
    "tests/unit/apps/checks/test_alerts.py": r"alert",
    SETTINGS_TESTED: r"check-act",
    "tests/unit/apps/checks/test_status_page.py": r"status|maintenance|incident-note",
    FAILURES_TESTED: r"sectors-failures|sector-state-set",
    FILES_TESTED: r"sectors-remove-files",
    LEFTOVERS_TESTED: r"store-leftovers",
    "tests/unit/apps/sectors/test_sealing_leftovers.py": r"host-leftovers",
    DRIVES_TESTED: r"host-drives",
    TARGETS_TESTED: r"miner-target",
    ADOPTIONS_TESTED: r"miner-adopt",
    MOVES_TESTED: r"miner-move",
    RESTORE_TESTED: r"sector-restore",
    CHANGES_TESTED: r"sectors-change|sector-change-cancel",
}
"""Pages whose forms go to services that these tests drive and look for in the log, by their names."""
AUDITED: Final = frozenset({*ELSEWHERE.values(), *PAGES_ELSEWHERE})
"""They look at the log; their lines are held to `tests.audit_rules`, as those of the walk over all routes."""
