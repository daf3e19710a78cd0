"""The file beside `var` that shows an older copy of the same database files."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import connection, transaction

from apps.messages.errors import BadMessage
from apps.messages.models import Recovery
from apps.messages.selectors.recovery import recovery_now
from apps.messages.services.recovery import detect
from apps.messages.services.recovery.detect import restore_check

pytestmark = pytest.mark.django_db(transaction=True)

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def marker(settings: Any, tmp_path: Path) -> Path:
    settings.DATABASE_MARKER = tmp_path / "var.database"
    return tmp_path / "var.database"


def test_two_processes_that_look_at_once_see_no_older_copy(
    marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore_check(now=NOON)
    assert marker.exists()
    asked = detect.database_identity_read

    def overtaken() -> detect.Identity:
        seen = asked()
        monkeypatch.setattr(detect, "database_identity_read", asked)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(false, 'test', 'more log', true)")
        assert asked().position > seen.position
        restore_check(now=NOON)  # another process, whose marker is further on
        return seen

    monkeypatch.setattr(detect, "database_identity_read", overtaken)

    assert restore_check(now=NOON).since is None


def test_the_marker_shows_an_older_copy_of_the_same_files(marker: Path) -> None:
    position = ahead(marker)

    row = restore_check(now=NOON)

    assert row.since is not None
    assert "older copy" in row.reason
    assert json.loads(marker.read_text())["position"] < position


def test_an_older_copy_is_noticed_again_where_its_recovery_was_undone(marker: Path) -> None:
    ahead(marker)

    with suppress(BadMessage), transaction.atomic():
        assert restore_check(now=NOON).since is not None
        raise BadMessage("what was asked for is refused")

    assert recovery_now() is None
    assert restore_check(now=NOON).since is not None


def test_a_database_that_comes_back_is_noticed(marker: Path) -> None:
    """As of a machine that starts again after its standby was promoted: its own row knows of nothing."""
    assert restore_check(now=NOON).since is None
    told = json.loads(marker.read_text())
    assert "restored_at" not in told
    marker.write_text(json.dumps({**told, "timeline": told["timeline"] + 1, "restored_at": NOON.isoformat()}))

    row = restore_check(now=NOON + timedelta(hours=1))

    assert row.since == NOON + timedelta(hours=1)
    assert "left for another" in row.reason
    assert json.loads(marker.read_text())["restored_at"] == row.since.isoformat()
    Recovery.objects.update(since=None)
    assert restore_check(now=NOON + timedelta(hours=2)).since is None, "once"


def test_a_recovery_of_another_console_begins_none(marker: Path) -> None:
    restore_check(now=NOON)
    Recovery.objects.update(fingerprint={"timeline": 0})
    begun = restore_check(now=NOON)
    assert begun.since == NOON
    old = json.loads(marker.read_text())
    old.pop("restored_at")
    marker.write_text(json.dumps({**old, "timeline": 0}))  # the other machine's own, from before

    assert restore_check(now=NOON + timedelta(hours=1)).since == NOON


def ahead(marker: Path) -> int:
    """Write that a later position was seen, and return it."""
    assert restore_check(now=NOON).since is None
    told = json.loads(marker.read_text())
    assert told["position"] > 0
    position: int = told["position"] + 10**9
    marker.write_text(json.dumps({**told, "position": position}))
    return position
