"""Deadlines and partitions of miners as the chain keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import models

from apps.core.fields import CidField
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.core.reasons import Reason, coded, coded_read
from apps.miners.models import Miner
from apps.proving.states import Forecast


class Deadline(WithReasons):
    """One of a miner's deadlines, with the window that is open or comes next."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="deadlines")
    index = models.IntegerField()
    period_start = models.BigIntegerField()
    open_epoch = models.BigIntegerField()
    close_epoch = models.BigIntegerField()
    challenge_epoch = models.BigIntegerField()
    cutoff_epoch = models.BigIntegerField()
    """From here on faults and recoveries of this window cannot be declared any more."""
    partitions_count = models.IntegerField(default=0)
    live = models.BigIntegerField(default=0)
    active = models.BigIntegerField(default=0)
    faulty = models.BigIntegerField(default=0)
    recovering = models.BigIntegerField(default=0)
    faulty_since = models.BigIntegerField(null=True)
    """Epoch of the head at which the oldest of its faults was first seen, while there are any."""
    forecast = models.CharField(max_length=16, choices=Forecast.choices, default=Forecast.NOTHING)
    reason = ReasonCharField(max_length=200, blank=True)
    """Why the forecast is what it is."""
    reason_coded = CodedField()
    root = CidField(blank=True, default="")
    """What named its state when its partitions were read: while it stays, so do they."""
    refreshed_height = models.BigIntegerField(default=-1)
    checked_open = models.BigIntegerField(null=True)
    """The opening of the last window for which the sectors' files were checked ahead."""
    stores = models.JSONField(default=list)
    """Names of the stores in which its sectors lay then."""
    unmet_preconditions = models.JSONField(default=dict)
    """Missing preconditions of its next proof: by the name of each, the reason in English."""
    unmet_coded = models.JSONField(default=dict, db_default={})
    """Codes and values of those reasons, by the same names."""
    miss = models.FloatField(null=True)
    """Probability that the next proof does not land, from measured times; None while not measured."""

    class Meta:
        ordering = ["miner_id", "index"]
        constraints = [models.UniqueConstraint(fields=["miner", "index"], name="one_row_per_deadline")]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.index}"

    @property
    def unmet(self) -> dict[str, Reason | str]:
        """Return the missing preconditions of its next proof: by the name of each, the reason."""
        texts = self.unmet_preconditions.items()
        return {name: coded_read(text, self.unmet_coded.get(name)) for name, text in texts}

    @unmet.setter
    def unmet(self, reasons: Mapping[str, Reason]) -> None:
        self.unmet_preconditions = {name: str(reason) for name, reason in reasons.items()}
        self.unmet_coded = {name: coded(reason) for name, reason in reasons.items()}


class FollowedWindows(models.Model):
    """How far a miner's windows and partitions were followed."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, related_name="+")
    root = CidField()
    """Of its deadlines: while it stays, so do their partitions."""
    next_close = models.BigIntegerField()
    """The epoch at which the first of its windows closes, so that a row is written."""

    def __str__(self) -> str:
        return f"windows of {self.miner} until {self.next_close}"


class Partition(models.Model):
    """One partition of a deadline: its sectors as sorted lists of numbers."""

    deadline = models.ForeignKey(Deadline, on_delete=models.CASCADE, related_name="partitions")
    index = models.IntegerField()
    all_sectors = models.JSONField(default=list)
    live = models.JSONField(default=list)
    active = models.JSONField(default=list)
    faulty = models.JSONField(default=list)
    faulty_since = models.JSONField(default=dict)
    """Epoch of the head at which each of them was first seen faulty, by its number."""
    recovering = models.JSONField(default=list)

    class Meta:
        ordering = ["deadline_id", "index"]
        constraints = [models.UniqueConstraint(fields=["deadline", "index"], name="one_row_per_partition")]

    def __str__(self) -> str:
        return f"{self.deadline} partition {self.index}"
