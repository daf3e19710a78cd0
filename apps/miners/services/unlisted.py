"""How many sectors of a miner the chain has and the pool no row for, as its pages show it."""

from __future__ import annotations

from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.miners.models import Miner as MinerRow


def unlisted_sectors_record(miner: MinerRow, *, count: int) -> None:
    """Record how many there are; a row that says so already is left alone."""
    rows = Miner.objects.filter(pk=miner.pk).exclude(unlisted_sectors=count)
    if rows.update(unlisted_sectors=count):
        publish(Change("miner", miner.pk, miner.tenant_id))
