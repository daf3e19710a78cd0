"""What of deposits and pledge a miner's own balance pays, so that messages carry only what it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, Sum

from apps.chain.errors import NodeRefused
from apps.core import formatting
from apps.miners.models import Miner
from apps.miners.onchain.actors import available_read
from apps.sectors.models import Batch, PipelineRun
from apps.sectors.reasons import PAID_BY
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.states import READ_BACK, BatchState
from poolsite.wire.pipeline import SnapState


def balance_read(miner: Miner, *, work: SealingContext) -> int:
    """Return what the miner may spend at this head; 0 where nothing is sent, or the node does not tell."""
    if not work.policy.send_funds:
        return 0
    try:
        return available_read(work.client, miner.address, work.head.key)
    except NodeRefused:
        return 0


def balance_free(miner: Miner, *, available: int, height: int) -> int:
    """Return what no message counts on of the balance at a head, those that landed since included.

    What one that was read back after a restore counts on is not known: nothing is free until it ends.
    """
    sent = Batch.objects.filter(miner=miner, state=BatchState.SENT)
    updates = PipelineRun.objects.filter(sector__miner=miner).exclude(from_balance=0)
    coming = updates.filter(state=SnapState.UPDATE_SENT)
    is_unknown = sent.filter(reason=READ_BACK).exists() or coming.filter(from_balance=None).exists()
    if not available or is_unknown:
        return 0
    since = Q(state=BatchState.LANDED, landed_height__gte=height)
    rows = Batch.objects.filter(since | Q(state__in=[BatchState.CLOSED, BatchState.SENT]), miner=miner)
    landed = updates.filter(state=SnapState.UPDATE_LANDED, landed_height__gte=height)
    reserved = [one.aggregate(sum=Sum("from_balance"))["sum"] or 0 for one in (rows, coming, landed)]
    return max(available - int(sum(reserved)), 0)


def is_balance_short(miner: Miner, *, own: int, work: SealingContext) -> bool:
    """Return whether the balance does not hold any more what a message counts on; no where nobody tells."""
    if not own:
        return False
    try:
        return available_read(work.client, miner.address, work.head.key) < own
    except NodeRefused:
        return False


@dataclass(frozen=True, slots=True)
class Funds:
    """Who pays deposits and pledge, in attoFIL."""

    needed: int
    from_balance: int
    """Of the miner's available balance, which pays first."""

    @property
    def sent(self) -> int:
        """Return what the messages carry."""
        return self.needed - self.from_balance


def funds_split(miner: Miner, *, needed: int, work: SealingContext) -> Funds:
    """Return who would pay so much at this head; all of it the balance where messages carry nothing."""
    if not work.policy.send_funds:
        return Funds(needed, needed)
    return Funds(needed, min(needed, balance_spare(miner, work=work)))


def balance_spare(miner: Miner, *, work: SealingContext) -> int:
    """Return what the miner may spend at this head and no message counts on; 0 where nothing is sent."""
    return balance_free(miner, available=balance_read(miner, work=work), height=work.head.height)


def balance_lock(miner: Miner, *, work: SealingContext) -> None:
    """Lock the miner's row until its batch is written: the next one sees what this one took."""
    if work.available:
        Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)


def balance_share_compute(miner: Miner, *, needed: int, work: SealingContext) -> int:
    """Return what of a batch's deposits and pledge the balance pays, after `balance_lock`."""
    return min(needed, balance_free(miner, available=work.available, height=work.head.height))


def funds_describe(*, value: int, from_balance: int) -> str:
    """Return what the timeline says of a batch that the balance helps to pay; empty if it does not."""
    if not from_balance:
        return ""
    own = formatting.amount_text(from_balance)
    return PAID_BY(balance=own, amount=formatting.amount_text(value))
