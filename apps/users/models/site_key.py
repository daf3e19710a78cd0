"""With which SECRET_KEY the database's secrets are encrypted."""

from __future__ import annotations

from django.db import models


class SiteKey(models.Model):
    """A single row: whoever cannot read it has another key."""

    check_text = models.TextField()
    """A known word, encrypted."""

    def __str__(self) -> str:
        return "the site's key"
