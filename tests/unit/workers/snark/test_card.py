"""Proofs by a card: its bits in numba's simulator, the choice by trial, and what happens when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any, cast

import numpy as np
import pytest

from workers.gpus import CARD_VARIABLE, FAILURES, CardError
from workers.snark import card as card_module
from workers.snark.card import LEAST_SIZE, CardWork, Piece

RESULT, OTHER = np.arange(4, dtype=np.uint64), np.ones(4, np.uint64)


@pytest.mark.xdist_group("snark")  # one worker compiles the kernels
def test_a_card_makes_the_bits_of_the_cpu():
    variables = {"NUMBA_ENABLE_CUDASIM": "1", CARD_VARIABLE: "always"}
    command = [sys.executable, "-m", "tests.unit.workers.snark.simulated_card"]

    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("won") == ["G1", "G2", "h"]
    assert {name for name, (by_cpu, by_card) in found.items() if by_cpu != by_card} == set()
    assert "fail" not in done.stderr


def sleeping(seconds, result):
    def make(*_card):
        time.sleep(seconds)
        return result.copy()

    return make


def lost(_card):
    raise MemoryError("CUDA_ERROR_OUT_OF_MEMORY")


class Told:
    """Pieces given to a made-up card, and what became of them."""

    def __init__(self):
        self.work, self.by_cpu, self.by_card = CardWork("RTX 9", cast("Any", object())), 0, 0

    def made(self, by_card, *, cpu_s=0.02, is_good=lambda _made: True):
        def by_cpu():
            self.by_cpu += 1
            return sleeping(cpu_s, RESULT)()

        def done():
            self.by_card += 1

        return self.work.made(Piece("h", by_card, by_cpu, is_good, done))


def test_the_faster_one_makes_all_but_the_first_piece(capfd):
    told = Told()

    for _ in range(3):
        assert np.array_equal(told.made(sleeping(0, RESULT)), RESULT)

    assert (told.by_cpu, told.by_card) == (1, 2)
    assert "h by RTX 9: RTX 9 took 0.0" in capfd.readouterr().err


def test_a_card_that_is_slower_gets_no_other_piece(capfd):
    told = Told()

    for _ in range(2):
        told.made(sleeping(0.05, RESULT), cpu_s=0)

    assert (told.by_cpu, told.by_card) == (2, 0)
    assert not told.work.takes("h", LEAST_SIZE)
    assert told.work.takes("G1", LEAST_SIZE)
    assert "h by the CPU: RTX 9 took 0.05" in capfd.readouterr().err


def test_small_pieces_are_not_worth_a_card(monkeypatch):
    assert not Told().work.takes("h", LEAST_SIZE - 1)
    monkeypatch.setenv(CARD_VARIABLE, "always")
    assert Told().work.takes("h", 1)
    assert not CardWork("").takes("h", LEAST_SIZE)


def test_the_cpu_makes_a_piece_that_fails_and_all_after_three(capfd):
    told = Told()
    told.made(sleeping(0, RESULT))

    for number in range(1, FAILURES + 1):
        assert told.work.takes("h", LEAST_SIZE), number
        assert np.array_equal(told.made(lost), RESULT)

    assert not told.work.takes("h", LEAST_SIZE)
    assert "the CPU makes all of the proofs from here on: MemoryError" in capfd.readouterr().err


def test_a_card_that_cannot_be_opened_is_tried_once(monkeypatch, capfd):
    def missing():
        raise CardError("numba finds no driver for it")

    monkeypatch.setattr(card_module, "ProofCard", missing)
    told = Told()
    told.work = CardWork("RTX 9")

    assert np.array_equal(told.made(sleeping(0, OTHER)), RESULT)
    assert not told.work.takes("G1", LEAST_SIZE)
    assert "from here on: CardError: numba finds no driver for it" in capfd.readouterr().err


@pytest.mark.parametrize("at", [0, 1])
def test_a_card_with_one_wrong_result_is_left_alone(at, capfd):
    """By comparison at its first piece, by the look at each result after it."""
    told = Told()
    for _ in range(at):
        told.made(sleeping(0, RESULT))

    made = told.made(sleeping(0, OTHER), is_good=lambda made: not at or np.array_equal(made, RESULT))

    assert np.array_equal(made, RESULT)
    assert not told.work.takes("G1", LEAST_SIZE)
    said = capfd.readouterr().err
    assert ("h: a result is wrong" if at else "h: its result is not the CPU's") in said


def test_a_card_that_hangs_is_left_alone(monkeypatch):
    monkeypatch.setattr(card_module, "PIECE_S", 0.1)
    told, awake = Told(), threading.Event()

    def hang(_card):
        awake.wait(60)
        return OTHER

    assert np.array_equal(told.made(hang), RESULT)
    awake.set()
    assert not told.work.takes("h", LEAST_SIZE)


def test_a_wrong_proof_costs_a_card_that_had_a_part_in_it_its_work():
    told = Told()
    told.made(sleeping(0, RESULT))
    assert not told.work.distrust(), "its first result is not used"

    told.made(sleeping(0, RESULT))

    assert told.work.distrust()
    assert not told.work.takes("h", LEAST_SIZE)
    assert not told.work.distrust()
