"""Which check's finding explains those of which others: with these it is one incident."""

from __future__ import annotations

from typing import Final

CAUSES: Final[dict[str, tuple[str, ...]]] = {
    "console_disk": (
        *("database_slow", "processes_down", "chain_stalled", "head_late", "miners_unread"),
        *("rounds_unbegun", "notifications_undelivered"),
    ),
    "database_slow": (
        *("processes_down", "chain_stalled", "head_late", "miners_unread", "rounds_unbegun"),
        *("checks_late", "notifications_undelivered", "rounds_undrawn", "wins_lost", "windows_missed"),
    ),
    "processes_down": (
        *("chain_stalled", "head_late", "miners_unread", "rounds_unbegun"),
        *("notifications_undelivered", "signers_away"),
    ),
    "nodes_unreadable": (
        *("chain_stalled", "head_late", "miners_unread", "rounds_unbegun", "rounds_undrawn"),
        *("wins_lost", "windows_at_risk", "windows_missed"),
    ),
    "chain_stalled": ("head_late", "miners_unread", "rounds_unbegun", "windows_at_risk", "windows_missed"),
    "signers_away": (
        *("requests_failed", "rounds_undrawn", "wins_lost"),
        *("windows_at_risk", "windows_missed"),
    ),
    "requests_failed": (
        *("rounds_undrawn", "wins_lost"),
        *("windows_at_risk", "windows_missed"),
    ),
    "hosts_away": (
        *("roles_unheld", "stores_away", "windows_at_risk", "windows_missed", "winning_proofs_failed"),
        *("rounds_undrawn", "wins_lost", "sectors_unclaimed"),
    ),
    "hosts_paused": ("sectors_unclaimed",),
    "hosts_disk": ("sectors_unclaimed",),
    "host_folders_away": ("sectors_unclaimed", "sealing_stores_away"),
    "stores_away": ("windows_at_risk", "windows_missed", "sector_files"),
    "roles_unheld": (
        *("windows_at_risk", "windows_missed"),
        *("winning_proofs_failed", "rounds_undrawn", "wins_lost"),
    ),
    "winning_proofs_failed": ("rounds_undrawn", "wins_lost"),
    "windows_missed": ("sectors_faulty",),
    "sectors_faulty": ("recoveries_capped", "cutoffs_missed"),
    "senders_paused": ("messages_stuck", "windows_at_risk", "windows_missed"),
    "nonce_gaps": ("messages_stuck", "windows_at_risk", "windows_missed"),
    "base_fee_above_cap": ("messages_stuck", "windows_missed"),
    "balances_short": ("messages_stuck", "windows_at_risk", "windows_missed"),
}
"""By the check of the cause; what a finding breaks and what the other needs must be the same as well.

Of two causes that fit the one that stands first explains it.  No check explains itself by others.
"""
