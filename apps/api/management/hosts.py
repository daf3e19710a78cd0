"""Hosts as commands name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.management.base import CommandError

from apps.api.management.caller import COMMAND
from apps.sectors.selectors.hosts import workers_visible

if TYPE_CHECKING:
    from apps.sectors.models import Worker


def host_by_name(name: str) -> Worker:
    """Return the host with this name or id.  Raises CommandError, which tells hosts of one name apart."""
    rows = [one for one in workers_visible(COMMAND) if name in (one.name, str(one.uuid))]
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise CommandError(f"no host is called {name}: `manage.py hosts list` lists them")
    ids = ", ".join(f"{one.uuid} on {one.host}" for one in rows)
    raise CommandError(f"{len(rows)} hosts are called {name}: use the ID ({ids})")
