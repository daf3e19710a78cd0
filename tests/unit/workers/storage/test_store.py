"""The store's mark: one name however many begin at once, and a bare mount point is not the store."""

from __future__ import annotations

import errno
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.job_reports import Fail, Level
from poolsite.wire.jobs import Assignment, JobKind
from workers.prover.loop import Prover
from workers.storage.sector import SectorFiles
from workers.storage.store import Store
from workers.storage.stores import Stores


def test_all_who_begin_at_once_read_the_same_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        names = set(threads.map(lambda _: Store(tmp_path / "store").name(), range(64)))

    assert len(names) == 1
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["sectorstore.json"]


def test_a_prover_without_its_store_calls_no_sector_faulty(tmp_path: Path) -> None:
    nobody: Any = None
    stores = Stores(tmp_path / "prover", (tmp_path / "store",))
    stores.open()
    shutil.rmtree(tmp_path / "store")
    prover = Prover(console=nobody, leases=nobody, pool=nobody, stores=stores)
    sector = ProvenSector(number=1, comm_r=bytes(32), seal_proof=5)
    inputs = WindowPostInputs(
        miner_id=1000,
        post_proof=5,
        randomness=bytes(32),
        sectors=(sector,),
        deadline=0,
        close_epoch=9,
        seconds_left=9,
    )
    job = Assignment(id="j", kind=JobKind.WINDOW_POST, token=1, seq=0, lease_s=9, window_post=inputs)

    result = prover.jobs.result(job)

    assert isinstance(result, Fail)
    assert (result.level, "mounted" in result.error) == (Level.TEMPORARY, True)


def test_of_two_replicas_the_one_with_the_chains_comm_r_is_proven(tmp_path: Path) -> None:
    parameters, store = seal_parameters(RegisteredSealProof.STACKED_DRG_2KIB_V1_1), Store(tmp_path)
    old = store.files(parameters, miner_id=1000, number=5)
    new = store.updated_files(parameters, miner_id=1000, number=5)
    for files, last in ((old, 1), (new, 2)):
        files.cache.mkdir(parents=True)
        files.sealed.parent.mkdir(parents=True)
        files.p_aux.write_bytes(bytes(32) + bytes([last]) + bytes(31))
        files.sealed.write_bytes(bytes(2048))

    def proven(comm_r: bytes) -> SectorFiles:
        return store.proven_files(parameters, miner_id=1000, number=5, comm_r=comm_r)

    assert old.comm_r is not None
    assert new.comm_r is not None
    assert (proven(old.comm_r), proven(new.comm_r)) == (old, new)
    old.sealed.unlink()
    assert store.numbers() == {1000: [5]}
    new.p_aux.write_bytes(b"half")
    assert proven(bytes(32)) == old


@pytest.mark.parametrize(
    ("refusals", "has_update", "has_old", "wanted"),
    [
        (1, True, True, "update"),
        (9, True, False, "update"),
        (9, True, True, "sealed"),
        (9, False, False, "sealed"),
    ],
)
def test_an_updated_sector_is_found_though_its_p_aux_cannot_be_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    refusals: int,
    has_update: bool,
    has_old: bool,
    wanted: str,
) -> None:
    """Once the old replica is cleared the update is taken, which whoever proves it reads anew."""
    stores = Stores(tmp_path / "worker", (tmp_path / "a",))
    stores.open()
    parameters = seal_parameters(RegisteredSealProof.STACKED_DRG_2KIB_V1_1)
    sector: dict[str, Any] = {"miner_id": 1000, "number": 5}
    store = Store(tmp_path / "a")
    old, new = store.files(parameters, **sector), store.updated_files(parameters, **sector)
    for files, is_there in ((old, has_old), (new, has_update)):
        files.cache.mkdir(parents=True)
        files.p_aux.write_bytes(bytes(64))
        files.sealed.parent.mkdir(parents=True)
        if is_there:
            files.sealed.touch()
    comm_r, real, refused = old.comm_r, Path.read_bytes, list[str]()
    assert comm_r is not None

    def read_bytes(path: Path) -> bytes:
        if "/update-cache/" in str(path) and len(refused) < refusals:
            refused.append(str(path))
            raise OSError(errno.EIO, "refused")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)

    found = stores.proven_files(parameters, **sector, comm_r=comm_r)

    assert found is not None
    assert found.sealed.parent.name == wanted
