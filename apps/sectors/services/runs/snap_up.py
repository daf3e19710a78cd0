"""Clients' data into a committed sector: which sector and pieces, what it costs, and the beginning of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from apps.chain.errors import NodeRefused
from apps.chain.isolation import for_each_isolated
from apps.chain.tipsets import key_to_json
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.pieces.models import Piece
from apps.pieces.onchain import terms_ended, terms_epochs_note, terms_refusal
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.errors import (
    LifeTooShort,
    NoHost,
    NoPieces,
    NotCommittedCapacity,
    RunUnderWay,
)
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.onchain import pledge_with_data_read
from apps.sectors.params import has_data, pieces_column, pieces_filled
from apps.sectors.proof_forms import can_prove, proof_form_for
from apps.sectors.selectors.restored import miners_unrecovered, read_back_require
from apps.sectors.selectors.sectors import batch_policy
from apps.sectors.services.batches.miner_funds import Funds, funds_of
from apps.sectors.services.runs.steps import hosts_of_run, run_begin
from apps.sectors.services.sealing.packing import (
    PackedSector,
    is_due,
    packing_asked_at,
    piece_refuse,
    pieces_plan,
)
from apps.sectors.services.sealing.placements import piece_place
from apps.sectors.services.sealing.prices import gas_cost
from apps.sectors.services.stores.moves import unchanged_lock, unchanged_require
from apps.sectors.states import OPEN_MOVES
from apps.users.services.audit import audit_record
from poolsite.filecoin.deadlines import deadline_from_json, deadline_info, is_mutable
from poolsite.filecoin.gas_model import replica_update_gas
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RUN_FINAL, SectorState, SnapState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.sectors.services.batches.context import SealingContext
    from apps.users.principals import Principal
    from poolsite.filecoin.deadlines import DeadlineInfo

log = structlog.get_logger(__name__)

LEAD_EPOCHS: Final = 2
"""Epochs that a message takes at least."""
LIFE_PERIODS: Final = 2
"""Proving periods that a sector must still live to be worth the message."""


@dataclass(frozen=True, slots=True)
class SnapUpPrice:
    """What a snap-up brings and costs, at one head."""

    packed: PackedSector
    verified: int
    """Padded bytes with an allocation."""
    pledge: int
    """attoFIL that are locked beside what is locked already."""
    funds: Funds
    """Who pays them, with the margin."""
    gas: int
    """attoFIL of the message's gas; burnt."""


def snap_up_price(sector: Sector, *, piece_cids: Sequence[str] = (), work: SealingContext) -> SnapUpPrice:
    """Return what would go into a sector and what it costs; nothing is written.

    Raises MinerNotReady, NotCommittedCapacity, RunUnderWay, LifeTooShort, NoPieces, NoHost, NodeRefused,
    ProofFormMissing.
    """
    proof_form_for(work.network)
    sector_require(sector, work)
    packed = pieces_choose(sector, piece_cids=piece_cids, work=work)
    verified = sum(piece.padded_size for piece in packed.pieces if piece.allocation is not None)
    gas = gas_cost(replica_update_gas(1), base_fee=int(work.head.base_fee))
    work = replace(work, policy=batch_policy(sector.miner, work.policy))
    more = pledge_missing(sector, verified=verified, work=work)
    funds = funds_of(sector.miner, with_margin(more, work), work=work)
    return SnapUpPrice(packed=packed, verified=verified, pledge=more, funds=funds, gas=gas)


def with_margin(pledge: int, work: SealingContext) -> int:
    """Return what is found or sent for a pledge: it may grow before the message lands."""
    return pledge * (100 + work.policy.funds_margin_percent) // 100


def pledge_missing(sector: Sector, *, verified: int, work: SealingContext) -> int:
    """Return what the pledge grows by; what is locked stays locked where the chain asks for less."""
    pledge = pledge_with_data_read(
        work.client,
        duration=(sector.expiration or 0) - work.head.height,
        sector_size=sector.sector_size,
        verified=verified,
        key=work.head.key,
    )
    return max(pledge - int(sector.initial_pledge), 0)


def sector_require(sector: Sector, work: SealingContext) -> None:
    """Refuse a sector into which no data can go.

    Raises MinerNotReady, NotCommittedCapacity, RunUnderWay, LifeTooShort, NoHost.
    """
    read_back_require(sector.miner)
    if sector.state != SectorState.PROVING or not sector.active:
        raise NotCommittedCapacity(gettext("it is not active on chain"), field="sector")
    zeros = sha254_zero(sector.sector_size)
    if has_data(sector) or sector.key_comm_r is not None or bytes(sector.comm_d or b"") != zeros:
        raise NotCommittedCapacity(
            gettext("it holds data: only a sector without data can be updated"), field="sector"
        )
    if sector.comm_r is None or sector.ticket is None:
        raise NotCommittedCapacity(gettext("its comm_r or ticket is not known here"), field="sector")
    unchanged_require(sector)
    left = (sector.expiration or 0) - work.head.height
    least = LIFE_PERIODS * work.network.proving.period
    if left < least:
        raise LifeTooShort(
            gettext("it expires in {left} epochs; at least {least} are required").format(
                left=left, least=least
            ),
            field="sector",
        )
    hosts_of_run(sector, kind=JobKind.SNAP_UP)


