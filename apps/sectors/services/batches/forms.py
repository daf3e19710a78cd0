"""What a batch's message holds: pre-commits, or commits with a proof each or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from apps.core.reasons import as_reason, counted
from apps.miners.models import Miner
from apps.miners.selectors.senders import sender_choose
from apps.pieces.models import Piece
from apps.sectors.models import Sector
from apps.sectors.onchain.sectors import (
    NO_RECEIPT,
    TrialRun,
    deposits_read,
    messages_try,
    pledge_read,
    trial_message,
)
from apps.sectors.reasons import ONE_PROOF, ONE_PROOF_SAVES, WOULD_REFUSE
from apps.sectors.rules.batches import COMMIT, COMMIT_NI, PRE_COMMIT, RETRYABLE_EXITS, BatchRules
from apps.sectors.rules.lifetimes import expiration_choose
from apps.sectors.rules.params import (
    Proven,
    commit_params,
    entries_count_fit,
    noninteractive_params,
    precommit_info,
    precommit_json,
    precommit_params,
)
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.aggregates import aggregate_make
from apps.sectors.services.sealing.steps import sector_console_fail, sectors_requeue
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, SectorPreCommitInfo
from poolsite.filecoin.groth16.aggregate import aggregate_bytes, aggregate_size
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.proof_container import aggregate_container
from poolsite.wire.job_reports import Level

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
    deadline: int = -1
    """Of sectors without pre-commit: the one that they are to be proven in."""
    expiration: int = 0
    """Of such sectors."""

    @property
    def text(self) -> str:
        """Return what the timeline says of an aggregate."""
        if not self.aggregate:
            return ""
        sectors = counted(len(self.parts), "sector")
        if not self.gas_saved:
            return ONE_PROOF(sectors=sectors)
        return ONE_PROOF_SAVES(sectors=sectors, gas=f"{self.gas_saved:,}")


def commit_form_choose(
    miner: Miner, *, parts: list[BatchEntry], sender: str, reason: str, work: SealingContext
) -> BatchForm | None:
    """Return how sectors are committed: with one proof or with one each, whichever costs less gas.

    None while a host makes the one proof.  `parts` are in the order in which they may not wait.
    """
    single = commit_form_fit(BatchForm(batch_entries_fit(parts, policy=work.policy)))
    # cut before it is asked for, and by number: of other sectors the proof would be another one
    parts = sorted(parts, key=lambda part: part.sector.number)
    whole = commit_form_fit(BatchForm(parts, aggregate=bytes(_aggregate_bytes_compute(parts))))
    made = aggregate_make(
        miner,
        sectors=[part.sector for part in whole.parts],
        proofs=[part.proof for part in whole.parts],
        reason=reason,
        work=work,
    )
    if made.waits:
        return None
    if not made.proof:
        return single
    forms = (single, replace(whole, aggregate=made.proof))
    messages = [
        trial_message(
            to=miner.address,
            from_=sender,
            value=work.sent(sum(part.value for part in form.parts)),
            method=COMMIT.method,
            params=batch_params_encode(COMMIT, form=form, all_or_none=True),
        )
        for form in forms
    ]
    plain, aggregated = messages_try(work.client, messages, work.head.key)
    if not aggregated.is_good:
        log.warning("aggregate_not_taken", miner=str(miner), reason=aggregated.error)
        return single
    each = -(-plain.gas_used // len(single.parts)) if plain.is_good else 0
    saved = each * len(whole.parts) - aggregated.gas_used if each else 0
    if saved < 0:
        return single
    return replace(forms[1], gas_saved=saved)


def commit_form_fit(form: BatchForm) -> BatchForm:
    """Return a form with as many of its sectors, in order, as one message holds with all their pieces."""

    def encode(most: int) -> bytes:
        part = replace(form, parts=form.parts[:most])
        return batch_params_encode(COMMIT, form=part, all_or_none=True)

    return replace(form, parts=form.parts[: entries_count_fit(len(form.parts), encode=encode)])


def _aggregate_bytes_compute(parts: list[BatchEntry]) -> int:
    """Return how many bytes an aggregate of these sectors' proofs has."""
    proofs = aggregate_size(len(parts) * seal_parameters(parts[0].sector.seal_proof).partitions)
    return aggregate_bytes(proofs.bit_length() - 1)


def batch_sender_choose(
    miner: Miner, *, kind: BatchRules, parts: Sequence[BatchEntry], work: SealingContext
) -> str:
    """Return the address that sends the message of these sectors: one that has what it carries, if any."""
    return sender_choose(miner, kind.use, needed=work.sent(sum(part.value for part in parts))).address


