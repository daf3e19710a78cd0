"""Making a lost replica again, of the ticket and data that it was made of."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from apps.chain.selectors.heads import head_current
from apps.core.marked_texts import gettext
from apps.messages.rules.push_items import PushItem
from apps.messages.services.signer_trials import Verdicts, verdicts_read
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.pieces.selectors import pieces_of_sector
from apps.sectors.errors.runs import LifeTooShort, NotRebuildable, PiecesMissing, RunUnderWay
from apps.sectors.models import PipelineRun, Sector, Worker
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.first_epochs import first_epoch_now_read
from apps.sectors.selectors.restored import read_back_require
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.runs.steps import run_begin
from apps.sectors.services.sealing.prices import gas_cost_estimate
from apps.sectors.services.stores.moves import unchanged_lock, unchanged_require
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams, PartitionSectors
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.gas_model import declare_recovered_gas
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState, SectorState


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """What a rebuild makes; it locks no pledge, and a faulty sector's recovery is declared as any other."""

    hosts: tuple[str, ...]
    """Sealing hosts that may do it."""
    payload: int
    """Raw bytes of clients that go in again."""
    is_update: bool
    """A replica of zeros is made first, then the data are encoded into it."""
    gas: int
    """attoFIL of the recovery's message; 0 if the chain has the sector as active."""


def rebuild_plan(sector: Sector) -> RebuildPlan:
    """Return what a rebuild would do.

    Raises MinerNotReady, NotRebuildable, LifeTooShort, RunUnderWay, PiecesMissing, NoHost.
    """
    read_back_require(sector.miner)
    if sector.state != SectorState.PROVING:
        raise NotRebuildable(
            gettext("it is not proven yet: go back to an earlier stage instead"), field="sector"
        )
    if sector.ticket is None or sector.comm_r is None or sector.comm_d is None:
        raise NotRebuildable(gettext("the pool does not know its ticket or commitments"), field="sector")
    zeros = sha254_zero(sector.sector_size)
    if not has_data(sector) and bytes(sector.comm_d) != zeros:
        raise NotRebuildable(gettext("the pool does not know what data it holds"), field="sector")
    _life_require(sector)
    unchanged_require(sector)
    placed = pieces_of_sector(sector.miner, sector.number) if has_data(sector) else []
    lost = [piece for piece in placed if not piece.has_data]
    if lost:
        raise PiecesMissing(
            gettext("no copy of the bytes of {piece} is available").format(piece=lost[0].piece_cid),
            field="sector",
        )
    names = Worker.objects.filter(pk__in=hosts_of_run(sector, kind=JobKind.REBUILD)).order_by("pk")
    return RebuildPlan(
        hosts=tuple(names.values_list("name", flat=True)),
        payload=sum(piece.get("payload", 0) for piece in sector.pieces),
        is_update=sector.key_comm_r is not None,
        gas=_recovery_gas(sector),
    )


def _life_require(sector: Sector) -> None:
    """Refuse a sector that ends before it could be proven again.  Raises LifeTooShort."""
    first = first_epoch_now_read(sector.miner, JobKind.REBUILD)
    if first is not None and sector.expiration is not None and sector.expiration <= first:
        raise LifeTooShort(
            gettext("it expires at epoch {end} and could not be proven again before epoch {first}").format(
                end=sector.expiration, first=first
            ),
            field="sector",
        )


def _recovery_gas(sector: Sector) -> int:
    """Return attoFIL for declaring this sector alone as recovered; others of its deadline share the cost."""
    head = head_current()
    if sector.active or head is None:
        return 0
    return gas_cost_estimate(declare_recovered_gas(1), base_fee=int(head.base_fee))


def rebuild_verdicts_read(sector: Sector) -> Verdicts:
    """Return what becomes of the recovery's message, with the debt that it brings; none if it is active.

    Raises BadMessage, NodeUnavailable.
    """
    if sector.active:
        return Verdicts()
    miner = sector.miner
    debt = max(int(miner.fee_debt), 0)
    recovered = PartitionSectors(
        deadline=sector.deadline or 0, partition=sector.partition or 0, sectors=bitfield_of([sector.number])
    )
    item = PushItem(
        id=f"recover-price:{uuid.uuid4()}",
        to=miner.address,
        from_=sender_choose(miner, Use.POST, needed=debt).address,
        value=debt,
        method=Method.DECLARE_FAULTS_RECOVERED,
        params=to_cbor(DeclareFaultsRecoveredParams(recoveries=(recovered,))),
        kind="recover",
    )
    return verdicts_read([(miner_principal(miner), item)], by=SYSTEM)


def rebuild_begin(sector: Sector, *, by: Principal, now: datetime, key: str | None = None) -> PipelineRun:
    """Begin to make a sector's replica again; the same key gives the same run.  Raises as `rebuild_plan`."""
    earlier = sector.runs.filter(key=key, kind=JobKind.REBUILD).first() if key else None
    if earlier is not None:
        return earlier
    rebuild_plan(sector)
    try:
        with transaction.atomic():
            unchanged_lock(sector)
            run = run_begin(
                sector,
                kind=JobKind.REBUILD,
                state=RebuildState.LOST,
                actor=by.actor,
                now=now,
                key=key or None,
            )
            target, after = f"{sector.miner} / {sector.number}", {"run": str(run.uuid)}
            audit_record(principal=by, action="sector.rebuild", target=target, after=after)
    except IntegrityError:
        raise RunUnderWay(
            gettext("a snap-up or rebuild of it is already in progress"), field="sector"
        ) from None
    return run
