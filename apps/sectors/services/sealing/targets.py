"""Sealing by itself: sectors are pledged until a miner has as many in work, or bytes a day, as was set.

What is missing is counted from the sectors' rows under a lock, in the transaction that pledges: whatever is
killed or run twice, nothing is pledged twice for one unit.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.db import connection, transaction
from django.db.models import Q

from apps.chain.node.isolation import for_each_isolated
from apps.core.errors import BadValue, DomainError, NotAllowed, NotFound
from apps.core.formatting import fee_text, fil, size
from apps.core.live import Change, publish
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.core.reason_fields import is_kept
from apps.core.reasons import counted, refused
from apps.core.units import values_with_units
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.services.ownership import miner_lock
from apps.miners.states import MinerState
from apps.sectors.models import DAMOCLES, SealTarget, Worker
from apps.sectors.reasons import (
    BASE_FEE_HIGH,
    DISK_SHORT,
    NO_SEALING_HOST,
    PAYER_KEEPS,
    PAYER_SHORT,
    POWER_REACHED,
    TARGET_OVER,
)
from apps.sectors.rules.hardware import is_short_of_disk
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.selectors.targets import missing, power_room
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.prices import PledgePrice, payers_list, payment_plan_make, pledge_price
from apps.sectors.states import Hold
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent, audit_entries_record, audit_record
from poolsite.wire.jobs import JobKind

log = structlog.get_logger(__name__)

FUNDS_LOCK: Final = 0x464E
"""Lock class of an address that pays for sectors."""
EVALUATE_S: Final = 30
"""Pause between two looks at one target."""
STEP_MAX: Final = 100
"""Sectors of one look at most: the next one counts again."""
IN_WORK_MAX: Final = 10_000
FIELDS: Final = ("in_work", "day_bytes", "until", "power_max", "base_fee_max", "balance_min")
ACTOR: Final = "target"
"""Actor of its pledges, in timelines."""


def target_set(miner: Miner, *, values: dict[str, Any], by: Principal, now: datetime) -> SealTarget:
    """Set what a miner seals by itself, in place of what was set before.

    Raises BadValue, NotAllowed; MinerUnknown if it went to another tenant meanwhile.
    """
    _may_set(by)
    fields = {name: values.get(name) for name in FIELDS} | {"balance_min": values.get("balance_min") or 0}
    _values_check(fields, miner, now=now)
    with transaction.atomic():
        miner_lock(miner)
        old = SealTarget.objects.select_for_update().filter(miner=miner).first()
        before = None if old is None else _audit_fields(old)
        columns = {**fields, "held_by": "", "reason": "", "held_since": None, "look_at": now}
        if old is None or old.day_bytes != fields["day_bytes"]:
            columns["since"] = now
        row, _ = SealTarget.objects.update_or_create(miner=miner, defaults=columns)
        if before != _audit_fields(row):
            audit_record(
                principal=by,
                action="miner.target",
                target=str(miner),
                before=before,
                after=_audit_fields(row),
            )
        publish(Change("miner", miner.pk, miner.tenant_id))
    return row


def target_remove(miner: Miner, *, by: Principal) -> None:
    """End it: nothing more is pledged; what is under way goes on.

    Raises NotAllowed, NotFound; MinerUnknown if it went to another tenant meanwhile.
    """
    _may_set(by)
    with transaction.atomic():
        miner_lock(miner)
        removed = _remove(miner, by=by)
        if not removed:
            raise NotFound(gettext("{miner} has no target").format(miner=miner))
        audit_entries_record(removed)


def target_transfer(miner: Miner, *, by: Principal) -> list[AuditEvent]:
    """End what the tenant that gives a miner away has set: it would spend what the next tenant has.

    The transaction that has locked the miner calls it, before its tenant is another; returns what to write
    into the audit log.
    """
    assert connection.in_atomic_block, "the miner's lock ends with its transaction"
    return _remove(miner, by=replace(by, tenant_id=miner.tenant_id, source=""))


def _remove(miner: Miner, *, by: Principal) -> list[AuditEvent]:
    """Remove a miner's target; returns what to write into the audit log, nothing if it has none."""
    row = SealTarget.objects.select_for_update().filter(miner=miner).first()
    if row is None:
        return []
    before = _audit_fields(row)
    row.delete()
    publish(Change("miner", miner.pk, miner.tenant_id))
    return [AuditEvent(principal=by, action="miner.target-remove", target=str(miner), before=before)]


