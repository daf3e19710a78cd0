"""What an adoption would write; it is begun and cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.core.errors import NotAllowed
from apps.core.formatting import plural, plural_kept
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.onchain.partition_facts import live_field
from apps.miners.states import MinerState
from apps.sectors.errors.adoptions import AdoptionRefused
from apps.sectors.models import SectorAdoption
from apps.sectors.selectors.numbers import numbers_in_use
from apps.sectors.selectors.restored import read_back_require
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.reservations import numbers_format
from apps.sectors.states import OPEN_ADOPTIONS, AdoptionState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.bitfield import EMPTY, BitField, bitfield_of_runs, runs_of


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """What an adoption would write."""

    numbers: BitField
    """Live on the chain, and without a row."""
    listed: int
    """Of those that were named, how many have a row already."""
    absent: BitField
    """Of those that were named, which do not live on the chain."""


def adoption_plan(miner: Miner, *, numbers: BitField | None, work: SealingContext) -> AdoptionPlan:
    """Compare the chain's live sectors of a miner with its rows; only with those of `numbers` if it is given.

    Raises NodeRefused, NodeUnavailable.
    """
    live = live_field(work.client, miner.address, work.network.proving.deadlines, work.head.key)
    known = numbers_in_use(miner)
    if numbers is None:
        return AdoptionPlan(numbers=live - known, listed=0, absent=EMPTY)
    return AdoptionPlan(
        numbers=(live & numbers) - known, listed=len(numbers & known), absent=(numbers - live) - known
    )


def adoption_begin(
    miner: Miner, *, numbers: BitField | None, work: SealingContext, by: Principal
) -> SectorAdoption:
    """Order the adoption of all sectors without a row, or of those of `numbers`; repeated it is the same.

    One whose rows are being written takes in the sectors that it lacks.

    Raises NotAllowed, MinerNotReady, AdoptionRefused, NodeRefused, NodeUnavailable.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    read_back_require(miner)
    plan = adoption_plan(miner, numbers=numbers, work=work)
    with transaction.atomic():
        locked = Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        if locked.tenant_id != miner.tenant_id:
            raise MinerNotReady(
                gettext("{miner} was transferred to another tenant in the meantime").format(miner=miner),
                field="miner",
            )
        row = locked.adoptions.select_for_update().filter(state__in=OPEN_ADOPTIONS).first()
        if row is not None and row.state == AdoptionState.ROWS:
            if more := plan.numbers - bitfield_of_runs(row.runs):
                _extend(row, more, now=work.now)
                _audit(miner, more, by=by)
            return row
        if not plan.numbers:
            if row is not None:
                return row
            raise AdoptionRefused(_nothing_text(miner, plan.listed, len(plan.absent)), field="numbers")
        if row is not None:
            advance(row, "END", updated_at=work.now)
        made = SectorAdoption.objects.create(
            miner=miner, runs=runs_of(plan.numbers), total=len(plan.numbers), actor=by.actor[:200]
        )
        _audit(miner, plan.numbers, by=by)
    return made


def _extend(row: SectorAdoption, more: BitField, *, now: datetime) -> None:
    """Add sectors to an adoption whose rows are being written; it goes back to the first of them."""
    row.runs = runs_of(bitfield_of_runs(row.runs) | more)
    row.total += len(more)
    row.next_number = min(row.next_number, next(iter(more)))
    row.updated_at = now
    row.save(update_fields=["runs", "total", "next_number", "updated_at"])


def _audit(miner: Miner, numbers: BitField, *, by: Principal) -> None:
    after = {"count": len(numbers), "numbers": numbers_format(numbers)}
    audit_record(principal=by, action="sector.adopt", target=miner.address, after=after)
    publish(Change("miner", miner.pk, miner.tenant_id))


def _nothing_text(miner: Miner, listed: int, absent: int) -> str:
    """Return why there is nothing to adopt."""
    if absent:
        return gettext("{sectors} not live on chain").format(sectors=plural(absent, "sector"))
    if listed:
        return gettext("these sectors are already recorded here")
    return gettext("all sectors of {miner} on chain are already recorded here").format(miner=miner)


@transaction.atomic
def adoption_cancel(miner: Miner, *, row: SectorAdoption, by: Principal, now: datetime) -> SectorAdoption:
    """End an adoption; the rows that it has written stay.  Raises NotAllowed, WrongState, LostRace."""
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    advance(row, "CANCEL", updated_at=now)
    after = {"written": plural_kept(row.written, "sector"), "of": plural_kept(row.total, "sector")}
    audit_record(principal=by, action="sector.adopt-cancel", target=miner.address, after=after)
    publish(Change("miner", miner.pk, miner.tenant_id))
    return row
