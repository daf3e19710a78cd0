"""What the step before all others waits for, and what ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from django.db.migrations.recorder import MigrationRecorder

from poolsite.embedded.attempts import is_temporary
from poolsite.embedded.installation import require_version
from poolsite.embedded.paths import SITE


@pytest.mark.parametrize(
    ("text", "may_wait"),
    [
        ("the database system is starting up", True),
        ("server closed the connection unexpectedly", True),
        ('FATAL:  database "pool" does not exist', False),
        ("FATAL:  unsupported startup parameter in options: tcp_keepalives_idle", False),
    ],
)
def test_only_what_waiting_can_fix_is_waited_for(text: str, may_wait: bool) -> None:
    assert is_temporary(psycopg2.OperationalError(text)) == may_wait


@pytest.mark.django_db
def test_tables_that_are_known_by_a_former_name_are_not_newer() -> None:
    MigrationRecorder.Migration.objects.filter(app="proving", name__startswith="0004_").update(
        name="0004_plain_names"
    )

    assert not require_version()


def test_a_folder_that_cannot_be_read_ends_make_migrate_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "console.json").write_text("{")
    of_the_folder = {"POOLSITE_VAR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "poolsite.settings.embedded"}

    done = subprocess.run(
        [sys.executable, "-m", "poolsite.embedded.migration"],
        cwd=SITE,
        env=os.environ | of_the_folder,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"Not migrated: {tmp_path}/console.json cannot be read")
    assert done.stderr.count("\n") == 1
