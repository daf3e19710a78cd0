"""The circuit of WinningPoSt and WindowPoSt, and what a prover gives it.

Source: rust-fil-proofs storage-proofs-post/src/fallback/circuit.rs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import tree_arities
from poolsite.filecoin.post.parameters import PoStKind
from workers.snark.circuits.paths import path_arities, path_values
from workers.snark.constraints import Circuit
from workers.snark.gadgets.merkle import inclusion
from workers.snark.gadgets.numbers import equal, inputize
from workers.snark.gadgets.poseidon import poseidon
from workers.snark.part_builder import Coefficients, PartBuilder

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import MerkleProof
    from poolsite.filecoin.post.parameters import PoStParameters


def post_circuit(parameters: PoStParameters) -> Circuit:
    """Return the circuit of one partition: a part for each sector, or for each challenge of a WinningPoSt."""
    is_winning = parameters.kind is PoStKind.WINNING
    slots = parameters.challenges if is_winning else parameters.partition_sectors
    challenges = 1 if is_winning else parameters.challenges
    table = Coefficients()
    part = PartBuilder("challenge" if is_winning else "sector", table)
    arities = path_arities(tree_arities(parameters.nodes, parameters.shape))
    _slot(part, challenges, arities)
    built = part.part(instances=slots)
    return Circuit(tuple(table.places), (built,))


def _slot(part: PartBuilder, challenges: int, arities: Sequence[int]) -> None:
    comm_r_last, comm_c, comm_r = part.assigned_new(), part.assigned_new(), part.assigned_new()
    with part.scope("comm_r"):
        inputize(part, comm_r)
        equal(part, comm_r, poseidon(part, [comm_c, comm_r_last]))
    for number in range(challenges):
        with part.scope(f"challenged leaf {number}"):
            inclusion(part, part.assigned_new(), arities=arities, root=comm_r_last, node_gadget=poseidon)


def post_slot_values(
    comm_r_last: int, comm_c: int, comm_r: int, *, proofs: Sequence[MerkleProof]
) -> Iterator[int]:
    """Yield what is given for one slot: its commitments and the inclusion proofs of its challenges."""
    yield from (comm_r_last, comm_c, comm_r)
    for proof in proofs:
        yield int.from_bytes(proof.leaf, "little")
        yield from path_values(proof)
