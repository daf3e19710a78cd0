from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE, VAR_VARIABLE, VerifyingKeys, parameter_folder
from poolsite.filecoin.groth16.verification import BadGroth16Proof
from poolsite.filecoin.proof_verifier import ProofVerifier, is_container
from poolsite.filecoin.update.vanilla import update_proof_decode, update_proof_encode
from poolsite.filecoin.update.verification import UpdatePublicInputs, update_verify
from tests.unit.workers.processors.sealing import digest, sealing, stream
from tests.unit.workers.processors.shapes import seal
from workers.processors import snap_decode, snap_encode, snap_prove, snark
from workers.processors.errors import BadInput, BadProof
from workers.processors.seal_proofs import parameters_named
from workers.processors.snap import encoding_of, update_parameters_of
from workers.processors.snap_encode import snap_encode as encode_sector
from workers.processors.snap_prove import snap_prove as prove_sector
from workers.processors.snap_tasks import SnapDecodeTask, SnapEncodeTask, SnapProveTask
from workers.processors.snark_choice import SNARK_VARIABLE
from workers.processors.tasks import PieceInfo
from workers.processors.tree_d import tree_d_build
from workers.snark.catalog import toxic_make
from workers.snark.files import CircuitKind, spec_for
from workers.storage.mapped import sealed_nodes, tree_d_nodes
from workers.storage.sector import SectorFiles


@pytest.fixture
def updated(tmp_path):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    sector.to_pc2()
    data = fr32_pad(stream("snap-0", 2032))
    (tmp_path / "new-staged").write_bytes(data)
    update = sector.case["update"]
    task = SnapEncodeTask(
        sector.name,
        str(tmp_path / "new-sealed"),
        str(tmp_path / "new-cache"),
        str(sector.sealed),
        str(sector.cache),
        str(tmp_path / "new-staged"),
        (PieceInfo(bytes.fromhex(update["comm_p"]), 2032),),
    )
    return sector, update, task


def prove_task(task, update):
    paths = (task.new_replica_path, task.new_cache_path, task.sector_path, task.sector_cache_path)
    old, new, data = (bytes.fromhex(update[key]) for key in ("comm_r_old", "comm_r_new", "comm_d_new"))
    return SnapProveTask(task.registered_proof, *paths, old, new, data)


def vanilla_proofs(sector, task, update):
    """What the stage proves, in the reference's encoding."""
    parameters = parameters_named(sector.name)
    old = SectorFiles(parameters, sector.cache, sector.sealed)
    new = SectorFiles(parameters, Path(task.new_cache_path), Path(task.new_replica_path))
    proofs = prove_sector(
        old,
        new,
        comm_r_old=bytes.fromhex(update["comm_r_old"]),
        comm_r_new=bytes.fromhex(update["comm_r_new"]),
        comm_d_new=bytes.fromhex(update["comm_d_new"]),
    )
    return [update_proof_encode(proof) for proof in proofs]


def chain_verify(proof, update, *, takes_containers):
    """Check a proof as a chain does that has the verifying keys of this host."""
    keys = VerifyingKeys(parameter_folder())
    commitments = {key: bytes.fromhex(update[key]) for key in ("comm_r_old", "comm_r_new", "comm_d_new")}
    ProofVerifier(keys, takes_containers=takes_containers).update(proof, update_proof=0, **commitments)


def test_the_new_replica_and_cache_are_those_of_the_reference(updated):
    sector, update, task = updated

    output = snap_encode.run(task)

    assert output.comm_r_new.hex() == update["comm_r_new"]
    assert output.comm_r_last_new.hex() == update["comm_r_last_new"]
    assert output.comm_d_new.hex() == update["comm_d_new"]
    assert digest(sector.folder / "new-sealed") == update["new_replica_sha256"]
    known = {name: entry["sha256"] for name, entry in update["new_cache_files"].items() if name != "t_aux"}
    cache = sector.folder / "new-cache"
    assert {name: digest(cache / name) for name in known} == known
    assert (cache / "t_aux").read_bytes() == (sector.cache / "t_aux").read_bytes()
    assert {path.name for path in cache.iterdir()} == set(update["new_cache_files"])


def test_the_vanilla_proofs_are_those_of_the_reference(updated):
    sector, update, task = updated
    snap_encode.run(task)

    proofs = vanilla_proofs(sector, task, update)

    assert [hashlib.sha256(proof).hexdigest() for proof in proofs] == update["vanilla_bincode_sha256"]


def test_the_vanilla_proofs_are_accepted_by_the_verifier(updated):
    sector, update, task = updated
    snap_encode.run(task)
    proofs = vanilla_proofs(sector, task, update)

    values = {key: bytes.fromhex(update[key]) for key in ("comm_r_old", "comm_d_new", "comm_r_new")}
    files = SectorFiles(parameters_named(sector.name), sector.cache, sector.sealed)
    update_verify(
        [update_proof_decode(proof) for proof in proofs],
        parameters=update_parameters_of(files.parameters),
        inputs=UpdatePublicInputs(**values),
    )