def pieces_choose(
    sector: Sector,
    *,
    piece_cids: Sequence[str] = (),
    among: Sequence[Piece] | None = None,
    work: SealingContext,
) -> PackedSector:
    """Return the pieces that go into a sector: the named ones, or of those that wait as many as fit.

    `among`: these very rows, as one commitment may wait under several terms.  Raises NoPieces.
    """
    rows = Piece.objects.filter(miner=sector.miner, state=PieceState.READY, has_data=True)
    if among is not None:
        rows = rows.filter(pk__in=[piece.pk for piece in among])
    rows = rows.select_related("miner").order_by("pk")
    waiting = list(rows.filter(piece_cid__in=piece_cids) if piece_cids else rows)
    unknown = sorted(set(piece_cids) - {str(piece.piece_cid) for piece in waiting})
    if unknown:
        raise NoPieces(
            gettext("{piece} is not waiting for a sector of {miner}").format(
                piece=unknown[0], miner=sector.miner
            ),
            field="pieces",
        )
    refused = {piece.pk: reason for piece in waiting if (reason := _refusal(piece, sector, work))}
    if piece_cids and refused:
        raise NoPieces(next(iter(refused.values())), field="pieces")
    plan = pieces_plan(
        [piece for piece in waiting if piece.pk not in refused], sector_size=sector.sector_size
    )
    if not plan:
        words = next(iter(refused.values()), "no piece is waiting for a sector")
        raise NoPieces(words, field="pieces")
    if piece_cids and len(plan) > 1:
        raise NoPieces(gettext("the pieces do not fit into one sector"), field="pieces")
    return plan[0]


def _refusal(piece: Piece, sector: Sector, work: SealingContext) -> str:
    """Return why a piece cannot go into this very sector; empty if it can."""
    height, key = work.head.height, work.head.key
    reason = terms_refusal(work.client, piece, height=height, key=key)
    if reason or piece.allocation is None:
        return reason
    try:
        row = work.client.call("StateGetAllocation", f"f0{piece.client}", piece.allocation, key_to_json(key))
    except NodeRefused as refusal:
        return refusal.reason
    left = (sector.expiration or 0) - height
    if int(row["TermMin"]) <= left <= int(row["TermMax"]):
        return ""
    return gettext(
        "allocation {allocation} is for {least} to {most} epochs, but sector {number} has {left} left"
    ).format(
        allocation=piece.allocation,
        least=row["TermMin"],
        most=row["TermMax"],
        number=sector.number,
        left=left,
    )


def snap_up_begin(
    sector: Sector,
    *,
    piece_cids: Sequence[str] = (),
    among: Sequence[Piece] | None = None,
    by: Principal | None,
    work: SealingContext,
    key: str | None = None,
) -> PipelineRun:
    """Assign pieces to a committed sector and have its host encode them; the same key gives the same run.

    Raises what `snap_up_price` raises.
    """
    earlier = sector.runs.filter(key=key, kind=JobKind.SNAP_UP).first() if key else None
    if earlier is not None:
        return earlier
    proof_form_for(work.network)
    sector_require(sector, work)
    packed = pieces_choose(sector, piece_cids=piece_cids, among=among, work=work)
    try:
        return _begin(sector, packed, by=by, work=work, key=key)
    except IntegrityError:
        raise RunUnderWay(
            gettext("a snap-up or rebuild of it is already in progress"), field="sector"
        ) from None


@transaction.atomic
def _begin(
    sector: Sector, packed: PackedSector, *, by: Principal | None, work: SealingContext, key: str | None
) -> PipelineRun:
    unchanged_lock(sector)
    keys = [piece.pk for piece in packed.pieces]
    locked = Piece.objects.select_for_update().filter(pk__in=keys, state=PieceState.READY).order_by("pk")
    if len(locked) != len(keys):
        raise NoPieces(gettext("a piece was put into another sector in the meantime"), field="pieces")
    filled = pieces_filled(packed.pieces, sector_size=sector.sector_size)
    run = run_begin(
        sector,
        kind=JobKind.SNAP_UP,
        state=SnapState.PIECES_ASSIGNED,
        actor="console" if by is None else by.actor,
        now=work.now,
        key=key or None,
        pieces=pieces_column(filled),
    )
    for piece, offset in zip(packed.pieces, packed.offsets, strict=True):
        piece_place(piece, number=sector.number, offset=offset, now=work.now)
    if by is not None:
        after = {"run": str(run.uuid), "pieces": [str(piece.piece_cid) for piece in packed.pieces]}
        audit_record(
            principal=by, action="sector.snap-up", target=f"{sector.miner} / {sector.number}", after=after
        )
    return run


