"""Clients' data into a committed sector: whether it can take any, and the beginning of it."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from apps.core.marked_texts import gettext
from apps.pieces.models import Piece
from apps.pieces.states import PieceState
from apps.sectors.errors.runs import LifeTooShort, NoPieces, NotCommittedCapacity, RunUnderWay
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.rules.params import has_data, pieces_column, pieces_filled
from apps.sectors.selectors.first_epochs import first_epoch_read
from apps.sectors.selectors.proof_forms import proof_form_for
from apps.sectors.selectors.restored import read_back_require
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.runs.piece_choice import pieces_choose
from apps.sectors.services.runs.steps import run_begin
from apps.sectors.services.runs.update_windows import LIFE_PERIODS, terminations_open
from apps.sectors.services.sealing.packing import PackedSector
from apps.sectors.services.sealing.placements import piece_place
from apps.sectors.services.stores.moves import unchanged_lock, unchanged_require
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState, SnapState


def sector_require(sector: Sector, *, work: SealingContext) -> None:
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
    _kept_require(sector)
    unchanged_require(sector)
    height = work.head.height
    first = first_epoch_read(sector.miner, JobKind.SNAP_UP, height=height, network=work.network)
    left = (sector.expiration or 0) - height
    least = first - height + LIFE_PERIODS * work.network.proving.period
    if left < least:
        raise LifeTooShort(
            gettext("it expires in {left} epochs; at least {least} are required").format(
                left=left, least=least
            ),
            field="sector",
        )
    hosts_of_run(sector, kind=JobKind.SNAP_UP)


def _kept_require(sector: Sector) -> None:
    """Refuse a sector that is to be terminated.  Raises NotCommittedCapacity."""
    if terminations_open().filter(sector=sector).exists():
        raise NotCommittedCapacity(gettext("its termination is in progress"), field="sector")


def snap_up_begin(
    sector: Sector,
    *,
    piece_cids: Sequence[str] = (),
    among: Sequence[Piece] | None = None,
    by: Principal | None,
    work: SealingContext,
    key: str | None = None,
    current: DeadlineInfo | None = None,
    is_audited: bool = True,
) -> PipelineRun:
    """Assign pieces to a committed sector and have its host encode them; the same key gives the same run.

    `current` is the miner's open deadline, where it is known; one line may tell of several already
    (`is_audited`).

    Raises what `snap_up_price` raises.
    """
    earlier = sector.runs.filter(key=key, kind=JobKind.SNAP_UP).first() if key else None
    if earlier is not None:
        return earlier
    proof_form_for(work.network)
    sector_require(sector, work=work)
    packed = pieces_choose(sector, piece_cids=piece_cids, among=among, current=current, work=work)
    try:
        return _begin(sector, packed, by=by, work=work, key=key, is_audited=is_audited)
    except IntegrityError:
        raise RunUnderWay(
            gettext("a snap-up or rebuild of it is already in progress"), field="sector"
        ) from None


@transaction.atomic
def _begin(
    sector: Sector,
    packed: PackedSector,
    *,
    by: Principal | None,
    work: SealingContext,
    key: str | None,
    is_audited: bool,
) -> PipelineRun:
    unchanged_lock(sector)
    _kept_require(sector)  # a termination that was requested this moment holds the same lock
    keys = [piece.pk for piece in packed.pieces]
    ready = Piece.objects.filter(pk__in=keys, state=PieceState.READY, has_data=True)
    locked = ready.select_for_update().order_by("pk")
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
    if by is not None and is_audited:
        after = {"run": str(run.uuid), "pieces": [str(piece.piece_cid) for piece in packed.pieces]}
        audit_record(
            principal=by, action="sector.snap-up", target=f"{sector.miner} / {sector.number}", after=after
        )
    return run
