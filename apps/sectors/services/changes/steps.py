"""Terminations and extensions of proving sectors: asked for, moved on, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.disk import disk_require
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.sectors.errors.changes import ChangeRefused, ChangeSent
from apps.sectors.models import Batch, Job, Sector, SectorChange
from apps.sectors.selectors.change_prices import ChangeRequest, SectorPrice
from apps.sectors.services.changes.plans import ChangePlan, accepted_require, changes_plan
from apps.sectors.services.sealing.console_steps import sectors_group_by_miner
from apps.sectors.services.sealing.placements import placements_compare, unlanded_snap_ups_find
from apps.sectors.services.sealing.steps import job_lock, sector_step
from apps.sectors.services.timeline import job_event_write
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline import SectorEvent, SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES, QUEUED, ChangeEvent, ChangeKind, change_state

REQUEST: Final = "REQUEST"
"""First event of a change in a sector's timeline."""
CHANGES_MAX: Final = 1_000
"""Sectors of one request."""


def changes_request(
    sectors: Sequence[Sector],
    *,
    request: ChangeRequest,
    by: Principal,
    client: ChainClient,
    head: Head,
    network: Network,
    now: datetime,
    count: int | None = None,
) -> tuple[ChangePlan, list[SectorChange]]:
    """Request a change of these sectors; their messages follow with the next heads.

    Those that the chain would refuse are left out and named in the plan.  Raises ChangeRefused if none is
    left, or not the `count` that somebody has confirmed, or if gas may cost more than requested;
    NodeRefused, NodeUnavailable, NetworkUnknown, DiskFull.
    """
    disk_require()
    if len(sectors) > CHANGES_MAX:
        raise ChangeRefused(gettext("at most {limit} sectors at a time").format(limit=CHANGES_MAX))
    plan = changes_plan(sectors, request=request, client=client, head=head, network=network)
    accepted_require(plan)
    if count is not None and len(plan.accepted) != count:
        raise ChangeRefused(
            gettext("this now applies to {sectors}, not {count}: review it and confirm again").format(
                sectors=plural(len(plan.accepted), "sector"), count=count
            )
        )
    if request.gas_max is not None:
        _gas_require(plan, most=request.gas_max)
    return plan, changes_write(plan, by=by, now=now)


def _gas_require(plan: ChangePlan, *, most: int) -> None:
    """Raise ChangeRefused unless the gas of all messages is known and within a limit in attoFIL."""
    if plan.gas_max is None:
        raise ChangeRefused(gettext("the gas cost is unknown, as the node could not simulate the messages"))
    if plan.gas_max > most:
        raise ChangeRefused(
            gettext("gas may cost up to {gas}, more than {most}").format(
                gas=fil_format(plan.gas_max), most=fil_format(most)
            )
        )


@transaction.atomic
def changes_write(plan: ChangePlan, *, by: Principal, now: datetime) -> list[SectorChange]:
    """Write the changes of a plan, without those whose sector has moved since.

    Raises ChangeRefused if none is left.
    """
    made = [
        change
        for price in sorted(plan.accepted, key=lambda one: one.sector.pk)
        if (change := _change_write(price, plan, by=by, now=now)) is not None
    ]
    if not made:
        raise ChangeRefused(gettext("the sectors changed in the meantime: reload and try again"))
    _request_audit(plan, made, by=by)
    return made


def _change_write(
    price: SectorPrice, plan: ChangePlan, *, by: Principal, now: datetime
) -> SectorChange | None:
    """Write one sector's change; None if the sector has moved or has another one by now."""
    request = plan.request
    job, current = job_lock(price.sector.pk)
    if current.state != SectorState.PROVING or current.changes.filter(state__in=OPEN_CHANGES).exists():
        return None
    if request.kind is ChangeKind.TERMINATE and _is_snapping(current):
        return None
    change = SectorChange.objects.create(
        sector=current,
        kind=request.kind,
        state=change_state(request.kind, "QUEUED"),
        expiration=None if price.after is None else price.after.expiration,
        old_expiration=None if price.live is None else price.live.expiration,
        drops_claims=request.drops_claims,
        fee=price.fee,
        queued_height=plan.height,
        actor=by.actor,
        reason=request.reason,
    )
    _note(change, REQUEST, job=job, at=now, actor=by.actor, note=request.reason)
    publish(Change("sector", str(current.uuid), current.miner.tenant_id))
    return change


def _is_snapping(sector: Sector) -> bool:
    """Return whether clients' data are on their way into a sector; none begin until the transaction ends."""
    Sector.objects.select_for_update(of=("self",)).only("pk").get(pk=sector.pk)  # as a beginning snap-up does
    return unlanded_snap_ups_find([sector]).exists()


