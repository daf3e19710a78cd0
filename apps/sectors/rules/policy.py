"""The numbers by which sealing is run: leases, back-offs, batch waits.

The variable SEALING changes them for the pool; `BatchSettings` those of a miner's sectors for that miner.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.core.clock import DAY_S
from apps.core.marked_texts import gettext
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.wire.pipeline import Retries, StageSpec


@dataclass(frozen=True, slots=True)
class SealingPolicy:
    """Defaults are those of the embedded pool."""

    lease_s: int = 90
    """Seconds for which a host has a sealing job unless it renews it, with each heartbeat."""
    heartbeat_s: int = 10
    """Seconds between a host's heartbeats; one with a shorter lease sends them after a third of that."""
    poll_ms: int = 1_000
    """Pause of a host between claims while there is nothing to do."""
    work_wait_s: int = 25
    """Longest time for which a host's request for work is held; proxies in front must wait longer."""
    worker_away_s: int = 60
    """Seconds without a heartbeat after which a host is shown as offline."""
    attempts_max: int | None = None
    """Temporary failures of any stage before it is paused; unset: as the stage has it, mostly 5."""
    pause_s: int | None = None
    """First pause after a temporary failure; doubles with each.  Unset: as the stage has it, mostly 10 s."""
    pause_max_s: int | None = None
    """Longest pause; unset: as the stage has it, mostly 10 minutes."""
    pledge_max: int = 1_000
    """Most sectors in one request."""
    proof_max_bytes: int = 1 << 20
    """Longest final proof; the console never looks inside."""

    pack_wait_s: int = 60
    """How long the oldest piece of a sector waits for others to fill it."""
    pack_start_slack_epochs: int = 2 * EPOCHS_PER_DAY_MAINNET
    """A sector is begun when this many epochs are left before a piece in it must be active."""

    update_batch_max: int = 16
    """Most snap-ups that share a message."""
    update_wait_epochs: int = 0
    """How long the first snap-up of a batch waits for others."""
    snap_up_first: bool = False
    """Whether pieces go into committed sectors of zeros, and into new ones only where there is none."""

    precommit_wait_epochs: int = 1
    """How long the first sector of a batch waits for others before their pre-commit."""
    precommit_backlog_epochs: int = 20
    """How long it waits while more sectors of its miner are on their way through PC1, PC2 and PERSIST."""
    precommit_batch_max: int = 256
    """Most sectors whose pre-commits share a message."""
    precommit_slack_epochs: int = 60
    """A batch is sent when this many epochs are left of the oldest ticket's life."""
    commit_wait_epochs: int = 1
    """How long the first sector of a batch waits for others before their commit."""
    commit_backlog_epochs: int = 20
    """How long it waits while more sectors of its miner have their seed, or get it in this time."""
    commit_batch_max: int = 16
    """Most sectors whose commits share a message; without aggregation it holds each proof."""
    aggregate_commits: bool = True
    """Whether a host aggregates four Groth16 PoReps and more into one proof; the cheaper message is sent."""
    aggregate_wait_s: int = 900
    """How long an aggregate is waited for before its sectors go with single proofs."""
    commit_batch_bytes: int = 60_000
    """Most bytes of proofs in one message of commits or updates; a single larger proof is still sent."""
    terminate_wait_epochs: int = 1
    """How long the first termination of a batch waits for others."""
    terminate_batch_max: int = 100
    """Most terminations that share a message."""
    extend_wait_epochs: int = 1
    """How long the first extension of a batch waits for others."""
    extend_batch_max: int = 500
    """Most extensions that share a message."""
    precommit_base_fee_max: int = 0
    """Pre-commits wait while the base fee (attoFIL) is above this, until they are due; 0: never."""
    commit_base_fee_max: int = 0
    """Commits wait while the base fee is above this, until they are due; 0: never."""
    terminate_base_fee_max: int = 0
    """Terminations wait while the base fee is above this, until they are due; 0: never."""
    extend_base_fee_max: int = 0
    """The same for extensions, unless one of the sectors ends within a proving period."""
    update_base_fee_max: int = 0
    """The same for snap-ups, unless a piece must be active soon."""
    send_funds: bool = True
    """Whether messages carry what the miner's available balance lacks for deposit and pledge."""
    funds_margin_percent: int = 10
    """Sent on top of the pledge, which grows until the message lands; the miner keeps the rest."""
    sector_life_epochs: int = 540 * EPOCHS_PER_DAY_MAINNET
    """Length of a new sector's life, clipped to what the network allows."""

    def retries(self, spec: StageSpec | None) -> Retries:
        """Return how a stage is tried again; None: a job that is no stage of a pipeline."""
        row = Retries() if spec is None else spec.retries
        own = {name: value for name in RETRIES if (value := getattr(self, name)) is not None}
        return dataclasses.replace(row, **own)

    def value(self, name: str) -> Any:
        """Return one of `BATCH_FIELDS`; of `RETRIES` where it is None, what stages have by default."""
        return getattr(self.retries(None) if name in RETRIES else self, name)

    def is_held(self, kind: str, base_fee: int) -> bool:
        """Return whether batches of a kind, as in `BASE_FEES`, wait until the base fee is lower."""
        most: int = getattr(self, BASE_FEES[kind])
        return 0 < most < base_fee


