"""What of deposits and pledge a miner's own balance pays, so that messages carry only what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q, Sum

from apps.chain.errors import NodeRefused
from apps.core import formatting
from apps.miners.models import Miner
from apps.miners.onchain import available_read
from apps.sectors.models import Batch
from apps.sectors.states import READ_BACK, BatchState

if TYPE_CHECKING:
    from apps.sectors.services.sealing_context import SealingContext


def balance_read(miner: Miner, work: SealingContext) -> int:
    """Return what the miner may spend at this head; 0 where nothing is sent, or the node does not tell."""
    if not work.policy.send_funds:
        return 0
    try:
        return available_read(work.client, miner.address, work.head.key)
    except NodeRefused:
        return 0


def balance_free(miner: Miner, available: int, *, height: int) -> int:
    """Return what no batch counts on of the balance at a head, those that landed since included.

    What a batch that was read back after a restore counts on is not known: nothing is free until it ends.
    """
    sent = Batch.objects.filter(miner=miner, state=BatchState.SENT)
    if not available or sent.filter(reason=READ_BACK).exists():
        return 0
    since = Q(state=BatchState.LANDED, landed_height__gte=height)
    rows = Batch.objects.filter(since | Q(state__in=[BatchState.CLOSED, BatchState.SENT]), miner=miner)
    return max(available - int(rows.aggregate(sum=Sum("from_balance"))["sum"] or 0), 0)


def balance_gone(batch: Batch, work: SealingContext) -> bool:
    """Return whether the balance does not hold any more what a batch counts on; no where nobody tells."""
    own = int(batch.from_balance)
    if not own:
        return False
    try:
        return available_read(work.client, batch.miner.address, work.head.key) < own
    except NodeRefused:
        return False


def balance_lock(miner: Miner, work: SealingContext) -> None:
    """Lock the miner's row until its batch is written: the next one sees what this one took."""
    if work.available:
        Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)


def balance_take(miner: Miner, needed: int, work: SealingContext) -> int:
    """Return what of a batch's deposits and pledge the balance pays, after `balance_lock`."""
    return min(needed, balance_free(miner, work.available, height=work.head.height))


def funds_text(*, value: int, from_balance: int) -> str:
    """Return what the timeline says of a batch that the balance helps to pay; empty if it does not."""
    if not from_balance:
        return ""
    own = formatting.amount_text(from_balance)
    return f"{own} of the miner's balance, {formatting.amount_text(value)} sent with it"
