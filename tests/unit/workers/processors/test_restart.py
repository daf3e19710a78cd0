"""A kill at any point leaves nothing or whole files, and the next run goes on."""

from __future__ import annotations

import msgspec
import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from tests.unit.workers.processors.sealing import digest, sealing
from tests.unit.workers.processors.shapes import seal
from workers.kernels import labels as label_kernel
from workers.processors import pc1, pc2
from workers.processors.errors import BadFile, BadInput, BadPiece
from workers.processors.pc2 import seal_trees
from workers.processors.tasks import Pc2Task, PieceInfo
from workers.storage import files as files_module
from workers.storage.checksums import Checksums
from workers.storage.files import DamagedFile
from workers.storage.sector import SectorFiles
from workers.storage.store import Store


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def labelled(tmp_path):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    infos = sector.add_piece()
    return sector, infos, sector.pc1(infos)


def cache_is_golden(sector):
    known = {name: entry["sha256"] for name, entry in sector.case["cache_files"].items() if name != "t_aux"}
    return all(digest(sector.cache / name) == value for name, value in known.items())


@pytest.mark.parametrize("renames", range(12))
def test_a_kill_before_any_rename_is_survived(tmp_path, monkeypatch, renames):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    infos = sector.add_piece()
    left, finish = [renames], files_module.finish_file

    def finish_or_die(path):
        if not left[0]:
            raise Killed
        left[0] -= 1
        finish(path)

    monkeypatch.setattr(files_module, "finish_file", finish_or_die)
    try:
        sector.pc2(sector.pc1(infos))
    except Killed:
        pass
    monkeypatch.setattr(files_module, "finish_file", finish)

    output = sector.pc2(sector.pc1(infos))

    assert output.comm_r.hex() == sector.case["comm_r"]
    assert digest(sector.sealed) == sector.case["sealed_sha256"]
    assert cache_is_golden(sector)
    assert not list(tmp_path.rglob("*.tmp"))


def test_pc1_goes_on_at_the_first_missing_layer(labelled, monkeypatch):
    sector, infos, _ = labelled
    (sector.cache / "sc-02-data-layer-2.dat").unlink()
    labelled_layers, real = [], label_kernel.label_rows

    def noting(*arguments, **options):
        labelled_layers.append(options["layer"])
        return real(*arguments, **options)

    monkeypatch.setattr(label_kernel, "label_rows", noting)

    sector.pc1(infos)

    assert labelled_layers == [2]


def test_labels_of_another_ticket_are_made_again(labelled):
    sector, infos, made = labelled
    sector.pc2(made)
    sector.case["ticket"] = "00" * 32
    other = sector.pc2(sector.pc1(infos))

    assert other.comm_r.hex() != sector.case["comm_r"]


def test_pc2_goes_on_when_killed_before_the_replica_took_its_place(labelled, monkeypatch):
    sector, infos, made = labelled
    monkeypatch.setattr(pc2, "sync_folder", lambda _: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        sector.pc2(made)
    monkeypatch.undo()

    assert sector.pc2(sector.pc1(infos)).comm_r.hex() == sector.case["comm_r"]
    assert digest(sector.sealed) == sector.case["sealed_sha256"]


@pytest.mark.parametrize("name", ["layer-1", "layer-2", "tree-d"])
def test_one_flipped_bit_is_seen_before_pc2_uses_the_file(labelled, name):
    sector, _, made = labelled
    path = sector.cache / f"sc-02-data-{name}.dat"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)

    with pytest.raises(BadFile, match="is damaged"):
        sector.pc2(made)


def spoil(path, how):
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content[:-32] if how == "cut" else content)
    if how == "lost":
        path.unlink()


SEALED = ("layer-1", "layer-2", "tree-d", "tree-c", "tree-r-last", "p_aux", "sealed")


@pytest.mark.parametrize("how", ["flipped", "cut", "lost"])
@pytest.mark.parametrize("name", SEALED)
def test_back_to_pc1_makes_damaged_files_anew(labelled, name, how):
    sector, infos, made = labelled
    sector.pc2(made)
    found = [path for path in sector.folder.rglob("*") if path.is_file() and name in path.name]
    [path] = [path for path in found if path.suffix != ".sums"]
    spoil(path, how)

    output = sector.pc2(sector.pc1(infos))

    assert output.comm_r.hex() == sector.case["comm_r"]
    assert digest(sector.sealed) == sector.case["sealed_sha256"]
    assert cache_is_golden(sector)


@pytest.mark.parametrize("how", ["flipped", "cut", "lost"])
@pytest.mark.parametrize("name", ["tree-c", "tree-r-last", "sealed"])
def test_back_to_pc2_needs_no_staged_data(labelled, name, how):
    sector, _, made = labelled
    sector.pc2(made)
    sector.staged.unlink()
    spoil(sector.sealed if name == "sealed" else sector.cache / f"sc-02-data-{name}.dat", how)

    assert sector.pc2(made).comm_r.hex() == sector.case["comm_r"]

    assert digest(sector.sealed) == sector.case["sealed_sha256"]
    assert cache_is_golden(sector)


def test_pc2_asked_again_for_a_whole_sector_encodes_nothing(labelled, monkeypatch):
    sector, infos, made = labelled
    sector.pc2(made)
    monkeypatch.setattr(pc2, "replica_writing", None)

    assert sector.pc2(sector.pc1(infos)).comm_r.hex() == sector.case["comm_r"]


