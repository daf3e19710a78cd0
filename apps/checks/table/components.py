"""Which failing checks are an outage of the pool, of which component, and what they mean to tenants.

What a tenant can cause alone, such as a host that is off, is in no row: it is no outage of the pool.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from apps.blocks.states import RoundState
from apps.chain.selectors.status import unreadable_text
from apps.checks.selectors.data import CheckData
from apps.checks.states import Component, Condition
from apps.core.disk import DiskLevel, disk_space

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

DEGRADED, DOWN = Condition.DEGRADED, Condition.DOWN
CHAIN, MESSAGES, PROVING = Component.CHAIN, Component.MESSAGES, Component.PROVING
BLOCKS, SEALING, CONSOLE = Component.BLOCKS, Component.SEALING, Component.CONSOLE


@dataclass(frozen=True, slots=True)
class Effect:
    """What a failing check means for a component."""

    name: str
    """Stable: incidents keep it."""
    check: str
    component: Component
    condition: Condition
    text: StrOrPromise
    """What it means to tenants, true while it lasts and afterwards; it names nobody."""
    applies: Callable[[CheckData], bool] | None = None
    """Whether what the check found is such a case; None: it always is."""


def process_is_ill(*names: str) -> Callable[[CheckData], bool]:
    """Return what tells whether one of these processes does not run."""
    return lambda data: any(one.name in names and one.state != "running" for one in data.processes)


def web_is_ill(data: CheckData) -> bool:
    """Return whether a web process does not run."""
    return any(one.name.startswith("web") and one.state != "running" for one in data.processes)


def web_is_down(data: CheckData) -> bool:
    """Return whether no web process runs."""
    states = [one.state for one in data.processes if one.name.startswith("web")]
    return bool(states) and "running" not in states


def nodes_are_unreadable(data: CheckData) -> bool:
    """Return whether the nodes that are of another network leave none to read."""
    return bool(unreadable_text(data.nodes))


def rounds_run_for_nobody(data: CheckData) -> bool:
    """Return whether no miner with power has its rounds drawn."""
    return len(data.miners_without_rounds) == sum(miner.qa_power > 0 for miner in data.miners)


POOLS_ROUND_LOSSES: Final = (RoundState.NODE_AWAY, RoundState.INTERRUPTED)
"""Outcomes of a round that only the pool causes; of others a tenant's signer or prover may be the cause."""


def rounds_fail_at_the_pool(data: CheckData) -> bool:
    """Return whether a round could not be drawn lately for want of a node, or as its process ended."""
    return any(one.last.state in POOLS_ROUND_LOSSES for one in data.rounds_not_run)


def disk_is_full(_data: CheckData) -> bool:
    """Return whether the console's disk has so little room that new work is refused."""
    return disk_space().level is DiskLevel.FULL


UNREADABLE: Final = _("No chain node could be read.")
STALLED: Final = _("No new chain heads, or only old ones, reached the pool.")
WAITING: Final = _("The chain could not be read: messages waited.")
UNPROVEN: Final = _("The chain could not be read: no proofs were scheduled or sent.")
UNMINED: Final = _("The chain could not be read: no blocks were made.")
UNSEALED: Final = _("The chain could not be read: sectors waited before their next step on chain.")


def chain_effects(check: str, own: StrOrPromise, **more: Callable[[CheckData], bool]) -> tuple[Effect, ...]:
    """Return what it means for all that lives on the chain if it cannot be read or followed."""
    return (
        Effect(check, check, CHAIN, DOWN, own, **more),
        Effect(f"{check}-messages", check, MESSAGES, DOWN, WAITING, **more),
        Effect(f"{check}-proving", check, PROVING, DOWN, UNPROVEN, **more),
        Effect(f"{check}-blocks", check, BLOCKS, DOWN, UNMINED, **more),
        Effect(f"{check}-sealing", check, SEALING, DEGRADED, UNSEALED, **more),
    )


