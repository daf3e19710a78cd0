"""What the pool charges its tenants: the terms, what each day came to, and the monthly statements."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar, Final

from django.db import models

from apps.blocks.states import ChargeKind
from apps.core.fields import AddressField, AttoFilField
from apps.core.models import Named
from apps.miners.models import Miner
from apps.users.models import Tenant
from poolsite.filecoin.sizes import TIB

SHARE_PLACES: Final = 4
"""Digits of a percentage after its point."""


REFERENCE_MAX: Final = 200
"""Characters of a note, or of what a payment is known by."""


class BillingTerms(models.Model):
    """What a tenant is charged from a day on, until its next terms; a row is never changed.

    All amounts are rounded down to whole attoFIL, each charge by itself.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="billing_terms")
    from_day = models.DateField()
    """First UTC day; of several rows with the same one the newest holds."""
    reward_percent = models.DecimalField(
        max_digits=3 + SHARE_PLACES, decimal_places=SHARE_PLACES, default=Decimal(0)
    )
    """Percent of the rewards of blocks, less their penalties."""
    power_price = AttoFilField(default=0)
    """attoFIL for a TiB of QA power and a day."""
    monthly_sum = AttoFilField(default=0)
    """attoFIL for a calendar month; a part of a month pays for its days."""
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-from_day", "-pk"]
        indexes = [models.Index(fields=["tenant", "from_day"], name="terms_by_day")]

    def __str__(self) -> str:
        return f"terms of {self.tenant.name} from {self.from_day}"

    def reward_fee(self, rewards: int) -> int:
        """Return the share of rewards, in attoFIL; of a loss there is none."""
        units = int(self.reward_percent.scaleb(SHARE_PLACES))
        return max(rewards, 0) * units // (100 * 10**SHARE_PLACES)

    def power_fee(self, power: int) -> int:
        """Return what a day of QA power in bytes costs, in attoFIL."""
        return power * int(self.power_price) // TIB

    def monthly_fee(self, days: int, *, of: int) -> int:
        """Return what so many days of a month of `of` days cost, in attoFIL."""
        return int(self.monthly_sum) * days // of


class Statement(Named):
    """What a tenant owes for a month; but for its payment it never changes."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="statements")
    month = models.DateField()
    """Its first day, in UTC."""
    total = AttoFilField()
    """Sum of its charges; below 0 where corrections outweigh them."""
    closed_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    """When it was marked as paid; None while it is open."""
    payment = models.CharField(max_length=REFERENCE_MAX, blank=True)
    """What it was paid by: a message's CID, or words."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-month", "pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "month"], name="one_statement_per_month")]
        indexes = [
            models.Index(fields=["tenant"], name="statements_open", condition=models.Q(paid_at=None)),
        ]

    def __str__(self) -> str:
        return f"statement of {self.tenant.name} for {self.month:%Y-%m}"


class Charge(models.Model):
    """One amount that a tenant is charged, with what it was computed from; it never changes.

    It stays when its miner is removed from the pool.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="charges")
    statement = models.ForeignKey(Statement, null=True, on_delete=models.PROTECT, related_name="charges")
    """None until the month is closed."""
    kind = models.CharField(max_length=16, choices=ChargeKind.choices)
    day = models.DateField()
    """UTC day that it is for; of a monthly sum the first one."""
    miner = models.ForeignKey(Miner, null=True, on_delete=models.SET_NULL, related_name="charges")
    miner_address = AddressField(blank=True, default="")
    """Empty: it is for no miner."""
    basis = AttoFilField(null=True)
    """attoFIL of rewards less penalties, bytes of QA power, or days of the month; None: it is unknown."""
    terms = models.ForeignKey(BillingTerms, null=True, on_delete=models.PROTECT, related_name="charges")
    """By which it was computed; None for a correction that somebody made."""
    unknown_blocks = models.IntegerField(default=0)
    """Blocks of the day whose reward was not known, and is not in it."""
    corrects = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="correction")
    """The charge whose missing rewards it brings; its basis is what is known of the whole day since."""
    amount = AttoFilField()
    """attoFIL; below 0 it is a credit."""
    note = models.CharField(max_length=REFERENCE_MAX, blank=True)
    """Why somebody made a correction."""
    key = models.CharField(max_length=100, null=True)  # noqa: DJ001  # unique needs NULL
    """The caller's idempotency key, of a correction that somebody made."""

    class Meta:
        ordering: ClassVar[list[str]] = ["-day", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["miner_address", "day", "kind"],
                name="one_charge_per_miner_and_day",
                condition=models.Q(kind__in=["REWARDS", "POWER"]),
            ),
            models.UniqueConstraint(fields=["tenant", "key"], name="one_correction_per_key"),
        ]
        indexes = [
            models.Index(fields=["tenant", "-day"], name="charges_by_day"),
            models.Index(fields=["tenant", "day"], name="charges_open", condition=models.Q(statement=None)),
            models.Index(fields=["day"], name="charges_unknown", condition=models.Q(unknown_blocks__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.tenant.name} on {self.day}"
