"""A row with every column of `apps.core.fields` and a small state table."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models

from apps.core.fields import AddressField, AttoFilField, CidField

TRANSITIONS: Final = {
    "QUEUED": {"CLAIM": "RUNNING", "DROP": "DROPPED"},
    "RUNNING": {"DONE": "FINISHED", "DROP": "QUEUED"},
}


class Sample(models.Model):
    """Made in the test database by the fixture `samples`; no migration knows it."""

    TRANSITIONS: ClassVar = TRANSITIONS
    state = models.CharField(max_length=16, default="QUEUED")
    address = AddressField(blank=True, default="")
    cid = CidField(null=True)
    amount = AttoFilField(default=0)

    objects: ClassVar[models.Manager[Sample]] = models.Manager()

    class Meta:
        app_label = "core"

    def __str__(self) -> str:
        return f"sample {self.pk}"