RETRIES: Final = tuple(one.name for one in dataclasses.fields(Retries))
"""Fields of a stage's retries that a policy may set for all stages."""
DAY: Final = EPOCHS_PER_DAY_MAINNET
"""Epochs of mainnet."""
LIMITS: Final[dict[str, tuple[int, int]]] = {
    "precommit_batch_max": (1, 256),
    "precommit_wait_epochs": (0, DAY),
    "precommit_backlog_epochs": (0, DAY),
    "precommit_slack_epochs": (20, DAY),
    "commit_batch_max": (1, 819),
    "commit_wait_epochs": (0, DAY),
    "commit_backlog_epochs": (0, DAY),
    "commit_batch_bytes": (1, 60_000),
    "aggregate_wait_s": (0, DAY_S),
    "terminate_batch_max": (1, 3_000),
    "terminate_wait_epochs": (0, DAY),
    "extend_batch_max": (1, 3_000),
    "extend_wait_epochs": (0, DAY),
    "update_batch_max": (1, 256),
    "update_wait_epochs": (0, DAY),
    "pack_wait_s": (0, 30 * DAY_S),
    "pack_start_slack_epochs": (0, 90 * DAY),
    "sector_life_epochs": (0, 5 * 365 * DAY),
    "funds_margin_percent": (0, 100),
    "attempts_max": (1, 100),
    "pause_s": (0, 3_600),
    "pause_max_s": (0, DAY_S),
}
"""Counts that a miner may have otherwise than the pool (`BatchSettings`), with the least and the largest."""
BASE_FEES: Final = {
    kind: f"{kind}_base_fee_max" for kind in ("precommit", "commit", "terminate", "extend", "update")
}
"""By the kind of a batch, its ceiling: attoFIL per unit of gas."""
BASE_FEE_OF_ALL: Final = "base_fee_max"
"""In the variable SEALING: the ceiling of all kinds that have none of their own there."""
FLAGS: Final = ("aggregate_commits", "snap_up_first", "send_funds")
BATCH_FIELDS: Final = (*LIMITS, *BASE_FEES.values(), *FLAGS)
"""All that a miner may have otherwise."""


def range_problem(name: str, value: int) -> str:
    """Return why a count or ceiling of `BATCH_FIELDS` is refused; empty if it is not."""
    least, most = LIMITS.get(name, (0, FIL))
    if least <= value <= most:
        return ""
    return gettext("must be from {least} to {most}").format(least=least, most=most)


def sealing_policy() -> SealingPolicy:
    """Return the policy in force."""
    values = dict(settings.SEALING)
    if (ceiling := values.pop(BASE_FEE_OF_ALL, None)) is not None:
        values = dict.fromkeys(BASE_FEES.values(), ceiling) | values
    return dataclasses.replace(SealingPolicy(), **values)


def policy_check() -> None:
    """Refuse a variable SEALING that names what is not there, or a value that cannot be.

    Raises ImproperlyConfigured.
    """
    known: dict[str, Any] = dataclasses.asdict(SealingPolicy()) | {BASE_FEE_OF_ALL: 0}
    ceilings = (*BASE_FEES.values(), BASE_FEE_OF_ALL)
    for name, value in settings.SEALING.items():
        if name not in known:
            raise ImproperlyConfigured(f"SEALING: unknown name {name}; known are {', '.join(known)}")
        least, most = LIMITS.get(name, (0, 2**63 - 1) if name in ceilings else (1, 2**31 - 1))
        is_flag = isinstance(known[name], bool)
        is_alike = isinstance(value, bool) if is_flag else type(value) is int
        is_unset = value is None and known[name] is None
        if not is_unset and (not is_alike or not (is_flag or least <= value <= most)):
            raise ImproperlyConfigured(
                f"SEALING: {name} must be "
                + ("true or false" if is_flag else f"a number from {least} to {most}")
            )
