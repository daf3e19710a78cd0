"""The file of a large graph's parents: made by one of those that need it, with room for the whole of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from poolsite import private_files
from poolsite.filecoin.porep.parameters import seal_parameters
from workers.processors import parent_cache
from workers.processors.parent_cache import PARENTS, Parents, parents_of

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
