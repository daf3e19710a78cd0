"""A prover makes the parameters of its chain beside its work, in a process of its own."""

from __future__ import annotations

import time

import pytest

from poolsite.filecoin.groth16.keys import parameter_folder
from poolsite.filecoin.sizes import KIB
from workers.config import HostConfig
from workers.processors.snark_choice import HostProofs, Snark
from workers.prover.preparation import Preparation
from workers.snark.files import (
    CircuitKind,
    CircuitSpec,
    conversion_path,
    converted_folder,
    is_converted,
    spec_for,
    toxic_path,
)

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

WINDOW = spec_for(CircuitKind.WINDOW_POST, 2 * KIB)
WINNING = spec_for(CircuitKind.WINNING_POST, 2 * KIB)
PATIENCE_S = 300


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path / "state"))

    def make(seed):
        config = HostConfig(
            folder=tmp_path, stores=(tmp_path,), console="", token="", name="p", parameter_seed=seed
        )
        return config, HostProofs(Snark.AUTO, (CircuitKind.WINDOW_POST,), 2 * KIB)

    return make


def test_parameters_are_made_once_the_host_is_idle_and_change_its_forms(host):
    config, proofs = host("a test")
    assert proofs.forms() == ("vanilla",)
    is_idle: list[bool] = []
    no_wins = HostProofs(Snark.AUTO, (), 2 * KIB)
    preparation = Preparation(config, proofs, no_wins, is_idle=lambda: bool(is_idle))
    preparation.start()
    try:
        time.sleep(0.2)
        assert preparation._process is None
        is_idle.append(True)
        end, told = time.monotonic() + PATIENCE_S, set()
        while not (is_converted(WINDOW) and proofs.progress == (0, 0)):
            told.add(proofs.progress)
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        preparation.stop()
    assert any(0 < done < total for done, total in told)
    proofs._checked_at = 0.0
    assert proofs.forms() == ("vanilla", "groth16_toxic")
    assert toxic_path(WINDOW).exists()


def test_nothing_is_made_without_a_seed_or_of_half_a_file(host):
    config, proofs = host("")
    preparation = Preparation(config, proofs, proofs, is_idle=lambda: True)
    assert not preparation._is_possible(WINDOW)
    parameter_folder().mkdir(exist_ok=True)
    (parameter_folder() / WINDOW.parameters_name).write_bytes(b"half")
    assert not preparation._is_possible(WINDOW)


def test_winning_post_follows_window_post_and_each_start_checks_both(host, monkeypatch):
    config, proofs = host("a test")
    wins = HostProofs(Snark.AUTO, (CircuitKind.WINNING_POST,), 2 * KIB)
    preparation = Preparation(config, proofs, wins, is_idle=lambda: True)
    ran: list[CircuitSpec] = []
    monkeypatch.setattr("workers.prover.preparation.WAIT_S", 0.0)

    def run(specs: list[CircuitSpec]) -> int:
        ran.extend(specs)
        preparation._stopped.set()
        return 0

    monkeypatch.setattr(preparation, "_run", run)

    preparation._work()
    assert ran == [WINDOW, WINNING]

    preparation._stopped.clear()
    parameter_folder().mkdir(exist_ok=True)
    path = parameter_folder() / WINDOW.parameters_name
    path.write_bytes(b"")
    conversion_path(path, converted_folder()).mkdir(parents=True)
    ran.clear()
    preparation._work()
    assert ran == [WINNING]

    preparation = Preparation(config, proofs, wins, is_idle=lambda: True)  # at the next start
    monkeypatch.setattr(preparation, "_run", run)
    ran.clear()
    preparation._work()
    assert ran == [WINDOW, WINNING]