def _may_set(by: Principal) -> None:
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))


def _values_check(fields: dict[str, Any], miner: Miner, *, now: datetime) -> None:
    in_work, day = fields["in_work"], fields["day_bytes"]
    if (in_work is None) == (day is None):
        raise BadValue(
            gettext("set either the sectors in progress or the bytes per day, not both"), field="in_work"
        )
    if in_work is not None and not 1 <= in_work <= IN_WORK_MAX:
        raise BadValue(gettext("must be from 1 to {limit}").format(limit=IN_WORK_MAX), field="in_work")
    most = IN_WORK_MAX * miner.sector_size
    if day is not None and not miner.sector_size <= day <= most:
        raise BadValue(
            gettext("must be from {size} to {most}").format(size=_size(miner.sector_size), most=_size(most)),
            field="day_bytes",
        )
    if fields["until"] is not None and fields["until"] <= now:
        raise BadValue(gettext("must be in the future"), field="until")
    if fields["power_max"] is not None and fields["power_max"] < 1:
        raise BadValue(gettext("must be more than 0"), field="power_max")


def _audit_fields(row: SealTarget) -> dict[str, str | None]:
    """Return a target as the audit log keeps it."""
    values = {name: getattr(row, name) for name in FIELDS}
    return values_with_units({name: value for name, value in values.items() if value is not None})


def targets_follow(work: SealingContext) -> None:
    """Evaluate the targets that are due, and pledge what is missing."""
    rows = SealTarget.objects.filter(look_at__lte=work.now, miner__state=MinerState.ACTIVE)
    rows = rows.exclude(miner__in=miners_unrecovered()).select_related("miner__tenant").order_by("pk")
    for_each_isolated(list(rows), lambda row: target_follow(row, work=work), event="target_not_followed")


def target_follow(row: SealTarget, *, work: SealingContext) -> None:
    """Pledge what one target misses, or note why not.  Raises NodeRefused, NodeUnavailable."""
    if not _claim(row, now=work.now):
        return
    hold, reason, count = Hold.NONE, "", missing(row, now=work.now)
    price: PledgePrice | None = None
    if over := _over(row, work):
        hold, reason, count = Hold.REACHED, over, 0
    elif count:
        hold, reason, count, price = _hold_find(row, min(count, STEP_MAX), work)
    if price is not None and count:
        allocated = numbers_allocated(work.client, row.miner.address)
        restore_check(now=work.now)
        if row.miner_id in miners_unrecovered():  # what is missing is counted when they are read back
            return
        try:
            hold, reason = _pledge(row, count, price=price, allocated=allocated, now=work.now)
        except DomainError as refusal:
            hold, reason = Hold.REFUSED, refused(refusal)
    _note(row, hold, reason, now=work.now)


def _claim(row: SealTarget, *, now: datetime) -> bool:
    """Claim the look that is due; return whether no other process has claimed it since the row was read."""
    look_at = now + timedelta(seconds=EVALUATE_S)
    if not SealTarget.objects.filter(pk=row.pk, look_at=row.look_at).update(look_at=look_at):
        return False
    row.look_at = look_at
    return True


def _over(row: SealTarget, work: SealingContext) -> str:
    """Return in words that a target was reached; empty if it was not."""
    if row.until is not None and work.now >= row.until:
        return TARGET_OVER(time=f"{row.until:%Y-%m-%d %H:%M}")
    if row.power_max is not None and not power_room(row):
        return POWER_REACHED(size=_size(row.power_max))
    return ""


