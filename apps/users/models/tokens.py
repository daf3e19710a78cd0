"""Tokens of the API.

Source: ipfs-force-community/sophon-auth storage/store.go for what its clients see of these rows.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from apps.users.models.tenants import Tenant
from apps.users.states import Perm


class Token(models.Model):
    """A program's key: the text is a JWT that only its holder has; we keep its SHA-256."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=100)
    """What the holder is called on pages and in the audit log."""
    perm = models.CharField(max_length=8, choices=Perm.choices)
    scopes = models.JSONField(default=list, blank=True)
    """Scopes of the machine interface that it is limited to, e.g. `["signer"]`; empty: no limit."""
    methods = models.JSONField(default=list, blank=True)
    """Patterns of what it may call, e.g. `["Gateway.*", "rest.MinersView"]`; empty: no limit."""
    miners = models.JSONField(default=list, blank=True)
    """Actor ids of the miners that it sees and addresses; empty: all of its tenant."""
    signers = models.JSONField(default=list, blank=True)
    """Addresses for which it may have something signed; empty: all of its tenant."""
    ext = models.CharField(max_length=255, blank=True)
    """The `ext` claim, free text of sophon-auth."""
    is_operator = models.BooleanField(default=False)
    """Sees the rows of every tenant."""
    joins = models.CharField(max_length=16, blank=True)
    """Of a join token: the part, `sealer` or `prover`, for which one host exchanges it once."""
    joined_uid = models.CharField(max_length=80, blank=True)
    """Of a join token: uid of the host that has exchanged it."""
    joined_token = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="join_token"
    )
    """Of a join token: what the host got for it."""
    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of the whole text, hex."""
    hint = models.CharField(max_length=8)
    """The last characters of the text, to tell tokens apart on a page."""
    created_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    """Username of the person who created it, or created the token that did; empty: not known."""
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.tenant.name}/{self.name}"
