"""What a batch's message holds: pre-commits, or commits with a proof each or one for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from apps.core.formatting import plural
from apps.sectors.onchain import messages_try, trial_message
from apps.sectors.params import Proven, commit_params, precommit_params
from apps.sectors.services.aggregates import aggregate_make
from apps.sectors.services.sealing_context import COMMIT, PRE_COMMIT, BatchRules, SealingContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import Miner
    from apps.sectors.models import Sector
    from apps.sectors.policy import SealingPolicy
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, SectorPreCommitInfo

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """What one sector brings to a batch's message."""

    sector: Sector
    value: int
    """attoFIL for its deposit or pledge."""
    info: SectorPreCommitInfo | None = None
    proof: bytes = b""
    pieces: tuple[PieceActivationManifest, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchForm:
    """What a batch's message holds."""

    parts: list[BatchEntry]
    aggregate: bytes = b""
    """One proof for all of them; empty: a proof each."""
    gas_saved: int = 0

    @property
    def text(self) -> str:
        """Return what the timeline says of an aggregate."""
        if not self.aggregate:
            return ""
        saved = f", {self.gas_saved:,} gas less than with a proof each" if self.gas_saved else ""
        return f"one proof for {plural(len(self.parts), 'sector')}{saved}"


def commit_form(
    miner: Miner, parts: list[BatchEntry], *, sender: str, reason: str, work: SealingContext
) -> BatchForm | None:
    """Return how sectors are committed: with one proof or with one each, whichever costs less gas.

    None while a host makes the one proof.
    """
    parts = sorted(parts, key=lambda part: part.sector.number)
    made = aggregate_make(
        miner,
        [part.sector for part in parts],
        proofs=[part.proof for part in parts],
        reason=reason,
        work=work,
    )
    if made.waits:
        return None
    single = BatchForm(fitting(parts, policy=work.policy))
    if not made.proof:
        return single
    forms = (single, BatchForm(parts, aggregate=made.proof))
    messages = [
        trial_message(
            to=miner.address,
            from_=sender,
            value=sum(part.value for part in form.parts),
            method=COMMIT.method,
            params=batch_params(COMMIT, form.parts, all_or_none=True, aggregate=form.aggregate),
        )
        for form in forms
    ]
    plain, whole = messages_try(work.client, messages, work.head.key)
    if not whole.is_good:
        log.warning("aggregate_not_taken", miner=str(miner), reason=whole.error)
        return single
    each = -(-plain.gas_used // len(single.parts)) if plain.is_good else 0
    saved = each * len(parts) - whole.gas_used if each else 0
    if saved < 0:
        return single
    return replace(forms[1], gas_saved=saved)


def batch_params(
    kind: BatchRules, parts: Sequence[BatchEntry], *, all_or_none: bool, aggregate: bytes = b""
) -> bytes:
    if kind is PRE_COMMIT:
        return precommit_params([part.info for part in parts if part.info is not None])
    proven = [Proven(number=part.sector.number, proof=part.proof, pieces=part.pieces) for part in parts]
    return commit_params(proven, all_or_none=all_or_none, aggregate=aggregate)


def fitting(parts: list[BatchEntry], *, policy: SealingPolicy) -> list[BatchEntry]:
    """Return as many as one message holds with a proof each; the others go with the next."""
    kept: list[BatchEntry] = []
    total = 0
    for part in parts:
        total += len(part.proof)
        if kept and total > policy.commit_batch_bytes:
            break
        kept.append(part)
    return kept
