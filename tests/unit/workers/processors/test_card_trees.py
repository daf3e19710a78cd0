"""Trees by a card: its bits in numba's simulator, the choice by trial, and what happens when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from poolsite.wire.hardware import TreesTrial
from tests.unit.workers.kernels.arrays import nodes, random_scalars
from tests.unit.workers.processors.cards import CpuCard
from tests.unit.workers.processors.sealing import golden, sealing
from workers.gpus import CARD_VARIABLE, FAILURES, CardError
from workers.kernels import poseidon
from workers.processors import card_trees
from workers.processors.card_trees import TreeMaker, tree_maker, trial_text
from workers.processors.trees import grow_octonary

LEAVES = 8
TREE = 9


def lost(_tree):
    raise MemoryError("CUDA_ERROR_OUT_OF_MEMORY")


def wrong_root(tree):
    tree[-1] ^= np.uint64(1)


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setenv(CARD_VARIABLE, "always")


@pytest.fixture
def fresh_choice():
    tree_maker.cache_clear()
    yield
    tree_maker.cache_clear()


@pytest.fixture
def tried(monkeypatch, fresh_choice):
    """A machine with a card that is tried: the trial of a made-up one."""

    def tried(card, **times):
        monkeypatch.setattr("workers.gpus.gpus_here", lambda: ("RTX 9",))
        monkeypatch.setattr(card_trees, "Card", lambda: card)
        if times:
            monkeypatch.setattr(
                card_trees, "_equal_check", lambda _card, _leaves: (times["gpu"], times["cpu"])
            )
        return tree_maker()

    return tried


def maker_of(card: Any) -> TreeMaker:
    return TreeMaker(card, None)


def leaves_tree(seed=1):
    tree = np.zeros((TREE, 4), np.uint64)
    tree[:LEAVES] = nodes(random_scalars(LEAVES, seed=seed))
    return tree


def test_a_sector_whose_trees_a_card_makes_is_the_golden_one(tmp_path):
    variables = {"NUMBA_ENABLE_CUDASIM": "1", CARD_VARIABLE: "always"}
    command = [sys.executable, "-m", "tests.unit.workers.processors.simulated_card", str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)

    assert done.returncode == 0, done.stderr
    made, case = json.loads(done.stdout), sealing("2k_v1_1", 5, folder=tmp_path / "case").case
    assert made["comm_r"] == case["comm_r"]
    assert made["pieces"] == [8, 64, 64]
    assert made["hashes"] == {
        name: [one["out"] for one in golden("poseidon")[name]["cases"]] for name in made["hashes"]
    }
    assert made["hashes"]
    assert "trees by simulated: POOLSITE_CARD says so" in done.stderr


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("harm", [lost, wrong_root])
def test_a_piece_at_which_the_card_fails_is_made_by_the_cpu(harm, capfd):
    card, tree, known = CpuCard(harm), leaves_tree(), leaves_tree()
    maker = maker_of(card)
    grow_octonary(known, LEAVES)

    maker.grow(tree, LEAVES)

    assert np.array_equal(tree, known)
    assert card.calls == 1
    assert "the card failed at a piece of a tree, which the CPU makes" in capfd.readouterr().err


@pytest.mark.usefixtures("always")
def test_columns_with_a_wrong_hash_are_made_by_the_cpu():
    layers = [nodes(random_scalars(LEAVES, seed=layer)) for layer in range(2)]
    tree, known = np.zeros((TREE, 4), np.uint64), np.zeros((TREE, 4), np.uint64)
    poseidon.hash_columns(layers, known[:LEAVES])
    grow_octonary(known, LEAVES)

    def wrong_columns(made):
        made[:LEAVES] = 0
        grow_octonary(made, LEAVES)

    maker_of(CpuCard(wrong_columns)).columns_grow(layers, tree, LEAVES)

    assert np.array_equal(tree, known)


@pytest.mark.usefixtures("always")
def test_a_card_that_goes_on_failing_is_left_alone(tried, capfd):
    card = CpuCard()
    maker = tried(card)
    card.harm, card.calls = lost, 0

    for _ in range(FAILURES + 2):
        maker.grow(leaves_tree(), LEAVES)

    assert card.calls == FAILURES
    assert maker.levels(6) == 4
    assert not maker.trial.is_gpu
    assert maker.trial.error == "MemoryError: CUDA_ERROR_OUT_OF_MEMORY"
    assert f"failed {FAILURES} times in a row" in capfd.readouterr().err


@pytest.mark.usefixtures("always")
def test_a_card_that_fails_now_and_then_stays():
    card = CpuCard()
    maker = maker_of(card)

    for number in range(4 * FAILURES):
        card.harm = lost if number % FAILURES else lambda tree: None
        maker.grow(leaves_tree(), LEAVES)

    assert card.calls == 4 * FAILURES


@pytest.mark.usefixtures("always")
def test_a_card_that_gave_one_wrong_hash_gets_no_other_piece(tried, capfd):
    """It may have given others that no look found."""
    card = CpuCard()
    maker, tree, known = tried(card), leaves_tree(), leaves_tree()
    grow_octonary(known, LEAVES)
    card.harm, card.calls = wrong_root, 0

    for _ in range(2):
        maker.grow(tree, LEAVES)

    assert card.calls == 1
    assert np.array_equal(tree, known)
    assert maker.trial.error == "WrongResult: a hash is wrong"
    assert not maker.trial.is_gpu
    assert "the card failed once too often" in capfd.readouterr().err


@pytest.mark.usefixtures("always")
def test_what_a_card_that_hangs_writes_at_last_reaches_no_tree(tried, monkeypatch):
    monkeypatch.setattr(card_trees, "PIECE_S", 0.1)
    card, tree, known = CpuCard(), leaves_tree(), leaves_tree()
    grow_octonary(known, LEAVES)
    maker, awake, written = tried(card), threading.Event(), threading.Event()

    def hang(made):
        awake.wait(60)
        made[:] = 0
        written.set()

    card.harm, card.calls = hang, 0

    maker.grow(tree, LEAVES)
    awake.set()

    assert written.wait(60)
    assert np.array_equal(tree, known)
    assert maker.trial.error == "CardHangs: it has not answered for 0 s"
    maker.grow(tree, LEAVES)
    assert card.calls == 1


@pytest.mark.usefixtures("always")
def test_a_card_that_hangs_at_its_trial_is_not_used(tried, monkeypatch):
    monkeypatch.setattr(card_trees, "TRIAL_S", 0.1)
    awake = threading.Event()

    def hang(_made):
        awake.wait(60)

    maker = tried(CpuCard(hang))
    awake.set()

    assert maker.levels(9) == 4
    assert trial_text(maker.trial).startswith("trees by the CPU: RTX 9 cannot be used: CardHangs")


def test_the_faster_way_is_chosen(tried, capfd):
    maker = tried(CpuCard(), gpu=0.1, cpu=0.9)

    assert (maker.trial.is_gpu, maker.trial.gpu_ms, maker.trial.cpu_ms) == (True, 100, 900)
    assert (maker.levels(9), maker.levels(6), maker.levels(4)) == (6, 6, 4)
    assert "trees by RTX 9: RTX 9 took 100 ms for a piece, all cores 900 ms" in capfd.readouterr().err


def test_a_card_that_is_slower_than_all_cores_is_not_used(tried):
    maker = tried(CpuCard(), gpu=0.9, cpu=0.1)

    assert not maker.trial.is_gpu
    assert maker.levels(9) == 4
    assert trial_text(maker.trial) == "trees by the CPU: RTX 9 took 900 ms for a piece, all cores 100 ms"


@pytest.mark.usefixtures("always")
def test_a_card_with_wrong_hashes_is_never_used(tried):
    maker = tried(CpuCard(wrong_root))

    assert not maker.trial.is_gpu
    assert trial_text(maker.trial) == (
        "trees by the CPU: RTX 9 cannot be used: CardError: its hashes are wrong"
    )


def test_a_card_without_its_packages_leaves_the_cpu(monkeypatch, fresh_choice):
    def missing():
        raise CardError("numba finds no driver for it")

    monkeypatch.setattr("workers.gpus.gpus_here", lambda: ("RTX 9",))
    monkeypatch.setattr(card_trees, "Card", missing)

    assert tree_maker().trial == TreesTrial(gpu="RTX 9", error="CardError: numba finds no driver for it")


def test_nothing_is_tried_without_a_card_or_where_it_is_forbidden(monkeypatch, fresh_choice):
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    assert tree_maker().trial is None

    tree_maker.cache_clear()
    monkeypatch.setenv(CARD_VARIABLE, "never")
    monkeypatch.setattr("workers.gpus.gpus_here", lambda: ("RTX 9",))
    assert tree_maker().trial is None


def test_a_small_piece_is_not_worth_a_card(tried):
    card = CpuCard()
    maker = tried(card, gpu=0.1, cpu=0.9)

    maker.grow(leaves_tree(), LEAVES)

    assert card.calls == 0
