"""What tenants were granted: miners, signers, and accounts that their signers serve.

Source: ipfs-force-community/sophon-auth storage/store.go for what its clients see of these rows.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from apps.core.fields import AddressField
from apps.users.models.tenants import Tenant


class MinerGrant(models.Model):
    """A miner actor belongs to one tenant."""

    actor_id = models.BigIntegerField(unique=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="miner_grants")
    open_mining = models.BooleanField(default=True)
    """Whether the pool makes blocks for it."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"f0{self.actor_id}"


class SignerGrant(models.Model):
    """A tenant may have messages signed for this address; an address may serve several tenants."""

    address = AddressField()
    """Of a key (protocol 1, 3 or 4)."""
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="signer_grants")
    is_by_hand = models.BooleanField(default=False)
    """Whether a person or program granted it; false: it was granted when a signer connected."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["address", "tenant"], name="one_grant_per_address_and_tenant")
        ]

    def __str__(self) -> str:
        return f"{self.address} of {self.tenant.name}"


class AccountApproval(models.Model):
    """The tenant `account` agrees that the signers of `signer_tenant` serve it, or was asked to.

    A signer names the accounts that it supports; without approval (or the same tenant) they are left out,
    since otherwise any signer could get its addresses registered under a stranger's name.
    """

    signer_tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="serves")
    account = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="served_by")
    created_at = models.DateTimeField(default=timezone.now)
    """When a signer first asked."""
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["signer_tenant", "account"], name="one_approval_per_pair_of_tenants"
            )
        ]

    def __str__(self) -> str:
        return f"{self.signer_tenant.name} serves {self.account.name}"
