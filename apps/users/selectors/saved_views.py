"""Reading how people like their lists."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from apps.users.models import SavedView


def saved_views_of(person: AbstractBaseUser | AnonymousUser, page: str) -> dict[str, str]:
    """Return the queries that a person saved of a list, by name; "" has the columns that it always hides."""
    rows = SavedView.objects.filter(user=person.pk, page=page).order_by("name")
    return dict(rows.values_list("name", "query"))
