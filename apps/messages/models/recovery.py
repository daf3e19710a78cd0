"""Whether this database was restored from a backup, and the pool's name at its signers."""

from __future__ import annotations

import uuid

from django.db import models

from apps.core.fields import AddressField, AttoFilField, CidField
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.messages.models.messages import MESSAGE_ID_MAX


class UnmatchedMessage(models.Model):
    """A message of an own sender that no row explains, found in recovery after a restore."""

    cid = CidField(unique=True)
    unsigned_cid = CidField()
    from_addr = AddressField()
    nonce = models.BigIntegerField()
    to = AddressField()
    value = AttoFilField()
    method = models.BigIntegerField()
    params = models.BinaryField(default=b"")
    gas_limit = models.BigIntegerField()
    gas_fee_cap = AttoFilField()
    gas_premium = AttoFilField()
    height = models.BigIntegerField(null=True)
    """Where it landed; None: it was in the node's pool."""
    found_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True, default="")
    message_id = models.CharField(max_length=MESSAGE_ID_MAX, blank=True, default="")
    """The message that a person said it is; empty once decided: somebody else's."""

    class Meta:
        ordering = ("from_addr", "nonce")
        indexes = [
            models.Index(
                fields=["from_addr"], name="unmatched_open", condition=models.Q(decided_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.from_addr} nonce {self.nonce}"


class Recovery(WithReasons):
    """The database's own identity; a single row."""

    pool = models.UUIDField(default=uuid.uuid4)
    """Names the pool in the signers' records; a restored database has the same."""
    fingerprint = models.JSONField(default=dict)
    """What PostgreSQL said of this database when it was last known to be whole."""
    since = models.DateTimeField(null=True)
    """In recovery since then; None: it is not."""
    restored_at = models.DateTimeField(null=True)
    """When recovery last began; it stays when that is over."""
    reason = ReasonCharField(max_length=1000, blank=True, default="")
    reason_coded = CodedField()
    from_height = models.BigIntegerField(default=-1)
    """Newest head whose landings the database knew when recovery began."""
    read_height = models.BigIntegerField(null=True)
    """Head up to which the chain was read back."""
    matched = models.PositiveIntegerField(default=0)
    """Messages on chain or in the node's pool that were matched with their rows."""
    sectors_since = models.DateTimeField(null=True)
    """Sectors are read back since then; None: those of all miners and hosts were."""
    sectors_recovered = models.PositiveIntegerField(default=0)
    """Sectors that were imported or moved to where the chain or a host has them."""
    pledges_settled_at = models.DateTimeField(null=True)
    """When a person last said that no client repeats a pledge that the backup lacks."""
    moves_settled_at = models.DateTimeField(null=True)
    """When a person last said that the heights of miners' moves are those that count."""
    ended_at = models.DateTimeField(null=True)
    """When the last of messages and sectors were read back."""

    def __str__(self) -> str:
        return f"pool {self.pool}"
