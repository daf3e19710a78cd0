"""Groth16 proofs made by the stages and by hand, and what a host says of the forms that it makes."""

from __future__ import annotations

import gc
import json
import os
import shutil
import time
import weakref
from pathlib import Path
from typing import Any, cast

import pytest

from poolsite.devnet.proofs import ProofChecks
from poolsite.filecoin.groth16.keys import VerifyingKeys
from poolsite.filecoin.groth16.published import PUBLISHED, data_digest, file_digest
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.proof_container import PREFIX
from poolsite.filecoin.proof_verifier import ProofVerifier
from poolsite.filecoin.sizes import KIB, MIB
from tests.unit.workers.processors.sealing import sealing
from workers.processors import params, prove, verify, window_post, winning_post
from workers.processors import snark as processor
from workers.processors.errors import BadInput, TemporaryError
from workers.processors.post_tasks import Replica, WindowPostTask, WinningPostTask
from workers.processors.snark_choice import SNARK_VARIABLE, HostProofs, Snark, takes_groth16
from workers.processors.stages import foreign_task_encode
from workers.snark.card import LEAST_SIZE, CardWork
from workers.snark.catalog import key_open, verifying_key_write
from workers.snark.files import (
    CircuitKind,
    conversion_path,
    converted_folder,
    is_converted,
    measured_path,
    measured_seconds,
    spec_for,
    toxic_path,
)
from workers.snark.parameters import BadParameters, ParameterFile
from workers.snark.prover import groth16_prove
from workers.storage.files import hole_write

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

