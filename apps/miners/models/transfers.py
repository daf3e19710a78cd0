"""Transfers of miners between tenants."""

from __future__ import annotations

from django.db import models

from apps.core.models import Named
from apps.miners.models.miners import Miner
from apps.users.models import Tenant


class MinerTransfer(Named):
    """A miner went from one tenant to another; the row repeats the answer to a repeated request."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="transfers")
    from_tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    to_tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=100, null=True)  # noqa: DJ001  # unique needs NULL
    """The caller's idempotency key."""
    actor = models.CharField(max_length=200)
    at = models.DateTimeField()
    sectors = models.BigIntegerField(default=0)
    """How many went with it."""
    messages = models.BigIntegerField(default=0)
    """How many to it were on their way; they stay the old tenant's."""
    tokens_kept = models.JSONField(default=list)
    """Names of the old tenant's tokens that lost it and are for other miners still."""
    tokens_revoked = models.JSONField(default=list)
    """Names of the old tenant's tokens that were for it alone."""

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["miner", "key"], name="one_transfer_per_key")]

    def __str__(self) -> str:
        return f"{self.miner} from {self.from_tenant.name} to {self.to_tenant.name}"
