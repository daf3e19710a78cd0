"""Checks of sectors' files: each run, and what was last found of each sector."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, ReasonTextField, WithReasons
from apps.core.reasons import Reason, coded_read
from apps.miners.models import Miner
from apps.proving.states import CHECK_TRANSITIONS, CheckKind, CheckState
from apps.sectors.models import Job


class CheckRun(WithReasons, Named, Timestamped):
    """One check by one host of the files of some sectors of a deadline."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = CHECK_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="check_runs")
    kind = models.CharField(max_length=16, choices=CheckKind.choices)
    state = models.CharField(max_length=16, choices=CheckState.choices, default=CheckState.RUNNING)
    deadline_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    """Of the window that it is for."""
    partitions = models.JSONField(default=list)
    store = models.CharField(max_length=110, blank=True)
    """Where the files should lie; empty: in whichever store the host has."""
    sectors = models.JSONField(default=list)
    """Numbers, while it runs."""
    count = models.IntegerField(default=0)
    bad = models.JSONField(default=list)
    """Number, path, and reason with its code, of each sector whose files are not good."""
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="check_run")
    host = models.CharField(max_length=100, blank=True)
    ms = models.BigIntegerField(default=0)
    """How long it took the host."""
    read_ms = models.BigIntegerField(default=0)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()
    actor = models.CharField(max_length=200, blank=True)
    """Who asked for it; empty: the pool itself."""

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["miner", "deadline_index", "-id"], name="checks_of_a_deadline"),
            models.Index(fields=["miner"], name="checks_running", condition=models.Q(state="RUNNING")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.miner} deadline {self.deadline_index}"

    @property
    def bad_reasons(self) -> list[Reason | str]:
        """Return why the files of each of its bad sectors are not good, in their order."""
        return [coded_read(one["reason"], one.get("reason_coded")) for one in self.bad]


class SectorCheck(WithReasons):
    """What was last found of a sector's files in one store."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="sector_checks")
    number = models.BigIntegerField()
    deadline_index = models.IntegerField()
    store = models.CharField(max_length=110, blank=True)
    host = models.CharField(max_length=100, blank=True)
    """Name of the worker that checked."""
    is_good = models.BooleanField()
    path = models.CharField(max_length=300, blank=True)
    """Of the sealed file, where it is bad."""
    reason = ReasonCharField(max_length=300, blank=True)
    reason_coded = CodedField()
    good_in = models.CharField(max_length=110, blank=True)
    """Another store, from which a proof read it; only a check of this one can say that it is good again."""
    checked_at = models.DateTimeField()
    height = models.BigIntegerField()
    """The head's when it was found; of several checks close together, at the first."""
    bad_since = models.BigIntegerField(null=True)
    """The head's height when it was first found bad, while it is."""
    bad_times = models.IntegerField(default=0)
    """Checks in a row that found it bad, at least `interval_epochs` apart."""

    class Meta:
        ordering = ["miner_id", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["miner", "number", "store"], name="one_check_per_sector_and_store"
            )
        ]
        indexes = [
            models.Index(
                fields=["miner", "deadline_index"], name="sectors_bad", condition=models.Q(is_good=False)
            )
        ]

    def __str__(self) -> str:
        return f"{self.miner} {self.number} in {self.store or 'any store'}"
