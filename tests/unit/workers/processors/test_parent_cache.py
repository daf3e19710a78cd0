"""The file of a large graph's parents: made by one of those that need it, with room for the whole of it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poolsite import private_files
from poolsite.filecoin.porep.parameters import seal_parameters
from workers.processors import parent_cache
from workers.processors.errors import BadFile
from workers.processors.parent_cache import FILE_DIGESTS, PARENTS, Parents, cache_name, parents_at, parents_of
from workers.storage import files
from workers.storage.checksums import Checksums
from workers.storage.files import NotEnoughSpace, Space

SMALL = seal_parameters(5)
BYTES = 4 * PARENTS * SMALL.nodes
PUBLISHED = dict(FILE_DIGESTS)
"""As they are without the fixture below."""


@pytest.fixture(autouse=True)
def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep small graphs, which have no published digest, in files as well."""
    monkeypatch.setattr(parent_cache, "MEMORY_NODES", 0)
    monkeypatch.setattr(parent_cache, "FILE_DIGESTS", {})


def test_two_that_find_no_file_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "LOCK_CHECK_S", 0.001)
    started, waited, made = threading.Event(), threading.Event(), []
    real = parent_cache.parents_compute

    def compute(parameters: Any, rows: Parents, **__: Any) -> None:
        made.append(rows)
        started.set()
        assert waited.wait(60)
        real(parameters, rows)

    monkeypatch.setattr(parent_cache, "parents_compute", compute)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(parents_of, SMALL, folder=tmp_path)
        assert started.wait(60)
        second = threads.submit(parents_of, SMALL, folder=tmp_path, progress=lambda *_: waited.set())
        found = [one.result(60) for one in (first, second)]

    assert np.array_equal(found[0], found[1])
    assert tuple(found[0][9]) == parents_at(SMALL, 9)
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


def _flip(path: Path) -> None:
    """Flip one bit in the middle of a file, whose time stays: so a disk does it."""
    found = path.stat()
    with path.open("r+b") as file:
        file.seek(found.st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("number", [5, 11, 16], ids=["interactive", "synthetic", "non-interactive"])
@pytest.mark.parametrize("is_noted", [True, False], ids=["ours", "of another program"])
def test_a_flipped_bit_in_a_graph_without_a_published_digest_is_found(
    tmp_path: Path, number: int, is_noted: bool
) -> None:
    graph = seal_parameters(number)
    path = tmp_path / cache_name(graph)
    right = parents_of(graph, folder=tmp_path).copy()
    digest = sha256(path.read_bytes()).hexdigest()
    assert Checksums(path).known(path) == digest
    if not is_noted:
        Checksums(path).path.unlink()
    _flip(path)
    assert sha256(path.read_bytes()).hexdigest() != digest

    assert np.array_equal(parents_of(graph, folder=tmp_path), right)
    assert sha256(path.read_bytes()).hexdigest() == digest == Checksums(path).known(path)


def test_a_right_file_of_another_program_is_compared_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / cache_name(SMALL)
    parents_of(SMALL, folder=tmp_path)
    Checksums(path).path.unlink()
    kept, compared = path.stat().st_ino, []
    real = parent_cache._is_as_computed

    def compare(*known: Any, **more: Any) -> bool:
        compared.append(1)
        return real(*known, **more)

    monkeypatch.setattr(parent_cache, "_is_as_computed", compare)

    parents_of(SMALL, folder=tmp_path)
    parents_of(SMALL, folder=tmp_path)

    assert (path.stat().st_ino, compared) == (kept, [1])


def test_a_processor_that_computes_wrongly_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent_cache, "parents_compute", lambda _, rows, **__: rows.fill(7))

    with pytest.raises(BadFile, match="computed incorrectly"):
        parents_of(SMALL, folder=tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [f"{cache_name(SMALL)}.lock"]


def test_every_graph_of_a_published_generation_has_its_digest() -> None:
    assert set(PUBLISHED) == set(range(10))
