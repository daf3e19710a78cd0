"""Abstract rows that the domain apps build on."""

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
