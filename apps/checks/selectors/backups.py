"""When the pool was last backed up, as `make backup` wrote it down."""

from __future__ import annotations

import json
from datetime import datetime

from django.conf import settings


def backup_last_taken() -> datetime | None:
    """Return when the last backup was begun; None if none is on record."""
    try:
        entry = json.loads((settings.VAR / "last_backup.json").read_text())
        return datetime.fromisoformat(entry["taken_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
