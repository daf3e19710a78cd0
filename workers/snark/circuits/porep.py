"""The circuit of a PoRep: interactive, synthetic and non-interactive ones differ in their challenges only.

Source: rust-fil-proofs storage-proofs-porep/src/stacked/circuit/
{proof,params,create_label,column,hash}.rs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import binary_arities, tree_arities
from poolsite.filecoin.porep.graph import DRG_PARENTS, EXPANDER_PARENTS
from workers.snark.circuits.paths import path_arities, path_values
from workers.snark.constraints import AUX, INPUT, Circuit
from workers.snark.gadgets.booleans import bit_new, number_bits, pack_input, reversed_bytes
from workers.snark.gadgets.merkle import inclusion
from workers.snark.gadgets.numbers import UNIT, equal, inputize
from workers.snark.gadgets.poseidon import poseidon
from workers.snark.gadgets.sha256 import BLOCK_BITS, constant_word, sha256_node, sha256_number
from workers.snark.part_builder import Coefficients, PartBuilder

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.porep.vanilla import VanillaPoRepProof
    from workers.snark.gadgets.booleans import Boolean

HASHED_PARENTS = 37
"""Parents in a label's message: the parents, repeated.
Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/proof.rs TOTAL_PARENTS."""
NODE_INDEX_BITS = 64
"""Bits of the node's index in a label's message."""


class _Sector:
    """Variables of the sector that every challenge uses."""

    def __init__(self, part: PartBuilder) -> None:
        with part.scope("replica_id"):
            replica_id = part.assigned_new()
            inputize(part, replica_id)
            self.replica_bits = reversed_bytes(number_bits(part, replica_id))
        with part.scope("comm_d"):
            self.comm_d = part.assigned_new()
            inputize(part, self.comm_d)
        with part.scope("comm_r"):
            comm_r = part.assigned_new()
            inputize(part, comm_r)
            self.comm_r_last, self.comm_c = part.assigned_new(), part.assigned_new()
            equal(part, comm_r, poseidon(part, [self.comm_c, self.comm_r_last]))


def porep_circuit(parameters: SealParameters) -> Circuit:
    """Return the circuit of one partition: the commitments, then a part for each challenge."""
    table = Coefficients()
    head = PartBuilder("commitments", table, kinds=(INPUT, AUX), first=(1, 0))
    sector = _Sector(head)
    part = PartBuilder("challenge", table, templates=head.templates)
    _challenge(part, sector, parameters)
    parts = (head.part(), part.part(instances=parameters.challenges))
    return Circuit(tuple(table.places), parts)


def _challenge(part: PartBuilder, sector: _Sector, parameters: SealParameters) -> None:
    arities = path_arities(tree_arities(parameters.nodes, parameters.shape))
    with part.scope("tree_d"):
        data = part.assigned_new()
        binary = path_arities(binary_arities(parameters.nodes))
        inclusion(part, data, arities=binary, root=sector.comm_d, node_gadget=sha256_node)
    columns = []
    for number in range(DRG_PARENTS + EXPANDER_PARENTS):
        with part.scope(f"column of parent {number}"):
            column = [part.assigned_new() for _ in range(parameters.layers)]
            inclusion(part, poseidon(part, column), arities=arities, root=sector.comm_c, node_gadget=poseidon)
            columns.append(column)
    with part.scope("node"):
        node = [bit_new(part) for _ in range(NODE_INDEX_BITS)]
        pack_input(part, node)
    labels = _labels(part, sector, columns, node)
    with part.scope("encoded node"):
        encoded = part.aux_new()
        part.enforce({labels[-1]: 1, data: 1}, UNIT, {encoded: 1}, solved=encoded)
        inclusion(part, encoded, arities=arities, root=sector.comm_r_last, node_gadget=poseidon)
    with part.scope("column"):
        column_hash = poseidon(part, labels)
        inclusion(part, column_hash, arities=arities, root=sector.comm_c, node_gadget=poseidon)


def _labels(
    part: PartBuilder, sector: _Sector, columns: list[list[int]], node: Sequence[Boolean]
) -> list[int]:
    labels = []
    for layer in range(1, len(columns[0]) + 1):
        with part.scope(f"label in layer {layer}"):
            numbers = [column[layer - 1] for column in columns[:DRG_PARENTS]]
            if layer > 1:
                numbers += [column[layer - 2] for column in columns[DRG_PARENTS:]]
            parents = [reversed_bytes(number_bits(part, number)) for number in numbers]
            message = [*sector.replica_bits, *constant_word(layer)[::-1], *node[::-1]]
            message += [False] * (BLOCK_BITS - len(message))
            for place in range(HASHED_PARENTS):
                message += parents[place % len(parents)]
            labels.append(sha256_number(part, message))
    return labels


def porep_values(
    proofs: Sequence[VanillaPoRepProof], *, replica_id: bytes, comm_d: bytes, comm_r: bytes
) -> Iterator[int]:
    """Yield what is given for one partition, part by part."""
    first = proofs[0]
    nodes = (replica_id, comm_d, comm_r, first.comm_r_last_proof.root, first.c_x.inclusion.root)
    yield from (int.from_bytes(node, "little") for node in nodes)
    for proof in proofs:
        yield int.from_bytes(proof.comm_d_proof.leaf, "little")
        yield from path_values(proof.comm_d_proof)
        for column in (*proof.drg_parents, *proof.exp_parents):
            yield from (int.from_bytes(row, "little") for row in column.rows)
            yield from path_values(column.inclusion)
        yield from (proof.c_x.index >> place & 1 for place in range(NODE_INDEX_BITS))
        yield from path_values(proof.comm_r_last_proof)
        yield from path_values(proof.c_x.inclusion)
