"""A database that `make servers` has copied whole is the pool; the one that it left would begin recovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.core.clock import now
from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import database_moved_note, marker_read, restore_check
from poolsite.embedded.servers import MOVED


@pytest.mark.django_db(transaction=True)
def test_a_database_that_was_moved_whole_is_no_restore(tmp_path: Path, settings: Any) -> None:
    settings.DATABASE_MARKER = tmp_path / "marker"
    Recovery.objects.update_or_create(pk=1, defaults={"fingerprint": {"cluster": "the embedded one"}})

    database_moved_note()

    row = restore_check(now=now())
    assert row.since is None
    assert marker_read()["pool"] == str(row.pool)
    Recovery.objects.update(fingerprint=MOVED)
    assert restore_check(now=now()).since is not None
