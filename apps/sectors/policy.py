"""The numbers by which sealing is run: leases, back-offs, batch waits.  `settings.SEALING` changes them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from django.conf import settings


@dataclass(frozen=True, slots=True)
class SealingPolicy:
    """Defaults are those of the embedded pool."""

    lease_s: int = 90
    """A sealing job's lease; three missed renewals and it is over."""
    heartbeat_s: int = 10
    poll_ms: int = 1_000
    """Pause of a host between claims while there is nothing to do."""
    worker_away_s: int = 60
    """A worker that was not heard of for so long is shown as away."""
    attempts_max: int = 5
    """Temporary failures of one stage before it is paused."""
    pause_s: int = 10
    """First pause after a temporary failure; doubles with each."""
    pause_max_s: int = 600
    pledge_max: int = 1_000
    """Most sectors in one request."""
    proof_max_bytes: int = 1 << 20
    """Longest final proof; the console never looks inside."""

    pack_wait_s: int = 60
    """How long the oldest piece of a sector waits for others to fill it."""
    pack_start_slack_epochs: int = 2 * 2880
    """A sector is begun when this many epochs are left before a piece in it must be active."""

    update_batch_max: int = 16
    """Snap-ups that share a message."""
    update_wait_epochs: int = 0
    """How long the first of them waits for others."""
    snap_up_first: bool = False
    """Whether pieces go into committed sectors of zeros, and into new ones only where there is none."""

    precommit_wait_epochs: int = 1
    """How long the first sector of a batch waits for others."""
    precommit_backlog_epochs: int = 20
    """How long it waits while more sectors of its miner are on their way through PC1, PC2 and PERSIST."""
    precommit_batch_max: int = 256
    precommit_slack_epochs: int = 60
    """A batch goes when this many epochs are left of the oldest ticket's life."""
    commit_wait_epochs: int = 1
    commit_backlog_epochs: int = 20
    """How long it waits while more sectors of its miner have their seed, or get it in this time."""
    commit_batch_max: int = 16
    """Without aggregation each proof stands in the message."""
    aggregate_commits: bool = True
    """Whether a host is asked for one proof of four Groth16 PoReps and more; the cheaper message goes."""
    aggregate_wait_s: int = 900
    """How long an aggregate is waited for before its sectors go with single proofs."""
    commit_batch_bytes: int = 60_000
    """Most bytes of proofs in one message, of commits and of updates; a single larger one still goes."""
    terminate_wait_epochs: int = 1
    """How long the first termination of a batch waits for others."""
    terminate_batch_max: int = 100
    extend_wait_epochs: int = 1
    extend_batch_max: int = 500
    base_fee_max: int = 0
    """Batches wait while the base fee (attoFIL) is above this, until they are due; 0: never."""
    send_funds: bool = True
    """Whether the messages carry deposit and pledge; otherwise the miner's own balance pays."""
    funds_margin_percent: int = 10
    """Sent on top of the pledge, since it grows until the message lands; what is over stays the miner's."""
    sector_life_epochs: int = 540 * 2880
    """Wished length of a sector's life, clipped to what the network allows."""


BATCH_FIELDS: Final = (
    "precommit_batch_max",
    "precommit_wait_epochs",
    "precommit_backlog_epochs",
    "commit_batch_max",
    "commit_wait_epochs",
    "commit_backlog_epochs",
    "terminate_batch_max",
    "terminate_wait_epochs",
    "extend_batch_max",
    "extend_wait_epochs",
    "update_batch_max",
    "update_wait_epochs",
    "base_fee_max",
    "aggregate_commits",
)
"""What a miner may have otherwise than the pool (`BatchSettings`)."""


def sealing_policy() -> SealingPolicy:
    """Return the policy in force."""
    return dataclasses.replace(SealingPolicy(), **getattr(settings, "SEALING", {}))


def pause_after(attempts: int, policy: SealingPolicy) -> int:
    """Return the seconds to wait after the given number of failures: doubling, up to a limit."""
    return int(min(policy.pause_s * 2 ** max(attempts - 1, 0), policy.pause_max_s))
