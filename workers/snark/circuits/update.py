"""The circuit of EmptySectorUpdate (SnapUp).

Source: rust-fil-proofs storage-proofs-update/src/{circuit,gadgets}.rs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.merkle import tree_arities
from poolsite.filecoin.poseidon import RANDOMNESS_TAG
from workers.snark.circuits.paths import path_arities, siblings_of
from workers.snark.constraints import AUX, INPUT, ONE, Circuit
from workers.snark.gadgets.booleans import NUMBER_BITS, PACKED_BITS, bits_of, pack, weighted
from workers.snark.gadgets.merkle import inclusion_at, pick
from workers.snark.gadgets.numbers import UNIT, equal, inputize, number_of, product
from workers.snark.gadgets.poseidon import poseidon
from workers.snark.gadgets.sha256 import sha256_node
from workers.snark.part_builder import Coefficients, PartBuilder

if TYPE_CHECKING:
    from poolsite.filecoin.update.parameters import UpdateParameters
    from poolsite.filecoin.update.vanilla import VanillaUpdateProof
    from workers.snark.gadgets.booleans import Boolean


class _Update:
    """Variables of the partition that every challenge uses."""

    def __init__(self, part: PartBuilder, parameters: UpdateParameters) -> None:
        self.part, self.parameters = part, parameters
        with part.scope("partition and h"):
            self._partition()
        with part.scope("commitments"):
            self.comm_r_old, self.comm_d_new, self.comm_r_new = (self._public() for _ in range(3))
            self.phi = poseidon(part, [self.comm_d_new, self.comm_r_old], tag=RANDOMNESS_TAG)
            comm_c, self.root_old, self.root_new = (
                part.assigned_new(),
                part.assigned_new(),
                part.assigned_new(),
            )
            self.apex = [part.assigned_new() for _ in range(parameters.apex_leaves)]
            path = [[part.assigned_new()] for _ in range(parameters.partition_bits)]
            equal(part, poseidon(part, [comm_c, self.root_old]), self.comm_r_old)
            equal(part, poseidon(part, [comm_c, self.root_new]), self.comm_r_new)
        with part.scope("apex leaves"):
            row = self.apex
            while len(row) > 1:
                row = [sha256_node(part, row[at : at + 2]) for at in range(0, len(row), 2)]
            inclusion_at(
                part,
                row[0],
                bits=self.partition_bits,
                siblings=path,
                root=self.comm_d_new,
                node_gadget=sha256_node,
            )
        with part.scope("challenges"):
            self.challenge_bits = self._challenges()

    def _public(self) -> int:
        number = self.part.assigned_new()
        inputize(self.part, number)
        return number

    def _partition(self) -> None:
        part, parameters = self.part, self.parameters
        selector = self._public()
        count = parameters.partition_bits + len(parameters.allowed_high_bits)
        bits = bits_of(part, {selector: 1}, count)
        part.enforce(weighted(bits), UNIT, {selector: 1})
        self.partition_bits, self.high_bits = (
            bits[: parameters.partition_bits],
            bits[parameters.partition_bits :],
        )
        self.partition = pack(part, self.partition_bits)

    def _challenges(self) -> list[list[Boolean]]:
        """Return the bits of each challenge within its partition, cut from digests of comm_r_new."""
        part, parameters = self.part, self.parameters
        width = parameters.node_bits - parameters.partition_bits
        per_digest = PACKED_BITS // width
        digests = -(-parameters.challenges // per_digest)
        chunks: list[list[Boolean]] = []
        for number in range(digests):
            index = number_of(part, {self.partition: digests, ONE: number})
            digest = poseidon(part, [self.comm_r_new, index], tag=RANDOMNESS_TAG)
            bits = bits_of(part, {digest: 1}, NUMBER_BITS)
            part.enforce(weighted(bits), UNIT, {digest: 1})
            chunks += [bits[at * width : (at + 1) * width] for at in range(per_digest)]
        return chunks[: parameters.challenges]


def update_circuit(parameters: UpdateParameters) -> Circuit:
    """Return the circuit of one partition: what all challenges share, then a part for each of them."""
    table = Coefficients()
    head = PartBuilder("partition", table, kinds=(INPUT, AUX), first=(1, 0))
    update = _Update(head, parameters)
    part = PartBuilder("challenge", table, templates=head.templates)
    _challenge(part, update, parameters)
    bound = [[bit[1] for bit in bits if not isinstance(bit, bool)] for bits in update.challenge_bits]
    challenges = part.part(instances=parameters.challenges, bound=np.array(bound, np.uint32))
    return Circuit(tuple(table.places), (head.part(), challenges))


def _challenge(part: PartBuilder, update: _Update, parameters: UpdateParameters) -> None:
    width = parameters.node_bits - parameters.partition_bits
    own: list[Boolean] = [(False, part.bound_new()) for _ in range(width)]
    bits = [*own, *update.partition_bits]
    with part.scope("rho"):
        rho = _rho(part, update, bits)
    with part.scope("encoding"):
        old, data = part.assigned_new(), part.assigned_new()
        scaled = product(part, data, rho)
        new = part.aux_new()
        part.enforce({old: 1, scaled: 1}, UNIT, {new: 1}, solved=new)
    arities = path_arities(tree_arities(parameters.nodes, parameters.shape))
    for name, leaf, root in (("old", old, update.root_old), ("new", new, update.root_new)):
        with part.scope(f"tree_r_last {name}"):
            siblings = [[part.assigned_new() for _ in range(arity - 1)] for arity in arities]
            inclusion_at(part, leaf, bits=bits, siblings=siblings, root=root, node_gadget=poseidon)
    with part.scope("tree_d"):
        apex_bits = len(update.apex).bit_length() - 1
        below = width - apex_bits
        state: list[int] = update.apex
        for bit in reversed(bits[below : below + apex_bits]):
            half = len(state) // 2
            state = [pick(part, bit, state[half + at], state[at]) for at in range(half)]
        siblings = [[part.assigned_new()] for _ in range(below)]
        inclusion_at(part, data, bits=bits[:below], siblings=siblings, root=state[0], node_gadget=sha256_node)


def _rho(part: PartBuilder, update: _Update, bits: Sequence[Boolean]) -> int:
    """Return the factor of the node: a hash of the high bits of its index."""
    products = []
    for count, selected in zip(update.parameters.allowed_high_bits, update.high_bits, strict=True):
        high = pack(part, bits[len(bits) - count :])
        if isinstance(selected, bool):
            raise TypeError("the bits that select h are variables")
        products.append(product(part, high, selected[1]))
    chosen = number_of(part, dict.fromkeys(products, 1))
    return poseidon(part, [update.phi, chosen], tag=RANDOMNESS_TAG)


def update_values(
    proof: VanillaUpdateProof,
    *,
    parameters: UpdateParameters,
    partition: int,
    commitments: tuple[bytes, bytes, bytes],
) -> Iterator[int]:
    """Yield what is given for one partition; `commitments`: comm_r_old, comm_d_new, comm_r_new."""
    yield parameters.high_bits_select << parameters.partition_bits | partition
    first = proof.challenge_proofs[0]
    roots = (proof.comm_c, first.proof_r_old.root, first.proof_r_new.root)
    for node in (*commitments, *roots, *proof.apex_leaves):
        yield int.from_bytes(node, "little")
    below_partitions = parameters.node_bits - parameters.partition_bits
    yield from list(siblings_of(first.proof_d_new))[below_partitions:]
    below_apex = below_partitions - (len(proof.apex_leaves).bit_length() - 1)
    for challenge in proof.challenge_proofs:
        yield int.from_bytes(challenge.proof_r_old.leaf, "little")
        yield int.from_bytes(challenge.proof_d_new.leaf, "little")
        yield from siblings_of(challenge.proof_r_old)
        yield from siblings_of(challenge.proof_r_new)
        yield from list(siblings_of(challenge.proof_d_new))[:below_apex]
