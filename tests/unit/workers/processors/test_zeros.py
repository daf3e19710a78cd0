"""An empty sector: its staged data are a hole, its tree-d a link to what the host made once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from poolsite.filecoin.porep.parameters import SealParameters, seal_parameters
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.filecoin.sha254 import sha254_zero
from workers.processors import tree_d
from workers.processors.add_piece import pieces_stage
from workers.processors.pieces import unpadded_size
from workers.processors.tasks import PieceSource
from workers.processors.tree_d import tree_d_build, zeros_file
from workers.processors.trees import is_binary
from workers.storage.checksums import Checksums
from workers.storage.files import DamagedFile, is_hole
from workers.storage.mapped import tree_d_nodes
from workers.storage.sector import SectorFiles

PARAMETERS = seal_parameters(RegisteredSealProof.STACKED_DRG_2KIB_V1_1)
SIZE = PARAMETERS.sector_bytes


def files_of(folder: Path, number: int) -> SectorFiles:
    return SectorFiles(PARAMETERS, folder / "cache" / f"s-t01000-{number}", folder / "sealed" / str(number))


def staged(folder: Path, number: int) -> Path:
    path = folder / f"staged-{number}"
    source = PieceSource(piece_file=None, piece_size=unpadded_size(SIZE), payload_size=0)
    [info] = pieces_stage((source,), path, sector=SIZE)
    assert info.commitment == sha254_zero(SIZE)
    return path


def test_the_tree_is_made_once_and_linked(tmp_path: Path) -> None:
    one, other = files_of(tmp_path, 1), files_of(tmp_path, 2)
    empty = staged(tmp_path, 1)
    assert (empty.stat().st_size, is_hole(empty)) == (SIZE, True)

    for files in (one, other, one):
        assert tree_d_build(files, str(empty)) == sha254_zero(SIZE)
    assert one.tree_d.samefile(other.tree_d)
    assert one.tree_d.samefile(zeros_file(one))
    assert is_binary(tree_d_nodes(one), PARAMETERS.nodes)
    Checksums(one.cache).check(one.tree_d)
    assert not list(tmp_path.rglob("*.tmp"))

    one.tree_d.unlink()
    assert tree_d_nodes(other)[-1].tobytes() == sha254_zero(SIZE)


def test_sectors_that_begin_together_make_one_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    make = tree_d._zeros_write

    def slowly(shared: Path, parameters: SealParameters) -> str:
        written.append(shared)
        time.sleep(0.2)
        return make(shared, parameters)

    monkeypatch.setattr(tree_d, "_zeros_write", slowly)
    empty = str(staged(tmp_path, 1))
    each = [files_of(tmp_path, number) for number in range(4)]
    with ThreadPoolExecutor(len(each)) as threads:
        roots = list(threads.map(lambda files: tree_d_build(files, empty), each))

    assert roots == [sha254_zero(SIZE)] * len(each)
    assert len(written) == 1
    for files in each:
        Checksums(files.cache).check(files.tree_d)


def test_a_digest_that_was_not_noted_is_noted_again(tmp_path: Path) -> None:
    files = files_of(tmp_path, 1)
    empty = str(staged(tmp_path, 1))
    tree_d_build(files, empty)
    Checksums(files.cache).record(files.tree_d, "of a file that was cut off")

    tree_d_build(files, empty)
    Checksums(files.cache).check(files.tree_d)


def test_written_zeros_and_data_have_trees_of_their_own(tmp_path: Path) -> None:
    shared, own = files_of(tmp_path, 1), files_of(tmp_path, 2)
    assert tree_d_build(shared, str(staged(tmp_path, 1))) == sha254_zero(SIZE)
    written = tmp_path / "written"
    written.write_bytes(bytes(SIZE))

    assert not is_hole(written)
    assert tree_d_build(own, str(written)) == sha254_zero(SIZE)
    assert own.tree_d.read_bytes() == shared.tree_d.read_bytes()
    assert not own.tree_d.samefile(shared.tree_d)
    data = tmp_path / "data"
    data.write_bytes(bytes(SIZE - 1) + b"\x01")
    assert tree_d_build(shared, str(data)) != sha254_zero(SIZE)
    assert not shared.tree_d.samefile(zeros_file(shared))


def test_a_damaged_shared_tree_is_noticed_before_it_is_used(tmp_path: Path) -> None:
    files = files_of(tmp_path, 1)
    empty = str(staged(tmp_path, 1))
    tree_d_build(files, empty)
    raw = np.memmap(zeros_file(files), np.uint8, "r+")
    raw[SIZE] ^= 1
    raw.flush()

    with pytest.raises(DamagedFile):
        Checksums(files.cache).check(files.tree_d)
    other = files_of(tmp_path, 2)
    tree_d_build(other, empty)
    Checksums(other.cache).check(other.tree_d)
    assert not other.tree_d.samefile(files.tree_d), "made again"
