"""The zone in which a person reads times."""

from __future__ import annotations

from django.db import transaction

from apps.core.errors import BadValue
from apps.core.local_time import zone_names
from apps.core.marked_texts import gettext
from apps.users.models import User
from apps.users.services.access import access_change_publish


@transaction.atomic
def time_zone_choose(person: User, *, time_zone: str) -> None:
    """Keep a person's time zone, or "" for UTC; their open pages load themselves in it.

    Like the language it is a matter of taste: the audit log has no entry of it.  Raises BadValue.
    """
    if time_zone and time_zone not in zone_names():
        raise BadValue(
            gettext("{time_zone!r} is not a time zone").format(time_zone=time_zone[:64]), field="time_zone"
        )
    person.time_zone = time_zone
    person.save(update_fields=["time_zone"])
    access_change_publish()
