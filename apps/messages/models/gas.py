"""What gas has cost, what it may cost, and when proofs pay more."""

from __future__ import annotations

import uuid

from django.db import models

from apps.core.fields import AddressField, AttoFilField
from apps.core.models import Timestamped
from apps.users.models import Tenant


class GasSpend(models.Model):
    """What the messages of one kind that landed on one day cost; grows with days, not with messages."""

    day = models.DateField()
    """UTC day on which the landing was written."""
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.PROTECT, related_name="+")
    from_addr = AddressField()
    to = AddressField(blank=True, default="")
    """Empty for transfers: they may have any number of receivers."""
    method = models.BigIntegerField()
    kind = models.CharField(max_length=32, blank=True, default="")
    messages = models.BigIntegerField(default=0)
    gas_used = models.BigIntegerField(default=0)
    cost = AttoFilField(default=0)
    """attoFIL: burnt base fee, burnt over-estimation and tips."""

    class Meta:
        indexes = [models.Index(fields=["to", "day"], name="gas_spend_receiver")]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "tenant", "from_addr", "to", "method", "kind"],
                nulls_distinct=False,
                name="gas_spend_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.from_addr} method {self.method}"


class GasGuard(Timestamped):
    """A limit on what gas may cost; of several that fit a message the tightest holds.

    Messages with a deadline on chain and gap fillers are neither held nor stopped by a budget, unless
    the guard names their kind; a cap holds for them too.
    """

    uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.CASCADE, related_name="+")
    """Whose messages; None for everybody's."""
    kind = models.CharField(max_length=32, blank=True, default="")
    """What for, in the words of the app that pushes; empty for any."""
    actor = models.CharField(max_length=32, blank=True, default="")
    """Kind of the receiver: method numbers of other actors mean something else; empty for any."""
    method = models.BigIntegerField(null=True)
    """None for any."""
    max_fee = AttoFilField(default=0)
    """Most that the gas of one message may cost, whatever it wishes itself; 0 for no cap."""
    daily_budget = AttoFilField(default=0)
    """attoFIL of gas on one UTC day, messages in flight included; 0 for no budget."""
    hold_base_fee = AttoFilField(default=0)
    """Above this base fee messages are held; 0 for never."""
    hold_epochs = models.PositiveIntegerField(default=0)
    """Epochs after its push at which a held message goes all the same; 0 for no end."""

    def __str__(self) -> str:
        return f"gas guard {self.uuid}"


class AutoBumpRule(Timestamped):
    """When the proofs of a tenant pay more because their deadline is near."""

    tenant = models.OneToOneField(Tenant, on_delete=models.CASCADE, related_name="+")
    is_on = models.BooleanField(default=True)
    within_epochs = models.PositiveIntegerField(default=20)
    """So many epochs before the deadline closes, the first raise."""
    every_epochs = models.PositiveIntegerField(default=5)
    """Epochs between two raises."""
    max_fee = AttoFilField(default=0)
    """Most that one proof's gas may cost then; 0 leaves it to the other rules."""

    def __str__(self) -> str:
        return f"automatic fee bumps of {self.tenant}"