def test_checks_of_what_is_there_tell_that_they_go_on(labelled):
    sector, infos, made = labelled
    sector.pc2(made)
    told = []

    pc1.run(sector.pc1_task(infos), progress=lambda *at: told.append(at))
    task = Pc2Task(made, str(sector.cache), str(sector.sealed))
    pc2.run(task, progress=lambda *at: told.append(at))

    assert told.count((0, 128)) == 9, "the leaves and six rows of tree-d, two layers"
    assert told.count((0, 64)) == 7, "two layers and tree-d, then the replica, a tree and two rows"


@pytest.mark.parametrize("name", ["t_aux", "p_aux", "sc-02-data-tree-r-last.dat", "sealed"])
def test_one_flipped_bit_is_seen_before_the_file_leaves_for_the_store(labelled, tmp_path, name):
    sector, _, made = labelled
    sector.pc2(made)
    path = sector.sealed if name == "sealed" else sector.cache / name
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    files, store = SectorFiles(seal_parameters(5), sector.cache, sector.sealed), Store(tmp_path / "store")

    with pytest.raises(DamagedFile, match=f"{name} is damaged"):
        store.persist(files, miner_id=1000, number=1)

    assert not [found for found in store.root.rglob(f"*{name}") if found.is_file()]


def test_what_is_in_the_store_is_what_pc2_wrote(labelled, tmp_path):
    sector, _, made = labelled
    sector.pc2(made)
    files = SectorFiles(seal_parameters(5), sector.cache, sector.sealed)

    kept = Store(tmp_path / "store").persist(files, miner_id=1000, number=1)

    assert digest(kept.sealed) == sector.case["sealed_sha256"]
    assert digest(kept.p_aux) == sector.case["cache_files"]["p_aux"]["sha256"]
    assert kept.t_aux.read_bytes() == files.t_aux_bytes()


@pytest.mark.parametrize("name", ["layer-1", "tree-d"])
def test_a_missing_or_truncated_file_is_named(labelled, name):
    sector, _, made = labelled
    path = sector.cache / f"sc-02-data-{name}.dat"
    path.write_bytes(path.read_bytes()[:-32])
    Checksums(sector.cache).path.unlink()

    with pytest.raises(BadFile, match=r"instead of"):
        sector.pc2(made)
    path.unlink()
    with pytest.raises(BadFile, match=name):
        sector.pc2(made)


def test_a_damaged_tree_d_is_built_again_by_pc1(labelled):
    sector, infos, _ = labelled
    path = sector.cache / "sc-02-data-tree-d.dat"
    content = bytearray(path.read_bytes())
    content[3000] ^= 1
    path.write_bytes(content)

    sector.pc1(infos)

    assert digest(path) == sector.case["cache_files"]["sc-02-data-tree-d.dat"]["sha256"]


def test_a_damaged_sealed_file_gives_no_c1(labelled):
    sector, infos, made = labelled
    output = sector.pc2(made)
    content = bytearray(sector.sealed.read_bytes())
    for at in range(0, len(content), 32):
        content[at] ^= 1
    sector.sealed.write_bytes(content)

    with pytest.raises(Exception, match="damaged"):
        sector.c1(output, infos)


def test_wrong_inputs_get_the_reference_implementations_words(labelled):
    sector, infos, made = labelled
    task = sector.pc1_task(infos)

    with pytest.raises(BadInput, match="pieces and comm_d do not match"):
        pc1_run(task, piece_infos=(PieceInfo(bytes(32), 2032),))
    with pytest.raises(BadPiece, match=r"Piece size \(384\) must be a power of 2\."):
        pc1_run(task, piece_infos=(PieceInfo(bytes(32), 381),))
    with pytest.raises(BadPiece, match="Piece is larger than sector"):
        pc1_run(task, piece_infos=(PieceInfo(bytes(32), 4064),))
    with pytest.raises(BadInput, match="ticket has 31 bytes instead of 32"):
        pc1_run(task, ticket=bytes(31))
    with pytest.raises(BadInput, match="are the same"):
        pc1_run(task, in_path=str(sector.sealed))
    with pytest.raises(BadInput, match="comm_d is not the root of tree-d"):
        sector.pc2(msgspec.structs.replace(made, comm_d=bytes(32)))


def pc1_run(task, **changes):
    return pc1.run(msgspec.structs.replace(task, **changes))


def test_a_folder_without_checksums_passes_and_damaged_ones_do_not(tmp_path):
    checksums = Checksums(tmp_path / "cache")
    path = tmp_path / "file"
    path.write_bytes(b"x")

    checksums.check(path)
    checksums.record(path, "00")

    with pytest.raises(DamagedFile):
        checksums.check(path)
    for damaged in ("[not ours", '["list"]', ""):
        checksums.path.write_text(damaged)
        with pytest.raises(DamagedFile, match=r"cache\.sums is damaged"):
            checksums.check(path)
    checksums.record(path, digest(path))
    checksums.check(path)


def test_trees_are_made_for_every_missing_base_tree(tmp_path):
    case, files, comm_d, _ = seal("16k_sub8", tmp_path)
    staged = (tmp_path / "staged").read_bytes()
    sealed = files.sealed.read_bytes()
    files.sealed.write_bytes(staged)
    files_module.temporary_name(files.encoding).write_bytes(sealed)
    for base_tree in (2, 5):
        files.tree_c(base_tree).unlink()
        files.tree_r_last(base_tree).unlink()

    comm_r = seal_trees(files, comm_d=comm_d)

    assert comm_r.hex() == case["comm_r"]
    assert files.sealed.read_bytes() == sealed
