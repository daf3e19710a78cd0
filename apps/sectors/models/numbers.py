"""Sector numbers of miners: which are given out, and to whom some are reserved."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.miners.models import Miner
from apps.sectors.states import (
    RESERVATION_TRANSITIONS,
    ReservationState,
)


class SectorNumbers(models.Model):
    """The next free sector number of a miner; only grows, so that no number is ever used twice."""

    miner = models.OneToOneField(Miner, on_delete=models.PROTECT, related_name="numbers")
    next_number = models.BigIntegerField(default=0)
    skipped_at = models.DateTimeField(null=True)
    """The restore after which numbers were passed over last."""
    on_hosts = models.JSONField(default=list)
    """Numbers of which hosts had files after a restore, as run lengths; none of them is given again."""
    read_back_at = models.DateTimeField(null=True)
    """When the miner's sectors were last read back from the chain after a restore."""
    exported_at = models.DateTimeField(null=True)
    """Since when another program gives the numbers out, from a `sectorid` file; None: the pool does."""

    def __str__(self) -> str:
        return f"{self.miner}: next {self.next_number}"


class NumberReservation(Named, Timestamped):
    """Sector numbers that the pool gives to nobody else: by name for as long as it likes, or on a lease."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = RESERVATION_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="reservations")
    name = models.CharField(max_length=100)
    """What lotus calls the reservation; of a lease the program that has it."""
    state = models.CharField(
        max_length=16, choices=ReservationState.choices, default=ReservationState.RESERVED
    )
    runs = models.JSONField(default=list)
    """The numbers as run lengths, the first of them without."""
    count = models.BigIntegerField()
    last = models.BigIntegerField()
    """The largest of them."""
    is_lease = models.BooleanField(default=False)
    expires_at = models.DateTimeField(null=True)
    """Of a lease."""
    actor = models.CharField(max_length=200)
    key = models.CharField(max_length=100, null=True)  # noqa: DJ001  # unique needs NULL
    """The caller's idempotency key."""

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["miner", "key"], name="one_reservation_per_key"),
            models.UniqueConstraint(
                fields=["miner", "name"],
                name="one_open_reservation_per_name",
                condition=models.Q(is_lease=False, state=ReservationState.RESERVED),
            ),
        ]
        indexes = [
            models.Index(fields=["miner", "last"], name="reservations_ahead"),
            models.Index(
                fields=["expires_at"],
                name="number_leases_open",
                condition=models.Q(state=ReservationState.RESERVED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.miner}: {self.count} for {self.name}"
