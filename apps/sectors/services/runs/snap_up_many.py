"""Waiting pieces into many committed sectors at once: which go where and what it costs, then the beginning.

The largest pieces first, each sector as full as they make it; those that take none are named with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from apps.core.errors import BadValue, DomainError
from apps.core.marked_texts import gettext
from apps.messages.services.signer_trials import Verdicts
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.errors.runs import NoPieces
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.audit import sectors_audit
from apps.sectors.services.miner_funds import Funds, balance_spare
from apps.sectors.services.runs.piece_choice import pieces_choose
from apps.sectors.services.runs.snap_up import sector_require, snap_up_begin
from apps.sectors.services.runs.snap_up_prices import pledge_growth_compute, pledge_margin_add
from apps.sectors.services.runs.snap_up_verdicts import snap_up_verdicts_read
from apps.sectors.services.sealing.packing import PackedSector
from apps.sectors.services.sealing.prices import gas_cost_estimate
from apps.users.rules.principals import Principal
from poolsite.filecoin.gas_model import replica_update_gas
from poolsite.wire.jobs import JobKind

NO_FUNDS: Final = Funds(0, 0)
SNAP_UPS_MAX: Final = 100
"""Sectors of one request: the chain is asked for each with each of the pieces' terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapUp:
    """One sector of a request."""

    sector: Sector
    packed: PackedSector | None = None
    refusal: str = ""
    """Why nothing goes into it."""
    pledge: int = 0
    """attoFIL that are locked beside what is locked already."""
    funds: Funds = NO_FUNDS
    """Who pays them, with the margin; the balance pays those that come first."""
    gas: int = 0
    run: PipelineRun | None = None
    """Once it was begun."""


def snap_ups_plan(sectors: Sequence[Sector], *, work: SealingContext) -> list[SnapUp]:
    """Return what would go into each of the sectors, and what it costs; nothing is written.

    Raises BadValue for too many.
    """
    _count_check(sectors)
    left: dict[int, dict[int, Piece]] = {}
    balances: dict[int, int] = {}
    gas = gas_cost_estimate(replica_update_gas(1), base_fee=int(work.head.base_fee))
    plan = []
    for sector in sectors:
        mine = left.setdefault(sector.miner_id, _waiting(sector))
        try:
            sector_require(sector, work=work)
            packed = _packed(sector, list(mine.values()), work)
            verified = sum(piece.padded_size for piece in packed.pieces if piece.allocation is not None)
            pledge = pledge_growth_compute(sector, verified=verified, work=work)
            funds = _funds(sector, pledge, balances, work)
        except DomainError as refusal:
            plan.append(SnapUp(sector=sector, refusal=refusal.reason))
            continue
        for piece in packed.pieces:
            mine.pop(piece.pk)
        plan.append(SnapUp(sector=sector, packed=packed, pledge=pledge, funds=funds, gas=gas))
    return plan


def snap_ups_verdicts_read(plan: Sequence[SnapUp], *, work: SealingContext) -> Verdicts:
    """Return what the signers and the approval rules would do with the messages of a plan.

    Raises BadMessage, NodeUnavailable.
    """
    sent = {one.sector: one.funds.sent for one in plan if one.packed is not None}
    return snap_up_verdicts_read(sent, work=work)


def _funds(sector: Sector, pledge: int, balances: dict[int, int], work: SealingContext) -> Funds:
    """Return who pays a sector's pledge out of what is left of its miner's balance."""
    work = replace(work, policy=batch_policy(sector.miner, work.policy))
    needed = pledge_margin_add(pledge, work=work)
    if not work.policy.send_funds:
        return Funds(needed, needed)
    if sector.miner_id not in balances:
        balances[sector.miner_id] = balance_spare(sector.miner, work=work)
    own = min(needed, balances[sector.miner_id])
    balances[sector.miner_id] -= own
    return Funds(needed, own)


def snap_ups_begin(
    sectors: Sequence[Sector], *, by: Principal, work: SealingContext, key: str | None = None
) -> list[SnapUp]:
    """Begin what the plan says, sector by sector; the same key begins nothing a second time.

    A sector that was refused since is named; the others go on.  The audit log has one line with the numbers
    of several, which says that they were asked for; what came of each is in its own timeline.

    Raises BadValue for too many.
    """
    _count_check(sectors)
    is_one_line = len(sectors) > 1
    if is_one_line:  # before the first begins: a kill leaves no act without its line
        runs = PipelineRun.objects.filter(sector__in=sectors, kind=JobKind.SNAP_UP, key=key)
        started = set(runs.values_list("sector", flat=True)) if key else set()
        requested = [one for one in sectors if one.pk not in started]
        sectors_audit(by, action="sector.snap-up-all", sectors=requested)
    plan = []
    for sector in sectors:
        try:
            mine = list(_waiting(sector).values())
            run = snap_up_begin(sector, among=mine, by=by, work=work, key=key, is_audited=not is_one_line)
        except DomainError as refusal:
            plan.append(SnapUp(sector=sector, refusal=refusal.reason))
        else:
            plan.append(SnapUp(sector=sector, run=run))
    return plan


def _count_check(sectors: Sequence[Sector]) -> None:
    if len(sectors) > SNAP_UPS_MAX:
        raise BadValue(
            gettext("at most {limit} sectors at a time").format(limit=SNAP_UPS_MAX), field="sectors"
        )


def _waiting(sector: Sector) -> dict[int, Piece]:
    """Return the pieces of a sector's miner that wait for one."""
    rows = Piece.objects.filter(miner=sector.miner, state=PieceState.READY, has_data=True).order_by("pk")
    return {piece.pk: piece for piece in rows}


def _packed(sector: Sector, pieces: Sequence[Piece], work: SealingContext) -> PackedSector:
    if not pieces:
        raise NoPieces(gettext("no piece is waiting for it"), field="pieces")
    return pieces_choose(sector, among=pieces, work=work)