def pieces_snap(work: SealingContext) -> None:
    """Assign the pieces that are due to committed sectors, where that is wished and there are any."""
    if not can_prove(work.network):
        return
    waiting = Piece.objects.filter(state=PieceState.READY, miner__state=MinerState.ACTIVE)
    miners = Miner.objects.filter(pk__in=waiting.values("miner")).exclude(pk__in=miners_unrecovered())
    for_each_isolated(
        list(miners.select_related("tenant", "batch_settings").order_by("pk")),
        lambda miner: _miner_snap(miner, work),
        event="pieces_not_snapped",
    )


def _miner_snap(miner: Miner, work: SealingContext) -> None:
    work = replace(work, policy=batch_policy(miner, work.policy))
    rows = Piece.objects.filter(miner=miner, state=PieceState.READY, has_data=True)
    if not work.policy.snap_up_first:
        rows = rows.filter(purpose=PiecePurpose.SNAP_UP)  # new sectors ask for the others
    pieces = list(rows.select_related("miner").order_by("pk"))
    terms_epochs_note(work.client, pieces, key=work.head.key)
    ended = {
        piece.pk
        for packed in _due(miner, pieces, work)
        for piece in packed.pieces
        if _is_refused(piece, work)
    }
    if not work.policy.snap_up_first:
        return
    due = _due(miner, [piece for piece in pieces if piece.pk not in ended], work)
    candidates = snap_candidates(miner, work=work, limit=len(due)) if due else []
    for packed, sector in zip(due, candidates, strict=False):
        try:  # unnamed: what this very sector cannot hold stays behind
            snap_up_begin(sector, among=packed.pieces, by=None, work=work)
        except (LifeTooShort, NoPieces, NoHost, NotCommittedCapacity, RunUnderWay) as refusal:
            log.info("sector_not_snapped", sector=sector.number, miner=str(miner), reason=refusal.reason)


def _due(miner: Miner, pieces: Sequence[Piece], work: SealingContext) -> list[PackedSector]:
    plan = pieces_plan(pieces, sector_size=miner.sector_size)
    asked_at = packing_asked_at(miner)
    return [packed for packed in plan if is_due(packed, work, asked_at=asked_at)]


def _is_refused(piece: Piece, work: SealingContext) -> bool:
    """End a piece whose terms are good no more; one of which a node tells nothing waits on."""
    try:
        reason = terms_ended(work.client, piece, height=work.head.height, key=work.head.key)
    except NodeRefused:
        return False
    if reason:
        piece_refuse(piece, reason, work=work)
    return bool(reason)


def snap_candidates(miner: Miner, *, work: SealingContext, limit: int) -> list[Sector]:
    """Return committed sectors into which data can go now, those that live longest first."""
    least = work.head.height + LIFE_PERIODS * work.network.proving.period
    rows = Sector.objects.filter(
        miner=miner, state=SectorState.PROVING, active=True, key_comm_r=None, expiration__gte=least
    ).exclude(ticket=None)
    rows = rows.exclude(runs__in=PipelineRun.objects.exclude(state__in=RUN_FINAL))
    rows = rows.exclude(moves__state__in=OPEN_MOVES)
    current = deadline_from_json(work.client.state_miner_proving_deadline(miner.address, work.head.key))
    height = work.head.height
    found = [
        sector
        for sector in rows.select_related("miner__tenant").order_by("-expiration", "pk")[: 10 * limit]
        if not has_data(sector) and last_mutable(current, sector.deadline, height=height) is not None
    ]
    return found[:limit]


def last_mutable(current: DeadlineInfo, index: int | None, *, height: int) -> int | None:
    """Return until when the sectors of a deadline may be updated; None while they may not.

    Source: builtin-actors actors/miner/src/lib.rs validate_replica_updates (deadline_is_mutable).
    """
    if index is None:
        return None
    # Now, too: the message is tried on the next epoch, in which a deadline that closes soon is still open.
    seen = [
        deadline_info(current.period_start, index, at, current.params)
        for at in (height, height + LEAD_EPOCHS)
    ]
    last = seen[-1].next_not_elapsed().open - current.params.window - 1
    return last if all(map(is_mutable, seen)) else None