def _request_audit(plan: ChangePlan, made: Sequence[SectorChange], *, by: Principal) -> None:
    """Write one line for each miner."""
    request, written = plan.request, {change.sector_id for change in made}
    prices = {price.sector: price for price in plan.accepted if price.sector.pk in written}
    for miner, group in sectors_group_by_miner(prices).items():
        mine = [prices[sector] for sector in group]
        after: dict[str, Any] = {"sectors": sorted(one.sector.number for one in mine)}
        if request.kind is ChangeKind.TERMINATE:
            after["fee"] = fil_format(sum(one.fee for one in mine))
        else:
            ends = sorted({one.after.expiration for one in mine if one.after is not None})
            after["expirations"] = [gettext("epoch {epoch}").format(epoch=epoch) for epoch in ends]
        if request.reason:
            after["reason"] = request.reason
        action = f"sector.{request.kind.lower()}"
        audit_record(principal=by, action=action, target=str(miner), after=after)


def change_recover(
    sector: Sector, *, kind: ChangeKind, expiration: int | None, batch: Batch, note: str, now: datetime
) -> None:
    """Write after a restore that a change of a sector was sent with this batch.

    One that the backup has as waiting is this one, or was cancelled before this one was asked for.
    """
    assert connection.in_atomic_block, "the job's row lock ends with its transaction"
    job, current = job_lock(sector.pk)
    waits = current.changes.filter(state__in=OPEN_CHANGES).first()
    if waits is not None and waits.kind == kind:
        if waits.state in QUEUED:
            change_step(waits, event=ChangeEvent.SEND, now=now, note=note, batch=batch, expiration=expiration)
        return
    if waits is not None:
        if waits.state not in QUEUED:
            return  # its message settles it, and the chain is compared
        change_step(waits, event=ChangeEvent.CANCEL, now=now, note=note)
    change = SectorChange.objects.create(
        sector=current,
        kind=kind,
        state=change_state(kind, "SENT"),
        batch=batch,
        expiration=expiration,
        old_expiration=current.expiration,
        queued_height=batch.closed_height,
        actor="console",
        reason=note,
    )
    _note(change, REQUEST, job=job, at=now, actor="console", note=note)


def change_step(
    change: SectorChange, *, event: ChangeEvent, now: datetime, note: str = "", actor: str = "", **data: Any
) -> bool:
    """Move one change, and its sector where the chain has changed it; False if it is elsewhere by now.

    Row, sector and timeline are written in one transaction.
    """
    with transaction.atomic():
        job, sector = job_lock(change.sector_id)
        current = SectorChange.objects.select_for_update().get(pk=change.pk)
        if current.state != change.state or event not in SectorChange.TRANSITIONS[current.state]:
            return False
        advance(current, event, updated_at=now, **data)
        is_end = current.kind == ChangeKind.TERMINATE and event in (ChangeEvent.LAND, ChangeEvent.REVERT)
        if not is_end:
            _note(current, event, job=job, at=now, actor=actor or "console", note=note)
        _sector_follow(current, sector, event, job=job, now=now, note=note)
        publish(Change("sector", str(sector.uuid), sector.miner.tenant_id))
    return True


def _sector_follow(
    change: SectorChange, sector: Sector, event: ChangeEvent, *, job: Job, now: datetime, note: str
) -> None:
    """Update a sector by what the chain has made of it, or revert that."""
    if event not in (ChangeEvent.LAND, ChangeEvent.REVERT):
        return
    is_landed = event is ChangeEvent.LAND
    if change.kind == ChangeKind.EXTEND:
        expiration = change.expiration if is_landed else change.old_expiration
        Sector.objects.filter(pk=sector.pk).update(expiration=expiration, updated_at=now)
        return
    step = SectorEvent.TERMINATE if is_landed else SectorEvent.REVERT_TERMINATE
    if step in Sector.TRANSITIONS[sector.state]:  # a deep reorganisation may have taken its commit too
        sector_step(sector, event=step, job=job, now=now, actor="console", note=note)
        # It left the chain's active sectors when its message was executed, which may be read before.
        placements_compare(sector.miner, numbers=[sector.number], now=now)


@transaction.atomic
def change_cancel(change: SectorChange, *, by: Principal, now: datetime) -> None:
    """Withdraw a change whose message was not sent yet.  Raises ChangeSent."""
    if change.state not in QUEUED or not change_step(
        change, event=ChangeEvent.CANCEL, now=now, actor=by.actor
    ):
        raise ChangeSent(
            gettext("it cannot be cancelled: its message was sent, or it has ended"), field="change"
        )
    target = f"{change.sector.miner} / {change.sector.number}"
    after = {"cancelled": change.kind.lower()}
    audit_record(principal=by, action="sector.change-cancel", target=target, after=after)


def _note(change: SectorChange, event: str, *, job: Job, at: datetime, actor: str, note: str) -> None:
    """Write a line of the sector's timeline."""
    job_event_write(
        job,
        event=f"{change.kind}_{event}",
        now=at,
        actor=actor,
        note=note,
        is_error=event == ChangeEvent.FAIL,
    )
