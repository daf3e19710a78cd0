"""What one pass over the batches works with, and the two kinds of batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, gettext_noop

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.messages.selectors.tracking import tracked_height
from apps.messages.states import MessageState
from apps.miners.states import Use
from apps.sectors.onchain.sectors import NO_RECEIPT
from apps.sectors.rules.policy import SealingPolicy, sealing_policy
from apps.sectors.services.sealing.steps import sector_console_fail
from apps.sectors.states import BatchKind
from poolsite.filecoin.actors import miner as miner_params
from poolsite.filecoin.actors.exitcodes import ExitCode
from poolsite.wire.job_reports import Level
from poolsite.wire.pipeline import SectorEvent, SectorState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.chain.models import Head
    from apps.chain.node.client import ChainClient
    from apps.messages.models import Message
    from apps.sectors.models import Sector
    from apps.sectors.onchain.sectors import TrialRun
    from poolsite.filecoin.policy import Network


@dataclass(frozen=True, slots=True)
class SealingContext:
    """What one pass over the batches works with."""

    client: ChainClient
    network: Network
    head: Head
    now: datetime
    policy: SealingPolicy
    available: int = 0
    """attoFIL of the balance of the miner whose batch is made; 0 where it pays nothing."""
    free: int = 0
    """Of these, what no other batch counts on."""

    def sent(self, needed: int) -> int:
        """Return what a message carries that needs so much for deposits and pledge."""
        return max(needed - self.free, 0)


@dataclass(frozen=True, slots=True)
class BatchRules:
    """One kind of batch: its states, message and rules."""

    kind: BatchKind
    use: Use
    waits_in: SectorState
    sent_in: SectorState
    send: SectorEvent
    fail: SectorEvent
    method: int
    column: str
    """The sector's reference to its batch."""


PRE_COMMIT: Final = BatchRules(
    kind=BatchKind.PRE_COMMIT,
    use=Use.PRE_COMMIT,
    waits_in=SectorState.PERSISTED,
    sent_in=SectorState.PRECOMMIT_SENT,
    send=SectorEvent.SEND_PRECOMMIT,
    fail=SectorEvent.FAIL_PRECOMMIT,
    method=miner_params.Method.PRE_COMMIT_SECTOR_BATCH2,
    column="precommit_batch",
)
COMMIT: Final = BatchRules(
    kind=BatchKind.COMMIT,
    use=Use.COMMIT,
    waits_in=SectorState.C2_DONE,
    sent_in=SectorState.COMMIT_SENT,
    send=SectorEvent.SEND_COMMIT,
    fail=SectorEvent.FAIL_COMMIT,
    method=miner_params.Method.PROVE_COMMIT_SECTORS3,
    column="commit_batch",
)
COMMIT_NI: Final = replace(COMMIT, method=miner_params.Method.PROVE_COMMIT_SECTORS_NI)
"""Commits of sectors that had no pre-commit."""
KINDS: Final = {BatchKind.PRE_COMMIT: PRE_COMMIT, BatchKind.COMMIT: COMMIT}


RETRYABLE_EXITS: Final = frozenset(
    {
        NO_RECEIPT,
        ExitCode.SYS_ERR_SENDER_STATE_INVALID,
        ExitCode.SYS_ERR_INSUFFICIENT_FUNDS,
        ExitCode.SYS_ERR_OUT_OF_GAS,
        ExitCode.ERR_INSUFFICIENT_FUNDS,
    }
)
"""No answer, sender's state, out of funds, out of gas: the sector itself is not to blame.

The last three are those of landed messages after which a damocles-manager sends again.  Source:
ipfs-force-community/damocles damocles-manager/modules/impl/commitmgr/commitmgr.go handleMessage.  A wrong
nonce or too little money for gas (the second) concerns the sender, not the batch.
"""


def sealing_context_make(
    *, client: ChainClient, network: Network, head: Head, now: datetime
) -> SealingContext:
    """Return what a pass works with, under the policy in force."""
    return SealingContext(client=client, network=network, head=head, now=now, policy=sealing_policy())


def landing_is_deep(message: Message, *, work: SealingContext) -> bool:
    """Return whether a message landed long enough ago, by the head up to which landings are known.

    A newer head may be of another branch, of which it is not known yet that it lacks the message.
    """
    tracked = tracked_height()
    height = work.head.height if tracked < 0 else min(work.head.height, tracked)
    confidence = work.network.confidences.message
    return message.state == MessageState.LANDED and message.height + 1 + confidence <= height


def sealing_context_read(*, is_preview: bool = False) -> SealingContext:
    """Return what a person's act works with: the newest head.  Raises NetworkUnknown, NodeUnavailable.

    What only shows what the act would do (`is_preview`) does not wait for a node that hangs.
    """
    head = head_current()
    if head is None:
        raise NodeUnavailable(gettext("no chain head has been read yet"))
    client = page_client() if is_preview else chain_client()
    return sealing_context_make(client=client, network=network_current(), head=head, now=clock.now())


def sectors_requeue(sectors: Sequence[Sector], *, error: str, work: SealingContext) -> None:
    """Requeue sectors for another batch, each after a pause that grows with its failures."""
    for sector in sectors:
        pause_s = work.policy.retries(sector.step).pause_after(sector.attempts + 1)
        not_before = work.now + timedelta(seconds=pause_s)
        sector_console_fail(sector, error=error, level=Level.TEMPORARY, now=work.now, not_before=not_before)


def sector_refuse(sector: Sector, *, trial: TrialRun, kind: BatchRules, work: SealingContext) -> None:
    """Exclude a sector that the chain would refuse from the batch, until later or until somebody decides."""
    error = gettext_noop("the chain would refuse the {message}: {error}").format(
        message=kind.kind.label.lower(), error=trial.error
    )
    if trial.exit_code in RETRYABLE_EXITS:
        sectors_requeue([sector], error=error, work=work)
    elif sector.attempts < work.policy.retries(sector.step).attempts_max - 1:
        # A state that is one epoch old may be to blame: "too early", a reorganisation.
        sectors_requeue([sector], error=error, work=work)
    else:
        sector_console_fail(sector, error=error, level=Level.PERMANENT, now=work.now)
