"""The language in which a person reads the pages."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.users.models import User
from apps.users.services.access import access_change_publish


@transaction.atomic
def language_choose(person: User, *, language: str) -> None:
    """Keep a person's language, or "" for the browser's; their open pages load themselves in it.

    Like the theme it is a matter of taste: the audit log has no entry of it.  Raises BadValue.
    """
    if language and language not in dict(settings.LANGUAGES):
        raise BadValue(gettext("{language!r} is not a language").format(language=language), field="language")
    person.language = language
    person.save(update_fields=["language"])
    access_change_publish()