EFFECTS: Final[tuple[Effect, ...]] = (
    *chain_effects("nodes_unreadable", UNREADABLE),
    *chain_effects("nodes_foreign", UNREADABLE, applies=nodes_are_unreadable),
    *chain_effects("chain_stalled", STALLED),
    Effect("head_late", "head_late", CHAIN, DEGRADED, _("New chain heads reached the pool late.")),
    Effect("nodes_forked", "nodes_forked", CHAIN, DEGRADED, _("Chain nodes followed different branches.")),
    Effect(
        "recovery",
        "recovery",
        MESSAGES,
        DOWN,
        _("No messages were signed while the chain was read back after a restored backup."),
    ),
    Effect(
        "recovery-proving",
        "recovery",
        PROVING,
        DOWN,
        _("No proofs were sent while the chain was read back after a restored backup."),
    ),
    Effect(
        "follower-messages",
        "processes_down",
        MESSAGES,
        DOWN,
        _("New chain heads were not processed: messages waited."),
        process_is_ill("follower", "tasks"),
    ),
    Effect(
        "follower-proving",
        "processes_down",
        PROVING,
        DOWN,
        _("New chain heads were not processed: no proofs were scheduled or sent."),
        process_is_ill("follower", "tasks", "tasks-slow"),
    ),
    Effect(
        "miners_unread",
        "miners_unread",
        PROVING,
        DEGRADED,
        _("Miners were not read from the chain on time: deadlines and forecasts were out of date."),
    ),
    Effect(
        "moves_restored",
        "moves_restored",
        PROVING,
        DEGRADED,
        _("Miners that had moved in or out were not proven until the operator confirmed who proves them."),
    ),
    Effect(
        "blocks-process",
        "processes_down",
        BLOCKS,
        DOWN,
        _("The process that makes blocks did not run."),
        process_is_ill("blocks"),
    ),
    Effect(
        "rounds_unbegun-all",
        "rounds_unbegun",
        BLOCKS,
        DOWN,
        _("No elections were run, so no block could be won."),
        rounds_run_for_nobody,
    ),
    Effect(
        "rounds_unbegun", "rounds_unbegun", BLOCKS, DEGRADED, _("Elections were not run for some miners.")
    ),
    Effect(
        "rounds_undrawn",
        "rounds_undrawn",
        BLOCKS,
        DEGRADED,
        _("Some elections could not be run."),
        rounds_fail_at_the_pool,
    ),
    Effect(
        "pool_clock_skew",
        "pool_clock_skew",
        BLOCKS,
        DEGRADED,
        _("The pool's clock was inaccurate: blocks may have been sent too early or too late."),
    ),
    Effect(
        "console_disk",
        "console_disk",
        SEALING,
        DOWN,
        _("The pool had no room for new work: no new sectors were pledged or claimed."),
        disk_is_full,
    ),
    Effect(
        "database_slow",
        "database_slow",
        CONSOLE,
        DEGRADED,
        _("Pages, programs and hosts waited for the pool's database."),
    ),
    Effect(
        "sector_recovery",
        "sector_recovery",
        SEALING,
        DEGRADED,
        _("Some sectors or pledges were on hold after a restored backup."),
    ),
    Effect(
        "web-sealing",
        "processes_down",
        SEALING,
        DOWN,
        _("Sealing hosts could neither fetch nor report work."),
        web_is_down,
    ),
    Effect(
        "web-down",
        "processes_down",
        CONSOLE,
        DOWN,
        _("Pages, API and gateway did not answer."),
        web_is_down,
    ),
    Effect(
        "web-degraded",
        "processes_down",
        CONSOLE,
        DEGRADED,
        _("Pages, API and gateway ran with fewer processes."),
        web_is_ill,
    ),
)
"""Of one component and condition the first that applies is what an incident says."""

STOPPED: Final = Effect(
    "stopped",
    "",
    CONSOLE,
    DOWN,
    _("The pool was stopped, or its checks were not run. How the other components were is unknown."),
)
"""Nothing evaluated the checks: no check finds this, the time between two evaluations does."""

EFFECTS_BY_NAME: Final = {one.name: one for one in (*EFFECTS, STOPPED)}

NO_OUTAGES: Final = frozenset(
    {
        # of others: the network, or a node beside which another one serves
        "f3_stalled",
        "nodes_unhealthy",
        "upgrade_unready",
        # a tenant's hosts, stores, signers, balances and decisions can be the only cause
        "allocations_ending",
        "auto_terminations",
        "balances_short",
        "base_fee_above_cap",
        "blocks_foreign",
        "blocks_unstarted",
        "changes_failed",
        "claims_ending",
        "copies_bad",
        "cutoffs_missed",
        "deals_late",
        "deposits_expiring",
        "disputes_lost",
        "doors_down",
        "f3_unleased",
        "factors_guessed",
        "fee_debt",
        "files_of_ended",
        "grants_unchosen",
        "host_folders_away",
        "indexes_wrong",
        "hosts_away",
        "hosts_disk",
        "hosts_paused",
        "hosts_slow",
        "messages_failed",
        "messages_replaced",
        "rules_hindered",
        "messages_stuck",
        "messages_unapproved",
        "miners_created",
        "moves_failed",
        "nonce_gaps",
        "pieces_failed",
        "pieces_stopped",
        "policies_advised",
        "recoveries_capped",
        "requests_failed",
        "roles_unheld",
        "runs_stopped",
        "sealing_stores_away",
        "sector_files",
        "sectors_expiring",
        "sectors_faulty",
        "sectors_paused",
        "sectors_unclaimed",
        "sectors_unlisted",
        "seed_ready",
        "senders_foreign",
        "senders_left",
        "senders_paused",
        "signers_away",
        "slots_missing",
        "stores_away",
        "stores_filling",
        "stores_unproven",
        "stores_unwritable",
        "targets_paused",
        "tickets_expiring",
        "unseals_failed",
        "windows_at_risk",
        "windows_missed",
        "winning_proofs_failed",
        "wins_lost",
        "wins_rare",
        "worker_change_pending",
        "checks_late",
        # the operator's own
        "backups_old",
        "consoles_unshared",
        "notifications_undelivered",
    }
)
"""Checks that say nothing of a component."""
