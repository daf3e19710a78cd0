"""Abstract rows for domain apps; console machines, their processes' leases, contract steps, backups."""

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
    able_since = models.DateTimeField(null=True)
    """Since when it reaches all that its work needs; None: it does not, or its version does not report it."""

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


class Console(models.Model):
    """A console machine of the pool; its own web processes keep the row (`consoles`)."""

    machine = models.TextField(primary_key=True)
    """Its POOLSITE_MACHINE."""
    folder = models.TextField(blank=True, default="")
    """Id of its `POOLSITE_VAR`: two machines may be called the same."""
    version = models.TextField(blank=True, default="")
    joined_at = models.DateTimeField(null=True)
    """When it fetched what consoles share; None: it was there before, or was given it by hand."""
    joined_by = models.TextField(blank=True, default="")
    """Who made its join token."""
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    """In the database's time; None: it has joined and not started yet."""
    disk_free = models.BigIntegerField(default=0)
    disk_total = models.BigIntegerField(default=0)
    probes = models.JSONField(default=dict)
    """SHA-256 of the file that it wrote into each shared folder, by the folder's setting."""
    unread = models.JSONField(default=list)
    """Probes of others that it cannot read: machine, setting, folder, reason."""
    probed_at = models.DateTimeField(null=True)
    """When it last tried to read them all."""

    def __str__(self) -> str:
        return self.machine


class Backup(models.Model):
    """A backup of the pool's database that `make backup` has written, on whichever machine."""

    taken_at = models.DateTimeField(db_index=True)
    """When it began: what was written later is not in it."""
    machine = models.TextField()
    folder = models.TextField()
    dump_bytes = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.folder} on {self.machine}"
