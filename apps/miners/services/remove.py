"""Removing a miner from the pool."""

from __future__ import annotations

from datetime import timedelta
from itertools import zip_longest
from typing import Final

from django.db import transaction

from apps.core.errors import Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.messages.selectors.tracking import tracked_height
from apps.miners.models import Miner, RemovedMinerDay
from apps.miners.selectors.days import tenants_on
from apps.miners.services.creation_plan import may_create
from apps.miners.states import MinerState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.grants import miner_grant_revoke

DEALS_OVER: Final = ("REFUSED", "FAILED")
"""States of deals with clients that came to nothing: they go with the miner."""


def may_remove(principal: Principal, *, miner: Miner) -> bool:
    """Return whether somebody may remove a miner from the pool.

    One that could not be made: whoever may make another.  One that was imported and has no sector, piece or
    deal, and whose numbers nobody was given: the operator.
    """
    if miner.state == MinerState.FAILED:
        return may_create(principal, tenant=miner.tenant)
    return (
        _is_in_charge(principal)
        and miner.state == MinerState.ACTIVE
        and miner.create_message_id is None
        and not miner.sectors.exists()
        and not miner.pieces.exists()
        and not miner.deals.exclude(state__in=DEALS_OVER).exists()
        and not miner.pledges.exists()
        and not miner.batches.exists()
        and not miner.reservations.exists()  # imported again, it would assign these numbers again
    )


def _is_in_charge(principal: Principal) -> bool:
    return principal.is_operator and principal.may("admin")


@transaction.atomic
def miner_remove(miner: Miner, *, principal: Principal) -> None:
    """Remove a miner from the pool: it is proven here no more; on the chain nothing changes.

    Raises NotAllowed, Conflict.
    """
    miner = Miner.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=miner.pk)
    is_allowed = (
        may_create(principal, tenant=miner.tenant)
        if miner.state == MinerState.FAILED
        else _is_in_charge(principal)
    )
    if not is_allowed:
        raise NotAllowed(gettext("you do not have permission to remove this miner"))
    if not may_remove(principal, miner=miner):
        raise Conflict(
            gettext(
                "it was created here, or has sectors, pieces, deals or sector numbers that were leased or "
                "reserved here: it cannot be removed"
            ),
            field="miner",
        )
    target, tenant_id = miner.address or str(miner.uuid), miner.tenant_id
    if miner.actor_id is not None:
        miner_grant_revoke(actor_id=miner.actor_id)
    miner.jobs.all().delete()
    miner.deals.filter(state__in=DEALS_OVER).delete()
    if (numbers := getattr(miner, "numbers", None)) is not None:
        numbers.delete()  # imported again, its counter begins as given away
    _days_keep(miner)
    miner.delete()
    audit_record(
        principal=principal, action="miner.remove", target=target, before={"tenant": miner.tenant.name}
    )
    publish(Change("miner", target, tenant_id))


def _days_keep(miner: Miner) -> None:
    """Keep of the days that are not charged yet what they are charged by; their rows go with the miner."""
    rows = list(miner.days.order_by("day"))
    left = []
    for row, after in zip_longest(rows, rows[1:]):
        if row.is_charged or miner.actor_id is None:
            continue
        left.append(
            RemovedMinerDay(
                tenant_id=tenants_on([miner.pk], row.day)[miner.pk],
                actor_id=miner.actor_id,
                day=row.day,
                next_day=row.day + timedelta(days=1) if after is None else after.day,
                begin=row.height,
                end=max(tracked_height() + 1, row.height) if after is None else after.height,
                qa_power=row.qa_power,
            )
        )
    RemovedMinerDay.objects.bulk_create(left)
