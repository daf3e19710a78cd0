"""The golden 2 KiB circuits: each with what its prover gives, and with the figures of the Rust one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from poolsite.filecoin.porep.c1 import c1_from_json
from poolsite.filecoin.post.parameters import PoStKind, post_parameters
from poolsite.filecoin.post.proving import post_prove
from tests.naive.updates import update_prove
from tests.unit.filecoin.golden_proofs import SECTOR_NUMBER, case_parameters, case_sealed, golden, golden_text
from tests.unit.filecoin.update.golden_updates import case_update_parameters, case_updated
from workers.snark.circuits.porep import porep_circuit, porep_values
from workers.snark.circuits.post import post_circuit, post_slot_values
from workers.snark.circuits.update import update_circuit, update_values
from workers.snark.constraints import Circuit
from workers.snark.points import G1, G2, points_decode
from workers.snark.setup import Secrets
from workers.snark.witness import Witness, witness_solve

CASE = "2k_v1_1"
NUMBERS = {"winning": 0, "window": 5}


@dataclass(frozen=True)
class GoldenCircuit:
    circuit: Circuit
    values: tuple[int, ...]
    golden: dict[str, Any]


@cache
def golden_circuit(name: str) -> GoldenCircuit:
    made = {"porep": _porep, "update": _update}.get(name)
    circuit, values = made() if made else _post(name)
    return GoldenCircuit(circuit, values, golden(f"r1cs_{name}_2k"))


@cache
def golden_witness(name: str) -> Witness:
    made = golden_circuit(name)
    return witness_solve(made.circuit, made.values, threads=2)


def _post(name: str) -> tuple[Circuit, tuple[int, ...]]:
    parameters = post_parameters(NUMBERS[name])
    randomness = bytes.fromhex(golden(f"groth16_{name}_2k")["randomness"])
    sealed = case_sealed(CASE)
    proof = post_prove(
        sealed.tree_r_last,
        sealed.tree_c.root,
        parameters=parameters,
        randomness=randomness,
        sector_number=SECTOR_NUMBER,
    )
    proofs = proof.inclusion_proofs
    slots = [[path] for path in proofs] if parameters.kind is PoStKind.WINNING else [proofs, proofs]
    commitments = [int.from_bytes(node, "little") for node in (proof.comm_r_last, proof.comm_c, proof.comm_r)]
    values = [value for paths in slots for value in post_slot_values(*commitments, proofs=paths)]
    return post_circuit(parameters), tuple(values)


def _porep() -> tuple[Circuit, tuple[int, ...]]:
    output = c1_from_json(golden_text(f"c1_raw_{CASE}"))
    values = porep_values(
        output.partitions[0], replica_id=output.replica_id, comm_d=output.comm_d, comm_r=output.comm_r
    )
    return porep_circuit(case_parameters(CASE)), tuple(values)


def _update() -> tuple[Circuit, tuple[int, ...]]:
    updated, parameters = case_updated(CASE), case_update_parameters(CASE)
    inputs = updated.inputs
    values = update_values(
        update_prove(updated, 0),
        parameters=parameters,
        partition=0,
        commitments=(inputs.comm_r_old, inputs.comm_d_new, inputs.comm_r_new),
    )
    return update_circuit(parameters), tuple(values)


def golden_secrets(name: str) -> Secrets:
    waste = golden(f"r1cs_{name}_2k")["test_toxic_waste"]
    scalars = (
        int.from_bytes(bytes.fromhex(waste[key]), "little")
        for key in ("alpha", "beta", "gamma", "delta", "tau")
    )
    g1 = points_decode(G1, bytes.fromhex(waste["g1_uncompressed"]))[0]
    g2 = points_decode(G2, bytes.fromhex(waste["g2_uncompressed"]))[0]
    return Secrets(g1, g2, *scalars)
