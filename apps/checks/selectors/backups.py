"""When the pool was last backed up, as `make backup` wrote it down: a row, and a file on its machine."""

from __future__ import annotations

import json
from datetime import datetime

from django.conf import settings

from apps.core.models import Backup


def backup_last_taken() -> datetime | None:
    """Return when the last backup was begun, on whichever machine; None if none is on record.

    After a restore the row of the newest one is missing, as it was written after the dump.
    """
    row = Backup.objects.order_by("-taken_at").first()
    known = [at for at in (row.taken_at if row else None, _taken_here()) if at is not None]
    return max(known, default=None)


def _taken_here() -> datetime | None:
    try:
        entry = json.loads((settings.VAR / "last_backup.json").read_text())
        return datetime.fromisoformat(entry["taken_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
