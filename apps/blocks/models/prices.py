"""What a FIL was worth on each day, as the operator's file or URL says."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons


class DayPrice(models.Model):
    """The price of one FIL on a UTC day; a day without a row has none, and none is guessed."""

    day = models.DateField()
    currency = models.CharField(max_length=8)
    """As `FIL_PRICES_CURRENCY` names it."""
    price = models.DecimalField(max_digits=24, decimal_places=12)

    class Meta:
        ordering: ClassVar[list[str]] = ["-day"]
        constraints = [models.UniqueConstraint(fields=["day", "currency"], name="one_price_per_day")]

    def __str__(self) -> str:
        return f"{self.price} {self.currency} on {self.day}"


class PriceReading(WithReasons):
    """When prices were read last; a single row."""

    tried_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    """When that succeeded last."""
    error = ReasonCharField(max_length=300, blank=True, default="")
    """Why not at the last try; empty if it did."""
    error_coded = CodedField()

    def __str__(self) -> str:
        return f"prices read at {self.read_at}"
