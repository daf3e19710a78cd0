"""How people like their lists."""

from __future__ import annotations

from typing import Final

from django.db import models

from apps.users.models.people import User

VIEW_NAME_MAX: Final = 40
VIEW_QUERY_MAX: Final = 1000


class SavedView(models.Model):
    """A list's filters, order and columns, which a person saved under a name."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=32)
    """Name of the list."""
    name = models.CharField(max_length=VIEW_NAME_MAX)
    """Chosen by the person; empty: the columns that are hidden unless an address says otherwise."""
    query = models.CharField(max_length=VIEW_QUERY_MAX)
    """As the list's address has it, without the place in the list."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "page", "name"], name="one_view_per_person_list_and_name")
        ]

    def __str__(self) -> str:
        return f"{self.name or 'columns'} of {self.page}"
