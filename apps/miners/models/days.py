"""A miner's days: what it held and which power it had as a UTC day began, and what messages moved since."""

from __future__ import annotations

from django.db import models

from apps.core.fields import AttoFilField
from apps.miners.models.miners import Miner
from apps.users.models import Tenant


class MinerDay(models.Model):
    """What a miner held as a day began, as the chain says.

    Written some epochs later, so that no reorganisation changes it.  Days on which no head came have no row:
    the row before reaches to the next one.
    """

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    """In UTC."""
    began_at = models.DateTimeField()
    """Time of the tipset: midnight, or later where the miner or the pool was not there yet."""
    height = models.BigIntegerField()
    """Of the tipset in whose parent state it was read: messages and blocks below this height are in it."""
    balance = AttoFilField()
    available = AttoFilField()
    """May be negative: a miner in debt."""
    pledge = AttoFilField()
    deposits = AttoFilField()
    locked = AttoFilField()
    """Vesting rewards and the creation deposit."""
    fee_debt = AttoFilField()
    qa_power = models.BigIntegerField(null=True)
    """Bytes of quality-adjusted power; None of days that were written before it was."""
    received = AttoFilField(default=0)
    """attoFIL that the pool's messages brought since the row before."""
    withdrawn = AttoFilField(default=0)
    """attoFIL that withdrawals by the pool's messages paid out since the row before."""

    is_charged = models.BooleanField(default=False)
    """Whether it is settled what the pool charges for the time from here to the row after."""

    class Meta:
        ordering = ["-day"]
        indexes = [
            models.Index(fields=["day"], name="miner_days_uncharged", condition=models.Q(is_charged=False)),
            models.Index(fields=["day", "height"], name="miner_days_by_day"),
        ]
        constraints = [models.UniqueConstraint(fields=["miner", "day"], name="one_row_per_miner_day")]

    def __str__(self) -> str:
        return f"{self.miner} on {self.day}"


class RemovedMinerDay(models.Model):
    """What is left of a miner's day that was not charged when the miner was removed; gone once it is."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    """Whose the miner was as the day began."""
    actor_id = models.BigIntegerField()
    day = models.DateField()
    """In UTC."""
    next_day = models.DateField()
    """The next recorded day, or the one after this."""
    begin = models.BigIntegerField()
    """Height of the day's tipset."""
    end = models.BigIntegerField()
    """Height from which on blocks are no more in it: of the next day, or the first after the removal."""
    qa_power = models.BigIntegerField(null=True)
    """Bytes, as the day began."""

    class Meta:
        ordering = ["day", "pk"]

    def __str__(self) -> str:
        return f"f0{self.actor_id} on {self.day}"
