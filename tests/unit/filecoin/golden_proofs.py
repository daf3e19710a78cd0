"""The golden sealing cases of tests/golden/proofs, read and sealed again once per test run."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.porep.parameters import SealParameters, seal_parameters
from poolsite.filecoin.porep.sealing import SealedSector, sector_seal
from poolsite.filecoin.sizes import KIB
from tests.naive.pieces import staged_sector

GOLDEN = Path(__file__).parents[2] / "golden" / "proofs"

MINER_ID = 1000
SECTOR_NUMBER = 1

SMALL_SHAPES = {4 * KIB: TreeShape(sub=2), 16 * KIB: TreeShape(sub=8), 32 * KIB: TreeShape(sub=8, top=2)}
"""Sizes that have no registered number and borrow number 5."""

SEALED_CASES = (
    "2k_v1",
    "2k_v1_1",
    "2k_synth",
    "2k_ni",
    "2k_11layers",
    "4k_sub2",
    "16k_sub8",
    "16k_sub8_11layers",
    "32k_top2_11layers",
)
"""Cases that plain Python seals in seconds."""


@cache
def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def golden_text(name: str) -> str:
    return (GOLDEN / f"{name}.json").read_text()


def stream(name: str, length: int) -> bytes:
    digests = (
        hashlib.sha256(name.encode() + struct.pack("<Q", number)).digest()
        for number in range(length // 32 + 1)
    )
    return b"".join(digests)[:length]


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def case_parameters(case: str) -> SealParameters:
    sealed = golden(f"seal_{case}")
    size = sealed["sector_size"]
    registered = seal_parameters(int.from_bytes(bytes.fromhex(sealed["porep_id"])[:8], "little"))
    shape = SMALL_SHAPES.get(size, registered.shape)
    return replace(registered, sector_bytes=size, shape=shape, layers=sealed["layers_count"])


def case_staged(case: str) -> bytes:
    sealed = golden(f"seal_{case}")
    pieces = [stream(f"seal-{at}", piece["unpadded"]) for at, piece in enumerate(sealed["pieces"])]
    return staged_sector(sealed["sector_size"], pieces)


@cache
def case_sealed(case: str) -> SealedSector:
    sealed = golden(f"seal_{case}")
    return sector_seal(
        case_staged(case),
        parameters=case_parameters(case),
        prover_id=bytes.fromhex(sealed["prover_id"]),
        sector_number=sealed["sector_id"],
        ticket=bytes.fromhex(sealed["ticket"]),
    )
