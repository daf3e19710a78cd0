"""How a person likes a list: its columns, and views that are saved by name.

Like the language it is a matter of taste: the audit log has no entry of it.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.users.models import SavedView, User
from apps.users.models.saved_views import VIEW_NAME_MAX, VIEW_QUERY_MAX

VIEWS_MAX: Final = 20
"""Views of one person and list: they stand as chips above it."""


@transaction.atomic
def saved_view_save(person: User, *, page: str, name: str, query: str) -> None:
    """Keep a list's query under a name, instead of one that has it.  Raises BadValue.

    The name "" keeps how the person always sees the list.
    """
    for field, text, most in (("name", name, VIEW_NAME_MAX), ("query", query, VIEW_QUERY_MAX)):
        if len(text) > most:
            raise BadValue(gettext("has at most {most} characters").format(most=most), field=field)
    others = SavedView.objects.filter(user=person, page=page).exclude(name__in=("", name))
    if name and others.count() >= VIEWS_MAX:
        reason = gettext("a list has at most {most} saved views: forget one first").format(most=VIEWS_MAX)
        raise BadValue(reason, field="name")
    SavedView.objects.bulk_create(
        [SavedView(user=person, page=page, name=name, query=query)],
        update_conflicts=True,
        unique_fields=["user", "page", "name"],
        update_fields=["query"],
    )


@transaction.atomic
def saved_view_forget(person: User, *, page: str, name: str) -> None:
    """Forget a view; one that is forgotten already stays so."""
    SavedView.objects.filter(user=person, page=page, name=name).delete()
