"""The migrated database that runs share: never one of other sources."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests import template


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of one migration, which takes a field from elsewhere."""
    monkeypatch.setattr(template, "SITE", tmp_path)
    for at in template.BESIDE:
        written(tmp_path / at, "")
    written(tmp_path / "apps/some/migrations/0001_initial.py", "import apps.core.fields\n")
    written(tmp_path / "apps/core/fields.py", "from poolsite.width import WIDTH\n")
    written(tmp_path / "poolsite/width.py", "WIDTH = 1\n")
    return tmp_path


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "at", ["apps/some/migrations/0001_initial.py", "apps/core/fields.py", "poolsite/width.py"]
)
def test_another_word_in_what_a_migration_uses_makes_another_database(sources: Path, at: str) -> None:
    before = template.key()

    (sources / at).write_text((sources / at).read_text() + "# more\n")

    assert template.key() != before


@pytest.mark.parametrize("at", ["apps/some/migrations/0002_more.py", "apps/some/models.py"])
def test_another_file_makes_another_database(sources: Path, at: str) -> None:
    before = template.key()

    written(sources / at, "")

    assert template.key() != before


def test_what_no_migration_uses_changes_nothing(sources: Path) -> None:
    before = template.key()

    written(sources / "apps/some/views.py", "")

    assert template.key() == before


def test_a_new_clone_of_the_same_sources_finds_the_database(
    sources: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = template.key()

    clone = tmp_path_factory.mktemp("elsewhere") / "clone"
    shutil.copytree(sources, clone)
    monkeypatch.setattr(template, "SITE", clone)
    monkeypatch.setattr(sys, "prefix", str(clone / ".venv"))
    monkeypatch.setattr(sys, "executable", str(clone / ".venv/bin/python"))

    assert template.key() == before


def kept(name: str, cache: Path, *, wanted: dict[str, str]) -> Path:
    """A database that is kept, of these migrations."""
    written(cache / "poolsite" / f"template-{name}.json", json.dumps(wanted))
    written(cache / "poolsite" / f"template-{name}.sql", "")
    return cache / "poolsite" / f"template-{name}.sql"


def test_other_sources_begin_with_the_most_of_their_own_migrations(
    sources: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert template.nearest() is None
    first = kept("first", cache, wanted=template.migrations())
    written(sources / "apps/some/migrations/0002_more.py", "")
    second = kept("second", cache, wanted=template.migrations())

    written(sources / "apps/some/migrations/0003_last.py", "")
    assert template.nearest() == second

    written(sources / "apps/some/migrations/0002_more.py", "# another\n")
    assert template.nearest() == first

    written(sources / "poolsite/width.py", "WIDTH = 2\n")  # what the first migration uses
    assert template.nearest() is None


@pytest.mark.django_db
def test_nothing_is_left_to_migrate() -> None:
    executor = MigrationExecutor(connection)

    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []
