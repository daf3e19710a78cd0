"""The golden aggregate of PoReps, its key and its public inputs."""

from __future__ import annotations

from poolsite.filecoin.groth16.verification import verifying_key_decode
from tests.unit.filecoin.golden_proofs import golden

CASE = golden("groth16_aggregate")

KEY = verifying_key_decode(bytes.fromhex(CASE["verifying_key"]))

INPUTS = [[int(value, 16) for value in own] for own in CASE["inputs"]]

INCLUDE = bytes.fromhex(CASE["include"])

AGGREGATES = {int(count): bytes.fromhex(data) for count, data in CASE["aggregates"].items()}