WINDOW = spec_for(CircuitKind.WINDOW_POST, 2 * KIB)
WINNING = spec_for(CircuitKind.WINNING_POST, 2 * KIB)
UPDATE = spec_for(CircuitKind.UPDATE, 2 * KIB)
SEED = b"\x07" * 32


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of parameters; no key of another test is remembered."""
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path / "var"))
    (tmp_path / "cache").mkdir()
    processor._keys_held.cache_clear()
    yield tmp_path / "cache"
    processor._keys_held.cache_clear()


@pytest.fixture
def with_parameters(folder, window_parameters):
    shutil.copyfile(window_parameters, folder / WINDOW.parameters_name)
    verifying_key_write(ParameterFile(window_parameters), folder / WINDOW.verifying_key_name)
    return folder


@pytest.fixture
def task(tmp_path):
    (tmp_path / "sector").mkdir()
    sector = sealing("2k_v1_1", 5, folder=tmp_path / "sector")
    _, _, output = sector.to_pc2()
    return WindowPostTask(1000, 10, (Replica(1, output.comm_r, str(sector.cache), str(sector.sealed)),), SEED)


def test_window_post_is_groth16_that_the_chain_takes(with_parameters, task, monkeypatch):
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    told = []
    (proof,) = window_post.run(task, progress=lambda *at: told.append(at)).proofs
    assert len(proof) == 192
    assert set(told) == {(1, 1)}, "sectors"
    assert len(told) > 10, "the conversion and the proof tell that they go on"
    known: dict[str, Any] = {"post_proof": 10, "randomness": SEED, "miner_id": 1000}
    sectors = [(1, task.replicas[0].comm_r)]
    ProofVerifier(VerifyingKeys(with_parameters)).window_post(proof, sectors=sectors, **known)
    assert measured_seconds(WINDOW)


def test_proof_is_given_out_though_its_time_cannot_be_noted(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(processor, "measured_path", lambda _: tmp_path / "file" / "seconds")
    monkeypatch.setattr(processor, "_keys_of", lambda *_: (None, None))
    monkeypatch.setattr(processor, "groth16_prove", lambda *_, **__: (bytes(192), None))
    monkeypatch.setattr(processor, "partitions_verify", lambda *_, **__: None)

    assert processor._partitions_prove(WINDOW, [[1]], [[1]], progress=lambda *_: None) == bytes(192)


def test_keys_that_stay_loaded_keep_nothing_of_the_task(with_parameters):
    class Told:
        def __call__(self, done: int, total: int) -> None: ...

    told = Told()
    keys, is_left = processor._keys_of(WINDOW, told), weakref.ref(told)
    del told
    gc.collect()

    assert is_left() is None
    assert processor._keys_of(WINDOW) is keys, "loaded once"


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_of_a_conversion_is_found_before_the_first_proof(with_parameters, task, monkeypatch):
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    processor._keys_of(WINDOW)
    conversion = conversion_path(with_parameters / WINDOW.parameters_name, converted_folder())
    whole = {file.name: file.read_bytes() for file in conversion.iterdir()}

    for name in ("l.npy", "b_g2.npy", "beta_g2.npy", "key.vk", "counts.json", "digests.json"):
        processor._keys_held.cache_clear()  # as in a process that has just begun
        _flip(conversion / name)
        processor._keys_of(WINDOW)
        assert (conversion / name).read_bytes() == whole[name], name

    processor._keys_held.cache_clear()
    _flip(conversion / "l.npy")
    assert len(window_post.run(task).proofs[0]) == 192
    assert (conversion / "l.npy").read_bytes() == whole["l.npy"]


def test_an_earlier_versions_conversion_is_kept_and_its_digests_noted(with_parameters):
    processor._keys_of(WINDOW)
    conversion = conversion_path(with_parameters / WINDOW.parameters_name, converted_folder())
    noted = json.loads((conversion / "digests.json").read_text())
    (conversion / "digests.json").unlink()
    kept = (conversion / "h.npy").stat().st_ino

    for _ in range(2):
        processor._keys_held.cache_clear()
        processor._keys_of(WINDOW)

    assert (conversion / "h.npy").stat().st_ino == kept
    assert json.loads((conversion / "digests.json").read_text()) == noted
    assert noted.keys() == {path.name for path in conversion.iterdir()} - {"digests.json"}


def test_a_flipped_bit_of_the_parameters_verifying_key_is_refused_by_name(with_parameters):
    processor._keys_of(WINDOW)
    processor._keys_held.cache_clear()
    path = with_parameters / WINDOW.parameters_name
    found = path.stat()
    with path.open("r+b") as file:
        file.write(bytes([file.read(1)[0] ^ 1]) if not file.seek(0) else b"")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    with pytest.raises(BadInput, match="is damaged: its verifying key is not the one that was converted"):
        processor._keys_of(WINDOW)


def test_a_conversion_damaged_while_it_is_used_is_noticed_and_made_again(with_parameters, task, monkeypatch):
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    processor._keys_of(WINDOW)
    conversion = conversion_path(with_parameters / WINDOW.parameters_name, converted_folder())
    data = bytearray((conversion / "l.npy").read_bytes())
    data[200_000] ^= 1
    (conversion / "l.npy").write_bytes(data)
    with pytest.raises(TemporaryError, match="the converted parameters are damaged"):
        window_post.run(task)
    assert not conversion.exists()
    assert len(window_post.run(task).proofs[0]) == 192


def test_a_wrong_proof_by_a_card_costs_the_card_not_the_conversion(with_parameters, task, monkeypatch):
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    conversion = conversion_path(with_parameters / WINDOW.parameters_name, converted_folder())
    work = CardWork("RTX 9", cast("Any", object()))
    work._was_used = True
    proven = groth16_prove

    def spoilt(*arguments, **options):
        proof, inputs = proven(*arguments, **options)
        return (proof[144:] + proof[48:144] + proof[:48] if work.takes("h", LEAST_SIZE) else proof), inputs

    monkeypatch.setattr(processor, "card_work", lambda: work)
    monkeypatch.setattr(processor, "groth16_prove", spoilt)

    with pytest.raises(TemporaryError, match="made with the card's results; the CPU makes the next one"):
        window_post.run(task)

    assert conversion.exists()
    assert len(window_post.run(task).proofs[0]) == 192


def test_missing_parameters_fail_the_stage_by_name(folder, task, monkeypatch):
    monkeypatch.setenv(SNARK_VARIABLE, "groth16")
    with pytest.raises(BadInput, match=f"{WINDOW.parameters_name}, 11,501,496 bytes, expected in {folder}"):
        window_post.run(task)


def test_auto_makes_containers_until_parameters_are_converted(with_parameters, task, monkeypatch):
    monkeypatch.setenv(SNARK_VARIABLE, "auto")
    assert window_post.run(task).proofs[0].startswith(PREFIX)
    processor._keys_of(WINDOW)
    assert len(window_post.run(task).proofs[0]) == 192


@pytest.mark.parametrize(
    ("measured", "partitions", "seconds_left", "taken"),
    [
        ("2", 1, 8, True),
        ("2", 1, 7, False),
        ("2", 2, 15, False),
        ("2", 1, 0, True),
        ("", 1, 59, False),
        ("", 1, 60, True),
    ],
)
def test_auto_makes_groth16_where_a_quarter_of_the_time_is_enough(
    with_parameters, monkeypatch, measured, partitions, seconds_left, taken
):
    monkeypatch.setenv(SNARK_VARIABLE, "auto")
    target = conversion_path(with_parameters / WINDOW.parameters_name, converted_folder())
    target.mkdir(parents=True)
    measured_path(WINDOW).write_text(f"{measured} 1" if measured else "")
    assert takes_groth16(WINDOW, partitions=partitions, seconds_left=seconds_left) is taken
    assert not takes_groth16(WINNING)
    assert takes_groth16(WINNING, is_needed=True)


@pytest.mark.parametrize(
    ("measured", "epoch_s", "taken"),
    [("0.5", 2, True), ("0.6", 2, False), ("0.6", 4, True), ("", 30, False), ("0.1", 0, False)],
)
def test_auto_proves_wins_by_groth16_where_a_quarter_of_an_epoch_is_enough(
    folder, monkeypatch, measured, epoch_s, taken
):
    monkeypatch.setenv(SNARK_VARIABLE, "auto")
    host = HostProofs(Snark.AUTO, (CircuitKind.WINNING_POST,), 2 * KIB)
    assert not takes_groth16(WINNING, seconds_left=epoch_s)
    assert host.winning(epoch_s=epoch_s, needs_groth16=False) == ("vanilla", 0.0)
    path = folder / WINNING.parameters_name
    path.write_bytes(b"")
    conversion_path(path, converted_folder()).mkdir(parents=True)
    measured_path(WINNING).write_text(f"{measured} 1" if measured else "")

    assert takes_groth16(WINNING, seconds_left=epoch_s) is taken
    told = ("groth16" if taken else "vanilla", float(measured or 0))
    assert host.winning(epoch_s=epoch_s, needs_groth16=False) == told
    assert host.winning(epoch_s=epoch_s, needs_groth16=True)[0] == "groth16"
    for snark, form in (("groth16", "groth16"), ("vanilla", "vanilla")):
        chosen = HostProofs(Snark(snark), (CircuitKind.WINNING_POST,), 2 * KIB)
        assert chosen.winning(epoch_s=epoch_s, needs_groth16=False)[0] == form
    assert HostProofs(Snark.AUTO, (), 2 * KIB).winning(epoch_s=30, needs_groth16=True) == ("", 0.0)


def test_a_win_is_groth16_once_the_child_is_warm_and_the_devnet_checks_it(
    folder, winning_parameters, task, monkeypatch, tmp_path
):
    monkeypatch.setenv(SNARK_VARIABLE, "auto")
    monkeypatch.setattr(winning_post, "WARM_UP", winning_post.WarmUp())
    shutil.copyfile(winning_parameters, folder / WINNING.parameters_name)
    verifying_key_write(ParameterFile(winning_parameters), folder / WINNING.verifying_key_name)
    key_open(WINNING, threads=2)
    measured_path(WINNING).write_text("0.1 0.1")
    win = WinningPostTask(1000, 0, task.replicas, SEED, seconds_left=3_600)
    assert winning_post.run(win).proofs[0].startswith(PREFIX), "kernels and points are not loaded yet"
    while not winning_post.WARM_UP.is_warm(post_parameters(0)):
        time.sleep(0.02)
    assert measured_seconds(WINNING) != 0.1

    (proof,) = winning_post.run(win).proofs
    assert len(proof) == 192
    sectors = [(1, task.replicas[0].comm_r)]

    def holds(checks: ProofChecks, seed: bytes) -> bool:
        return checks.is_proven(
            ProofVerifier.winning_post,
            bytes(proof),
            post_proof=0,
            randomness=seed,
            miner_id=1000,
            sectors=sectors,
        )

    devnet = ProofChecks(VerifyingKeys(folder))
    assert holds(devnet, SEED)
    assert not holds(devnet, b"\x08" * 32)
    assert not holds(ProofChecks(VerifyingKeys(tmp_path)), SEED), "nobody takes it without the key"


def test_busy_hosts_time_is_forgotten_after_an_hour(folder):
    path = measured_path(WINDOW)
    path.parent.mkdir(parents=True)
    path.write_text("40 2.5")
    assert measured_seconds(WINDOW) == 40
    an_hour_ago = time.time() - 3_601
    os.utime(path, (an_hour_ago, an_hour_ago))
    assert measured_seconds(WINDOW) == 2.5


def test_chosen_form_is_made_whatever_is_measured(folder, monkeypatch):
    for chosen, taken in (("groth16", True), ("vanilla", False), ("external", False)):
        monkeypatch.setenv(SNARK_VARIABLE, chosen)
        assert takes_groth16(WINDOW, seconds_left=1) is taken
        assert takes_groth16(WINNING, is_needed=True) is taken


def test_host_names_what_is_missing_and_claims_nothing(folder, monkeypatch):
    host = HostProofs(Snark.GROTH16, (CircuitKind.WINDOW_POST,), 2 * KIB)
    assert host.forms() == ()
    assert WINDOW.parameters_name in host.error()
    (folder / WINDOW.parameters_name).write_bytes(b"half")  # a download that goes on
    monkeypatch.setattr(host, "_checked_at", 0.0)
    assert host.forms() == ()
    assert "incomplete (4 bytes)" in host.error()
    hole_write(folder / WINDOW.parameters_name, size_bytes=WINDOW.file_bytes)
    monkeypatch.setattr(host, "_checked_at", 0.0)
    assert (host.forms(), host.error()) == (("groth16_foreign",), "")
    toxic_path(WINDOW).write_text("{}")
    monkeypatch.setattr(host, "_checked_at", 0.0)
    assert (host.forms(), host.error()) == (("groth16_toxic",), "")
    assert host.foreign() == WINDOW.parameters_name


def test_host_says_whose_parameters_it_has(with_parameters, monkeypatch):
    def looked():
        host = HostProofs(Snark.GROTH16, (CircuitKind.WINDOW_POST,), 2 * KIB)
        return host.forms(), host.foreign()

    assert looked() == (("groth16_foreign",), WINDOW.parameters_name)
    key = (with_parameters / WINDOW.verifying_key_name).read_bytes()
    monkeypatch.setitem(PUBLISHED, WINDOW.verifying_key_name, data_digest(key))
    assert looked() == (("groth16",), "")


def test_a_listed_key_before_other_points_is_refused_by_name(with_parameters, monkeypatch, capsys):
    path = with_parameters / WINDOW.parameters_name
    monkeypatch.setitem(
        PUBLISHED, WINDOW.verifying_key_name, data_digest(ParameterFile(path).verifying_key())
    )
    digest = file_digest(path)
    refused = f"{path.name} is not the file in the public networks' list: its digest is {digest}"
    with pytest.raises(BadParameters, match=refused):
        key_open(WINDOW)
    assert not is_converted(WINDOW)
    assert params.main(["check", "window_post", "--size", "2KiB"]) == 1
    assert refused in capsys.readouterr().err
    monkeypatch.setitem(PUBLISHED, path.name, digest)
    key_open(WINDOW)
    assert is_converted(WINDOW)


def test_host_says_when_it_can_prove_no_update(folder, monkeypatch):
    def error(snark, *, needs_groth16):
        host = HostProofs(Snark(snark), (), 2 * KIB, has_updates=True)
        return host.update_error(needs_groth16=needs_groth16)

    named = f"{UPDATE.parameters_name}, 655,789,464 bytes, expected in {folder}"
    for needs_groth16 in (False, True):
        assert named in error("groth16", needs_groth16=needs_groth16)
        assert (named in error("auto", needs_groth16=needs_groth16)) is needs_groth16
        assert ("snap_prove" in error("external", needs_groth16=needs_groth16)) is needs_groth16
    assert HostProofs(Snark.GROTH16, (), 2 * KIB).update_error(needs_groth16=True) == ""
    hole_write(folder / UPDATE.parameters_name, size_bytes=UPDATE.file_bytes)
    assert error("groth16", needs_groth16=True) == ""
    toxic_path(UPDATE).write_text("{}")
    assert HostProofs(Snark.GROTH16, (), 2 * KIB, has_updates=True).forms() == ("groth16_toxic",)


def test_host_says_of_which_sizes_it_proves_updates_by_groth16(folder):
    def sizes(snark, *, has_updates=True):
        return HostProofs(Snark(snark), (), 2 * KIB, has_updates=has_updates).update_sizes()

    assert sizes("auto") == sizes("groth16") == ()
    larger = spec_for(CircuitKind.UPDATE, 8 * MIB)
    (folder / larger.parameters_name).write_bytes(b"half")
    assert sizes("auto") == ()
    hole_write(folder / larger.parameters_name, size_bytes=larger.file_bytes)
    assert sizes("auto") == sizes("groth16") == (8 * MIB,)
    assert sizes("vanilla") == sizes("external") == sizes("auto", has_updates=False) == ()


@pytest.mark.parametrize(
    ("snark", "forms"),
    [("vanilla", ("vanilla",)), ("auto", ("vanilla",)), ("external", ("vanilla", "groth16"))],
)
def test_host_says_which_forms_it_makes(folder, snark, forms):
    host = HostProofs(Snark(snark), (CircuitKind.WINDOW_POST,), 2 * KIB)
    assert (host.forms(), host.error()) == (forms, "")


def test_foreign_prover_is_not_told_how_long_is_left(task):
    winning = WinningPostTask(1000, 0, task.replicas, SEED, needs_groth16=True, seconds_left=4)
    for told in map(foreign_task_encode, (task, winning)):
        assert set(told) == {"miner_id", "proof_type", "replicas", "seed"}


def test_parameters_are_prepared_listed_and_checked_by_hand(folder, capsys):
    size = ["--size", "2KiB"]
    assert params.main(["prepare", "window_post", *size, "--seed", "a test"]) == 0
    told, warned = capsys.readouterr()
    *steps, last = map(json.loads, told.splitlines())
    assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
    assert (steps[-1]["done"], last["ready"]) == (1000, True)
    assert warned.startswith("TOXIC parameters")
    assert f"{WINDOW.parameters_name}: 11,501,496 bytes, the same again converted" in warned
    assert last["circuits"][0]["proof_seconds"] > 0
    assert params.main(["list", *size]) == 0
    (window, *_) = json.loads(capsys.readouterr().out)["circuits"]
    facts = ("is_here", "has_verifying_key", "is_converted", "is_toxic")
    assert [window[fact] for fact in facts] == [True] * 4
    assert params.main(["check", "window_post", *size]) == 0
    assert json.loads(capsys.readouterr().out)["points"]["h"] == 32_767
    assert params.main(["check", "window_post", *size, "--network", "localnet-poolsite-2k"]) == 0
    assert json.loads(capsys.readouterr().out)["origin"] == "seed"
    assert params.main(["check", "window_post", *size, "--network", "mainnet"]) == 1
    assert f"{WINDOW.parameters_name} is not the file in" in capsys.readouterr().err
    assert params.main(["check", "winning_post", *size]) == 1
    assert "47,299,128 bytes" in capsys.readouterr().err
    assert params.main(["make", "window_post", *size, "--seed", "x"]) == 1
    assert "never overwritten" in capsys.readouterr().err


def test_proofs_by_hand_are_verified_together_and_a_wrong_one_named(
    with_parameters, task, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(
        prove, "_vanilla", lambda wanted, meter: (post_parameters(10), window_post.window_post_prove(task)[0])
    )
    paths = []
    for name in ("one", "two"):
        assert prove.main(["window", "--randomness", SEED.hex(), str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert "groth16 done in" in err
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(out)
    assert paths[0].read_text() != paths[1].read_text()
    assert verify.main(list(map(str, paths))) == 0
    assert json.loads(capsys.readouterr().out)["checked"] == list(map(str, paths))
    wrong = json.loads(paths[1].read_text()) | {"sectors": [[2, task.replicas[0].comm_r.hex()]]}
    paths[1].write_text(json.dumps(wrong))
    assert verify.main(list(map(str, paths))) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["checked"] == [str(paths[0])]
    assert told["errors"] == [f"{paths[1]}: partition 0: the pairing equation does not hold"]
