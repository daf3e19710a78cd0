"""Pieces that are due go into committed sectors by themselves, where that is wished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog

from apps.chain.node.isolation import for_each_isolated
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.pieces.models import Piece
from apps.pieces.services.terms import loss_wait_note, terms_turn_note, wait_note
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.errors.runs import LifeTooShort, NoHost, NoPieces, NotCommittedCapacity, RunUnderWay
from apps.sectors.models import Sector
from apps.sectors.onchain.deadline_windows import open_deadline_read
from apps.sectors.rules.first_epochs import late_refusal
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.first_epochs import first_epoch_read
from apps.sectors.selectors.proof_forms import can_prove
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.run_hosts import stores_to_update
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.runs.piece_choice import latest_ends_list
from apps.sectors.services.runs.snap_up import snap_up_begin
from apps.sectors.services.runs.update_windows import earliest_end_compute, snap_candidates_find
from apps.sectors.services.sealing.packing import (
    PackedSector,
    has_good_terms,
    is_due,
    packing_request_read,
    pieces_plan,
    unread_terms_read,
)
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.wire.jobs import JobKind

SPARE_SECTORS: Final = 16
"""Sectors read beyond one per pack, since some may take no data now."""
LIVES_TRIED: Final = 4
"""Ends that the allocations of a pack allow, the latest first, each tried with sectors that end no later."""
MISFITS_MAX: Final = 4
"""Packs that a head tries in vain, each by requests to a node; the next head goes on behind them."""

log = structlog.get_logger(__name__)


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
    waiting = list(rows.select_related("miner").order_by("pk"))
    unread = unread_terms_read(miner, pieces=waiting, work=work)
    pieces = [piece for piece in waiting if piece.pk not in unread]
    # The others of many are looked at when they go into a sector, or at the next heads.
    wanted = [piece for packed in _due(miner, pieces, work) for piece in packed.pieces]
    unfit = {piece.pk for piece in wanted if loss_wait_note(piece)}
    checked = terms_turn_note([piece for piece in wanted if piece.pk not in unfit])
    unfit |= {piece.pk for piece in checked if not has_good_terms(piece, work=work)}
    unfit |= _late_note(miner, [piece for piece in wanted if piece.pk not in unfit], work)
    if not work.policy.snap_up_first:
        return
    due = _due(miner, [piece for piece in pieces if piece.pk not in unfit], work)
    if not due:
        return
    height = work.head.height
    current = open_deadline_read(work.client, miner.address, key=work.head.key, height=height)
    find = partial(snap_candidates_find, miner, work=work, stores=stores_to_update(miner), current=current)
    candidates = find(limit=len(due) + SPARE_SECTORS)
    misfits = 0
    for packed in _rotate(due, height=height):
        if _is_snapped(packed, candidates, current, work):
            continue
        if not candidates:
            return
        ends = latest_ends_list(packed.pieces, height=height)
        lives = [end for end in ends if end >= earliest_end_compute(work)][:LIVES_TRIED]
        if not any(
            _is_snapped(packed, find(limit=1 + SPARE_SECTORS, latest=latest), current, work)
            for latest in lives
        ):
            misfits += 1
            if misfits == MISFITS_MAX:
                return


def _late_note(miner: Miner, pieces: Sequence[Piece], work: SealingContext) -> set[int]:
    """Note on pieces that no snap-up could make them active in time; return their keys.  They wait."""
    dated = [piece for piece in pieces if piece.last_epoch is not None]
    if not dated:
        return set()
    height, network = work.head.height, work.network
    first = first_epoch_read(miner, JobKind.SNAP_UP, height=height, network=network)
    late = {piece.pk: reason for piece in dated if (reason := late_refusal(piece, first=first))}
    for piece in dated:
        if piece.pk in late:
            wait_note(piece, reason=late[piece.pk])
    return set(late)


def _rotate(due: list[PackedSector], *, height: int) -> list[PackedSector]:
    """Return the packs, those that fit nowhere not always first.

    More than a head tries in vain begin with another one at each head.
    """
    first = height * MISFITS_MAX % len(due) if len(due) > MISFITS_MAX else 0
    return due[first:] + due[:first]


def _is_snapped(
    packed: PackedSector, sectors: list[Sector], current: DeadlineInfo, work: SealingContext
) -> bool:
    """Begin with the first of these sectors that takes pieces; return whether it holds any of them.

    Sectors that took some, or take nothing now, are removed from the list.
    """
    while sectors:
        sector = sectors[0]
        try:  # unnamed: what this very sector cannot hold stays behind
            snap_up_begin(sector, among=packed.pieces, by=None, work=work, current=current)
        except (LifeTooShort, NoPieces, NoHost, NotCommittedCapacity, RunUnderWay) as refusal:
            log.info(
                "sector_not_snapped", sector=sector.number, miner=str(sector.miner), reason=refusal.reason
            )
            if isinstance(refusal, NoPieces):  # other pieces may go into it
                return False
            del sectors[0]
        else:
            del sectors[0]
            return True
    return False


def _due(miner: Miner, pieces: Sequence[Piece], work: SealingContext) -> list[PackedSector]:
    plan = pieces_plan(pieces, sector_size=miner.sector_size)
    asked_at = packing_request_read(miner)
    return [packed for packed in plan if is_due(packed, work=work, asked_at=asked_at)]
