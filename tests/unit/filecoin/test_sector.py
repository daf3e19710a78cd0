"""Proof types: sizes, families and the types that go together."""

from __future__ import annotations

import json

import pytest

from poolsite.filecoin.epochs import Quantization, lookback
from poolsite.filecoin.sector import (
    SIZE_32GIB,
    BadProofType,
    RegisteredPoStProof,
    RegisteredSealProof,
    RegisteredUpdateProof,
    SealVersion,
    post_proof,
    prover_id,
    seal_proof,
)
from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write
from tests.unit.filecoin.golden.files import ROOT


def test_seal_proofs_are_the_registry_s() -> None:
    registry = json.loads((ROOT.parent / "proofs" / "registry.json").read_text())
    known = {entry["name"]: entry["sector_size"] for entry in registry["seal"]}

    ours = {proof.text: proof.sector_size for proof in RegisteredSealProof}

    assert {name: size for name, size in ours.items() if name in known} == known


@pytest.mark.parametrize("proof", RegisteredSealProof)
def test_types_of_one_sector_have_one_size(proof: RegisteredSealProof) -> None:
    sizes = {
        proof.window_post_proof.sector_size,
        proof.winning_post_proof.sector_size,
        proof.update_proof.sector_size,
    }

    assert sizes == {proof.sector_size}
    assert proof.window_post_proof.is_window
    assert not proof.winning_post_proof.is_window
    assert proof.window_post_proof.winning == proof.winning_post_proof
    assert seal_proof(int(proof)) is proof
    assert proof.is_interactive == (proof.version is not SealVersion.V1_2_NON_INTERACTIVE)


def test_partition_sizes() -> None:
    sizes = [proof.partition_sectors for proof in RegisteredPoStProof]

    assert sizes == [1] * 5 + [2, 2, 2, 2349, 2300] * 2


def test_unregistered_numbers_are_refused() -> None:
    for bad in (-1, 20):
        with pytest.raises(BadProofType, match="unsupported seal proof type"):
            seal_proof(bad)
    with pytest.raises(BadProofType):
        post_proof(15)


def test_names_of_sectors_and_provers() -> None:
    assert prover_id(1000).hex() == "e807" + "00" * 30
    assert RegisteredSealProof(5).text == "StackedDrg2KiBV1_1"
    assert RegisteredUpdateProof(3).sector_size == SIZE_32GIB


def test_grids_and_lookbacks_of_epochs() -> None:
    grid = Quantization(unit=10, offset=23)
    assert (grid.up(13), grid.up(14), grid.down(22), grid.down(23), grid.up(-8)) == (13, 23, 13, 23, -7)
    assert (lookback(5, 900), lookback(1000, 900)) == (0, 100)


@pytest.mark.parametrize("data", ["", "80", "8000", "ff" * 10, "80808080808080808002"])
def test_varints_have_one_form(data: str) -> None:
    with pytest.raises(BadVarint):
        uvarint_read(bytes.fromhex(data), 0)


def test_varints_read_back() -> None:
    for number in (0, 127, 128, 1 << 32, (1 << 64) - 1):
        assert uvarint_read(b"x" + uvarint_write(number), 1) == (number, 1 + len(uvarint_write(number)))
