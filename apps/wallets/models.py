"""Addresses of which a signer holds the key, and the console's copy of what was signed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import models

from apps.core.fields import AddressField, AttoFilField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.users.models import Tenant

SERVED_S: Final = timedelta(seconds=30)
"""A signer that was not seen for so long is away."""


class Wallet(models.Model):
    """One address: what the chain says of it and who can sign for it."""

    address = AddressField(unique=True)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="wallets")
    """Whose signer brought it first."""
    account = models.CharField(max_length=50)
    """Name under which the hub finds that signer."""
    key_type = models.CharField(max_length=16)
    """`secp256k1`, `bls` or `delegated`."""
    label = models.CharField(max_length=60, blank=True)
    balance = AttoFilField(null=True)
    """None until the chain was asked."""
    actor_id = models.BigIntegerField(null=True)
    """None until the address has received something."""
    data_cap = models.BigIntegerField(null=True)
    """Bytes of DataCap that it has left as a client of FIL+; None: none, or not read yet."""
    nonce = models.BigIntegerField(null=True)
    """The next one, as the newest head says."""
    seen_at = models.DateTimeField(null=True)
    """Last time a signer with this key was connected."""
    checked_at = models.DateTimeField(null=True)
    """Last time the chain was asked: balance and nonce are as of then."""
    moved_at = models.DateTimeField(null=True)
    """When a message from or to it was last seen on the chain, or left it."""
    created_at = models.DateTimeField(auto_now_add=True)

    signer_label = ""
    """Its key's label at the signer, where `wallets_named` read the row."""

    def __str__(self) -> str:
        return self.label or str(self.address)

    @property
    def shown_label(self) -> str:
        """Return its label here, else its key's at the signer; may be empty."""
        return self.label or self.signer_label

    def is_served(self, at: datetime) -> bool:
        """Return whether a signer with this key is connected.

        What `wallets_visible` read of its connection counts too: it needs no head to be fresh.
        """
        times = (self.seen_at, getattr(self, "signer_seen_at", None))
        return any(seen is not None and at - seen < SERVED_S for seen in times)


class RemoteWallet(WithReasons, Named, Timestamped):
    """A wallet that does not connect to the gateway: the pool connects to it, as other messagers do.

    lotus-wallet, venus-wallet and a signer of ours behind a firewall are such ones.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="remote_wallets")
    """The tenant that its keys belong to."""
    name = models.CharField(max_length=60)
    url = models.TextField()
    token = models.TextField()
    """Encrypted; shown to nobody."""
    is_private = models.BooleanField(default=False)
    """Whether it may be in a private network, as an operator has named it; else its address is public."""
    is_enabled = models.BooleanField(default=True)
    process = models.CharField(max_length=64, blank=True)
    """The process that is connected to it, until `held_until`."""
    held_until = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    """When it last listed its keys."""
    error = ReasonCharField(max_length=300, blank=True)
    """Why it does not serve, or which key it could not prove; empty: it serves."""
    error_coded = CodedField()
    connection = models.UUIDField(null=True)
    """The gateway's connection by which its keys sign."""

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_remote_wallet_per_name")]

    def __str__(self) -> str:
        return f"{self.name} of {self.tenant_id}"


class SignRecord(WithReasons):
    """Something that a signer was asked to sign, and whether it did; the signer's own log is the truth."""

    at = models.DateTimeField()
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.PROTECT, related_name="+")
    """For whom."""
    address = AddressField()
    what = ReasonCharField(max_length=200)
    """In words: `message: method 5 to f01001`."""
    what_coded = CodedField()
    cid = models.CharField(max_length=128, blank=True)
    asked_by = models.CharField(max_length=200)
    ms = models.PositiveIntegerField(null=True)
    """How long the signer took."""
    error = ReasonCharField(max_length=500, blank=True)
    """Why not; empty if it signed."""
    error_coded = CodedField()
    rule = models.CharField(max_length=100, blank=True)
    """Rule of the signer's policy that allowed it, where the signer reports it."""

    class Meta:
        indexes = [
            models.Index(fields=["-at"]),
            models.Index(fields=["tenant", "-at"]),
            models.Index(fields=["address", "-at"], name="sign_records_of_a_wallet"),
            models.Index(fields=["-at"], name="sign_records_refused", condition=~models.Q(error="")),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.what}"