def batch_form_try(
    miner: Miner, *, form: BatchForm, kind: BatchRules, sender: str, work: SealingContext
) -> TrialRun:
    """Return what the chain would answer now to a form's message, which all its sectors must pass."""
    message = trial_message(
        to=miner.address,
        from_=sender,
        value=work.sent(sum(part.value for part in form.parts)),
        method=kind.method,
        params=batch_params_encode(kind, form=form, all_or_none=True),
    )
    (trial,) = messages_try(work.client, [message], work.head.key)
    return trial


def batch_form_fit(
    miner: Miner, *, form: BatchForm, kind: BatchRules, sender: str, work: SealingContext
) -> BatchForm:
    """Return a form with as many of its sectors, in order, as the chain takes in one message.

    Each was tried alone: together they may need more than the balance has.  Halved until it is taken; left
    whole where the node has not tried it.
    """
    while len(form.parts) > 1:
        trial = batch_form_try(miner, form=form, kind=kind, sender=sender, work=work)
        if trial.is_good or trial.exit_code == NO_RECEIPT:
            break
        log.warning("batch_not_taken", miner=str(miner), sectors=len(form.parts), reason=trial.error)
        form = replace(form, parts=form.parts[: len(form.parts) // 2])
        if form.aggregate:
            form = containers_pack(form)
    return form


def containers_pack(form: BatchForm) -> BatchForm:
    """Return a form with the containers of its sectors in one."""
    seal_proof = form.parts[0].sector.seal_proof
    return replace(form, aggregate=aggregate_container(seal_proof, [part.proof for part in form.parts]))


def batch_params_encode(kind: BatchRules, *, form: BatchForm, all_or_none: bool) -> bytes:
    """Return the parameters of a batch's message."""
    parts = form.parts
    if kind is PRE_COMMIT:
        return precommit_params([part.info for part in parts if part.info is not None])
    if kind is COMMIT_NI:
        return noninteractive_params(
            [part.sector for part in parts],
            expiration=form.expiration,
            proof=form.aggregate,
            deadline=form.deadline,
            all_or_none=all_or_none,
        )
    proven = [Proven(number=part.sector.number, proof=part.proof, pieces=part.pieces) for part in parts]
    return commit_params(proven, all_or_none=all_or_none, aggregate=form.aggregate)


def precommit_entries_make(
    miner: Miner, *, placed: Sequence[tuple[Sector, Sequence[Piece]]], work: SealingContext
) -> list[BatchEntry]:
    """Return sectors, each with its pieces, with their pre-commits and deposits at this head."""
    infos = []
    for sector, pieces in placed:
        expiration = expiration_choose(
            height=work.head.height,
            wished=work.policy.sector_life_epochs,
            network=work.network,
            pieces=pieces,
        )
        infos.append((sector, precommit_info(sector, expiration=expiration)))
    deposits = [0] * len(infos)
    if work.policy.send_funds:
        forms = [precommit_json(info) for _, info in infos]
        deposits = deposits_read(work.client, miner.address, forms, work.head.key)
    return [
        BatchEntry(sector=sector, value=value, info=info)
        for (sector, info), value in zip(infos, deposits, strict=True)
    ]


def pledge_value_compute(
    sector_size: int, *, deposit: int, expiration: int, verified: int = 0, work: SealingContext
) -> int:
    """Return what the pledge asks above the deposit, with a margin: it grows until the message lands.

    `verified`: padded bytes with an allocation, which count ten times.  Source: builtin-actors miner
    activate_new_sector_infos.
    """
    pledge = pledge_read(
        work.client,
        duration=expiration - work.head.height,
        sector_size=sector_size,
        verified=verified,
        key=work.head.key,
    )
    return max(pledge * (100 + work.policy.funds_margin_percent) // 100 - deposit, 0)


def batch_entries_fit(parts: list[BatchEntry], *, policy: SealingPolicy) -> list[BatchEntry]:
    """Return as many as one message holds with a proof each; the others go with the next."""
    fitting: list[BatchEntry] = []
    total = 0
    for part in parts:
        total += len(part.proof)
        if fitting and total > policy.commit_batch_bytes:
            break
        fitting.append(part)
    return fitting


def sector_refuse(sector: Sector, *, trial: TrialRun, kind: BatchRules, work: SealingContext) -> None:
    """Exclude a sector that the chain would refuse from the batch, until later or until somebody decides."""
    error = WOULD_REFUSE(message=kind.kind.label.lower(), error=as_reason(trial.error))
    if trial.exit_code in RETRYABLE_EXITS:
        sectors_requeue([sector], error=error, work=work)
    elif sector.attempts < work.policy.retries(sector.step).attempts_max - 1:
        # A state that is one epoch old may be to blame: "too early", a reorganisation.
        sectors_requeue([sector], error=error, work=work)
    else:
        sector_console_fail(sector, error=error, level=Level.PERMANENT, now=work.now)
