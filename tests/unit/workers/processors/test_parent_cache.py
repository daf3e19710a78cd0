"""The file of a large graph's parents: made by one of those that need it, with room for the whole of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from poolsite import private_files
from poolsite.filecoin.porep.parameters import seal_parameters
from workers.processors import parent_cache
from workers.processors.parent_cache import PARENTS, Parents, cache_name, parents_of
from workers.storage import files
from workers.storage.files import NotEnoughSpace, Space

if TYPE_CHECKING:
    from pathlib import Path

SMALL = seal_parameters(5)
BYTES = 4 * PARENTS * SMALL.nodes


@pytest.fixture(autouse=True)
def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep small graphs, which have no published digest, in files as well."""
    monkeypatch.setattr(parent_cache, "MEMORY_NODES", 0)
    monkeypatch.setattr(parent_cache, "FILE_DIGESTS", {})


def test_two_that_find_no_file_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "LOCK_CHECK_S", 0.001)
    started, waited, made = threading.Event(), threading.Event(), []

    def compute(_: Any, rows: Parents, **__: Any) -> None:
        made.append(rows)
        started.set()
        assert waited.wait(60)
        rows[:] = 7

    monkeypatch.setattr(parent_cache, "parents_compute", compute)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(parents_of, SMALL, folder=tmp_path)
        assert started.wait(60)
        second = threads.submit(parents_of, SMALL, folder=tmp_path, progress=lambda *_: waited.set())
        found = [one.result(60) for one in (first, second)]

    assert [bool((parents == 7).all()) for parents in found] == [True, True]
    assert len(made) == 1


def test_no_file_is_begun_without_room_for_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"{cache_name(SMALL)}.tmp").write_bytes(bytes(100))  # of a run that was killed
    monkeypatch.setattr(files, "space_of", lambda _: Space(total=2 * BYTES, free=BYTES - 1))

    with pytest.raises(NotEnoughSpace, match="disk needed"):
        parents_of(SMALL, folder=tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [f"{cache_name(SMALL)}.lock"]


def test_room_for_the_whole_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "space_of", lambda _: Space(total=2 * BYTES, free=BYTES))

    parents = parents_of(SMALL, folder=tmp_path)

    assert parents.nbytes == BYTES == (tmp_path / cache_name(SMALL)).stat().st_size