def _hold_find(
    row: SealTarget, count: int, work: SealingContext
) -> tuple[Hold, str, int, PledgePrice | None]:
    """Return what keeps a target from pledging, how many sectors nothing keeps it from, and their price."""
    base_fee = int(work.head.base_fee)
    if row.base_fee_max is not None and base_fee > row.base_fee_max:
        high = BASE_FEE_HIGH(fee=fee_text(base_fee), most=fee_text(int(row.base_fee_max)))
        return Hold.PRICE, high, 0, None
    if text := _hostless(row.miner, now=work.now):
        return Hold.DISK, text, 0, None
    try:
        price = pledge_price(row.miner, client=work.client, head=work.head, network=work.network)
    except DomainError as refusal:
        return Hold.REFUSED, refused(refusal), 0, None
    return *_payable(row, count, price), price


def _payable(row: SealTarget, count: int, price: PledgePrice) -> tuple[Hold, str, int]:
    """Return for how many sectors there are funds that nothing under way will take, and why for none."""
    paying, keep = payment_plan_make(row.miner, price=price), int(row.balance_min)
    if can_pay := paying.most(count, keep=keep):
        return Hold.NONE, "", can_pay
    for payer in paying.payers(1) if count else ():
        if payer.needs and payer.left < keep:
            facts = {
                "payer": payer.address,
                "balance": fil(payer.balance),
                "promised": fil(payer.promised),
                "needs": fil(payer.needs),
            }
            reason = PAYER_KEEPS(**facts, keep=fil(keep)) if keep else PAYER_SHORT(**facts)
            return Hold.BALANCE, reason, 0
    return Hold.NONE, "", 0


def _hostless(miner: Miner, *, now: datetime) -> str:
    """Return why no host begins a sector; empty if one may."""
    rows = Worker.objects.filter(
        tenant_id=miner.tenant_id, retired_at=None, is_paused=False, is_draining=False
    )
    seals = Q(kinds__contains=[str(JobKind.SEAL)]) | Q(kinds__contains=[DAMOCLES])
    hosts = [host for host in rows.filter(seals) if not worker_is_away(host, now=now)]
    if not hosts:
        return NO_SEALING_HOST()
    if all(is_short_of_disk(host.hardware) for host in hosts):
        return DISK_SHORT(hosts=counted(len(hosts), "sealing host"))
    return ""


@transaction.atomic
def _pledge(
    row: SealTarget, count: int, *, price: PledgePrice, allocated: list[range], now: datetime
) -> tuple[Hold, str]:
    """Pledge what is missing under the miner's and the target's lock; return what has come between.

    Funds are counted again once nobody else pledges at the expense of the same addresses.  Raises what
    `pledge_create` raises.
    """
    miner_lock(row.miner)
    rows = SealTarget.objects.select_for_update(of=("self",)).select_related("miner__tenant")
    current = rows.filter(pk=row.pk, updated_at=row.updated_at, look_at=row.look_at).first()
    if current is None:  # somebody has changed or ended it meanwhile, or a later look has begun
        return Hold.NONE, ""
    transaction_lock(
        FUNDS_LOCK, [payer.address for payer in payers_list(current.miner, price=price, count=1)]
    )
    hold, reason, count = _payable(current, min(count, missing(current, now=now)), price)
    if count:
        pledge_create(current.miner, count=count, actor=ACTOR, now=now, allocated=allocated)
        log.info("target_pledged", miner=str(current.miner), sectors=count)
    return hold, reason


def _note(row: SealTarget, hold: Hold, reason: str, *, now: datetime) -> None:
    """Store why nothing is pledged, where that has changed."""
    if row.held_by == hold and is_kept(row, "reason", reason):
        return
    since = None if hold is Hold.NONE else row.held_since if row.held_by == hold else now
    SealTarget.objects.filter(pk=row.pk).update(held_by=hold, reason=reason, held_since=since)
    publish(Change("miner", row.miner_id, row.miner.tenant_id))


def _size(count: int) -> str:
    return " ".join(size(count))
