"""A mark encrypted with the SECRET_KEY that the database's secrets are encrypted with."""

from __future__ import annotations

from django.db import models


class SiteKey(models.Model):
    """A single row: a console that cannot decrypt it has another SECRET_KEY."""

    check_text = models.TextField()
    """A known word, encrypted."""

    def __str__(self) -> str:
        return "the site's key"
