"""Rows of console machines, and the files by which each proves that it reads what others wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as current

from apps.core import consoles
from apps.core.models import Console
from apps.users.models import AuditEntry
from poolsite.console_folder import ConsoleFolder, console_id
from poolsite.wire.hosts import VERSION

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings: Any, tmp_path: Path) -> None:
    settings.VAR = tmp_path / "var"
    settings.PIECES_DIR, settings.C1_DIR = str(tmp_path / "pieces"), str(tmp_path / "c1")


def start(settings: Any, machine: str) -> None:
    """Start the console on this machine."""
    settings.MACHINE_NAME = machine
    consoles.console_note(is_start=True)
    consoles.probes_write()


def test_a_machine_keeps_one_row_of_itself(settings: Any) -> None:
    settings.MACHINE_NAME = "first"
    Console.objects.create(machine="first", folder="old", joined_by="olga")

    consoles.console_note(is_start=True)
    begun = Console.objects.get()
    consoles.console_note()

    row = Console.objects.get()
    assert (row.folder, row.version, row.joined_by) == (console_id(settings.VAR), VERSION, "olga")
    assert row.started_at == begun.started_at
    assert row.seen_at is not None
    assert begun.seen_at is not None
    assert row.seen_at > begun.seen_at
    assert row.disk_total > row.disk_free > 0
    assert not AuditEntry.objects.exists()


def test_machines_with_the_same_folders_read_each_other(settings: Any) -> None:
    start(settings, "first")
    start(settings, "second")

    consoles.probes_read()

    row = Console.objects.get(machine="second")
    assert row.probes.keys() == {"PIECES_DIR", "C1_DIR"}
    assert (row.unread, row.probed_at is None) == ([], False)


def test_another_folder_and_another_file_are_named(settings: Any, tmp_path: Path) -> None:
    start(settings, "first")
    consoles.probe_path("C1_DIR", "first").write_text("of another pool")
    settings.PIECES_DIR = str(tmp_path / "elsewhere")
    start(settings, "second")

    consoles.probes_read()

    found = {one["setting"]: one for one in Console.objects.get(machine="second").unread}
    assert found["C1_DIR"]["reason"] == "another file is there"
    assert found["PIECES_DIR"]["reason"] == "No such file or directory"
    assert {one["machine"] for one in found.values()} == {"first"}


def test_a_file_that_was_lost_or_never_noted_is_written_again(settings: Any) -> None:
    settings.MACHINE_NAME = "first"
    consoles.probes_renew()
    consoles.console_note(is_start=True)
    consoles.probes_write()
    path = consoles.probe_path("C1_DIR", "first")
    before = path.read_text()
    consoles.probes_renew()
    assert path.read_text() == before

    path.unlink()
    consoles.probes_renew()
    assert path.exists()
    Console.objects.all().delete()  # and so it is where the database was away at the start
    consoles.console_note()
    consoles.probes_renew()

    assert Console.objects.get().probes.keys() == {"PIECES_DIR", "C1_DIR"}
    settings.MACHINE_NAME = "second"
    assert consoles.probes_differing() == []


def test_a_machine_that_is_gone_is_not_asked_for(settings: Any) -> None:
    start(settings, "first")
    Console.objects.filter(machine="first").update(seen_at="2026-01-01T00:00Z")
    consoles.probe_path("C1_DIR", "first").unlink()
    start(settings, "second")

    assert consoles.probes_differing() == []


def test_a_name_of_a_machine_leads_out_of_no_folder() -> None:
    path = consoles.probe_path("C1_DIR", "../../x")

    assert str(path.resolve()).startswith(current.C1_DIR)


def test_shared_settings_are_read_from_the_folder_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://own/db")
    settings = {"DATABASE_URL": "postgresql://given/db", "REDIS_URL": "redis://given", "PYTHONPATH": "/x"}
    ConsoleFolder(pool="p", is_joined=True, settings=settings).write(tmp_path)

    folder = ConsoleFolder.of(tmp_path)

    assert folder is not None
    assert folder.settings.keys() == {"DATABASE_URL", "REDIS_URL"}, "nothing that is no shared setting"
    assert "given" not in repr(folder)
    assert (tmp_path / "console.json").stat().st_mode & 0o077 == 0
    (tmp_path / "console.json").write_text('{"pool": "p"')
    with pytest.raises(ValueError, match=r"console\.json cannot be read"):
        ConsoleFolder.of(tmp_path)
    (tmp_path / "console.json").unlink()
    assert ConsoleFolder.of(tmp_path) is None
