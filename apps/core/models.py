"""Abstract rows that the domain apps build on, the leases of the console's processes, and contract steps."""

from __future__ import annotations

import uuid

from django.db import models


class Timestamped(models.Model):
    """A row that knows when it was made and last saved; `QuerySet.update` must set `updated_at` itself."""

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class Named(models.Model):
    """A row with a name for the outside that tells nothing about its number or its neighbours."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    class Meta:
        abstract = True


class ProcessLease(models.Model):
    """One run of a console process; its database sessions carry its name.  `process_leases` writes it."""

    session = models.TextField(primary_key=True)
    machine = models.TextField()
    process = models.TextField()
    until = models.DateTimeField()
    """In the database's time; renewed every few seconds."""
    is_given_up = models.BooleanField(default=False)
    """Others have ended its sessions; it exits when it wakes."""
    knows = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    """The newest migration of each app in its version; empty of versions that did not say."""

    def __str__(self) -> str:
        return f"{self.process} on {self.machine}"


class ContractStep(models.Model):
    """A migration that took away what older versions use; `migration_steps` writes, `versions` reads it."""

    migration = models.TextField(primary_key=True)
    """As `app.name`, as all names of migrations here."""
    needs = models.TextField()
    """Only versions that have this migration may run since."""

    def __str__(self) -> str:
        return f"{self.migration} needs {self.needs}"
