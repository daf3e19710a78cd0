"""The kinds of batches, with their states and messages; and exit codes for which no sector is to blame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from apps.miners.states import Use
from apps.sectors.onchain.sectors import NO_RECEIPT
from apps.sectors.states import BatchKind
from poolsite.filecoin.actors import miner as miner_params
from poolsite.filecoin.actors.exitcodes import ExitCode
from poolsite.wire.pipeline import SectorEvent, SectorState


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
