"""The audit log: who changed what, each entry with the hash of the one before it."""

from __future__ import annotations

from django.db import models

from apps.users.models.tenants import Tenant


class AuditEntry(models.Model):
    """Who did what, when and from where; each row holds the hash of the one before it."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    """Person, token or process, as `Principal.actor` says."""
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=64, blank=True)
    """Network address of the caller, where there is one."""
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    previous_hash = models.CharField(max_length=64, blank=True)
    entry_hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="audit_of_tenant"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.target}"