def test_the_proof_is_a_container_that_our_own_chain_takes(updated):
    _, update, task = updated
    snap_encode.run(task)

    proof = snap_prove.run(prove_task(task, update)).proof

    assert is_container(proof)
    chain_verify(proof, update, takes_containers=True)


def test_without_parameters_a_groth16_proof_names_the_file(updated, monkeypatch):
    sector, update, task = updated
    snap_encode.run(task)
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    monkeypatch.setenv(FOLDER_VARIABLE, str(sector.folder / "none"))
    snark._keys_held.cache_clear()  # another test of this process may have had them

    with pytest.raises(BadInput, match=r"the parameters of update for sectors of 2048 bytes are missing"):
        snap_prove.run(prove_task(task, update))


@pytest.mark.slow
def test_a_groth16_proof_is_accepted_by_the_verifying_key(updated, monkeypatch):
    sector, update, task = updated
    snap_encode.run(task)
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    monkeypatch.setenv(FOLDER_VARIABLE, str(sector.folder / "parameters"))
    monkeypatch.setenv(VAR_VARIABLE, str(sector.folder / "state"))
    toxic_make(spec_for(CircuitKind.UPDATE, 2048), "devnet", threads=2)

    proof = snap_prove.run(prove_task(task, update)).proof

    assert len(proof) == 192
    chain_verify(proof, update, takes_containers=False)
    with pytest.raises(BadGroth16Proof):
        chain_verify(proof, update | {"comm_r_new": update["comm_r_old"]}, takes_containers=False)


@pytest.mark.parametrize("name", ["4k_sub2", "16k_sub8", "32k_top2_11layers", "8m_v1_1"])
def test_other_sizes_and_shapes_equal_the_reference(name, tmp_path):
    case, old, _, _ = seal(name, tmp_path)
    update, size = case["update"], old.parameters.sector_bytes
    (tmp_path / "new-staged").write_bytes(fr32_pad(stream("snap-0", size // 128 * 127)))
    new = SectorFiles(old.parameters, tmp_path / "new-cache", tmp_path / "new-sealed")
    comm_d_new = tree_d_build(new, str(tmp_path / "new-staged"))

    output = encode_sector(old, new, comm_d_new=comm_d_new)
    proofs = prove_sector(
        old,
        new,
        comm_r_old=bytes.fromhex(update["comm_r_old"]),
        comm_r_new=bytes.fromhex(update["comm_r_new"]),
        comm_d_new=comm_d_new,
    )

    assert output.comm_r_new.hex() == update["comm_r_new"]
    assert digest(new.sealed) == update["new_replica_sha256"]
    encoded = map(update_proof_encode, proofs)
    assert [hashlib.sha256(proof).hexdigest() for proof in encoded] == update["vanilla_bincode_sha256"]


def test_the_new_data_come_out_again(updated):
    sector, update, task = updated
    snap_encode.run(task)
    paths = (task.new_replica_path, task.new_cache_path, task.sector_path, task.sector_cache_path)
    out = sector.folder / "unsealed"

    for offset, count in ((0, 2032), (300, 7)):
        comm_d_new = bytes.fromhex(update["comm_d_new"])
        snap_decode.run(SnapDecodeTask(task.registered_proof, *paths, comm_d_new, str(out), offset, count))
        assert out.read_bytes() == stream("snap-0", 2032)[offset : offset + count]


def test_removing_the_data_gives_the_old_replica_back(updated):
    sector, update, task = updated
    snap_encode.run(task)
    parameters = parameters_named(sector.name)
    old = SectorFiles(parameters, sector.cache, sector.sealed)
    new = SectorFiles(parameters, sector.folder / "new-cache", sector.folder / "new-sealed")
    encoding = encoding_of(
        update_parameters_of(parameters),
        comm_d_new=bytes.fromhex(update["comm_d_new"]),
        comm_r_old=bytes.fromhex(update["comm_r_old"]),
    )
    key = sealed_nodes(new).copy()

    encoding.remove(sealed_nodes(new), tree_d_nodes(new)[: len(key)], key)

    assert key.tobytes() == sealed_nodes(old).tobytes()


@pytest.mark.parametrize("name", ["new-sealed", "sealed", "new-cache/sc-02-data-tree-d.dat"])
def test_a_damaged_file_gives_no_proof(updated, name):
    sector, update, task = updated
    snap_encode.run(task)
    path = sector.folder / name
    content = bytearray(path.read_bytes())
    for at in range(0, 2048, 32):
        content[at] ^= 1
    path.write_bytes(content)

    with pytest.raises(BadProof):
        snap_prove.run(prove_task(task, update))


def test_pieces_of_other_data_are_refused(updated):
    _, _, task = updated

    with pytest.raises(BadInput, match="pieces and comm_d do not match"):
        snap_encode.run(msgspec.structs.replace(task, piece_infos=(PieceInfo(bytes(32), 2032),)))
