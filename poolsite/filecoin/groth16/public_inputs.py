"""The public inputs of each circuit, as integers in the order the circuits allocate them.

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/stacked/circuit/proof.rs,
storage-proofs-post/src/fallback/compound.rs, storage-proofs-update/src/compound.rs generate_public_inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.graph import StackedGraph
from poolsite.filecoin.post.challenges import sector_challenges
from poolsite.filecoin.post.parameters import PoStKind, PoStParameters
from poolsite.filecoin.scalars import scalar_from_bytes

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.porep.verification import PoRepPublicInputs
    from poolsite.filecoin.post.verification import ProvenSector
    from poolsite.filecoin.update.parameters import UpdateParameters
    from poolsite.filecoin.update.verification import UpdatePublicInputs

Inputs = tuple[int, ...]
"""Scalars of one circuit in the order in which it takes them, without the leading 1."""


def porep_public_inputs(parameters: SealParameters, inputs: PoRepPublicInputs) -> tuple[Inputs, ...]:
    """Return the inputs of each partition: the commitments, then 18 numbers a challenge.

    They are the challenge, its 14 parents, and the challenge for the label, comm_r_last and comm_c. Raises
    BadScalar.
    """
    source = ChallengeSource(inputs.replica_id, inputs.comm_r, inputs.seed)
    graph = StackedGraph(parameters.porep_id, parameters.nodes, parameters.api_version)
    commitments = tuple(map(scalar_from_bytes, (inputs.replica_id, inputs.comm_d, inputs.comm_r)))
    return tuple(
        commitments
        + tuple(
            value
            for challenge in porep_challenges(parameters, source, partition=partition)
            for value in (challenge, *graph.parents(challenge), challenge, challenge, challenge)
        )
        for partition in range(parameters.partitions)
    )


def post_public_inputs(
    parameters: PoStParameters, randomness: bytes, *, sectors: Sequence[ProvenSector]
) -> tuple[Inputs, ...]:
    """Return the inputs of each partition of a PoSt over `sectors`, in their order.

    WindowPoSt: comm_r and ten challenges a sector; the last sector is repeated until the partition is full.
    WinningPoSt: comm_r before each of the 66 challenges.  Raises BadScalar.
    """
    slots = []
    for position, sector in enumerate(sectors):
        challenges = sector_challenges(parameters, randomness, sector_number=sector.number, position=position)
        comm_r = scalar_from_bytes(sector.comm_r)
        if parameters.kind is PoStKind.WINNING:
            slots.append(tuple(value for challenge in challenges for value in (comm_r, challenge)))
        else:
            slots.append((comm_r, *challenges))
    size = parameters.partition_sectors
    partitions = []
    for start in range(0, len(slots), size):
        chunk = slots[start : start + size]
        chunk += [chunk[-1]] * (size - len(chunk))
        partitions.append(tuple(chain.from_iterable(chunk)))
    return tuple(partitions)


def update_public_inputs(parameters: UpdateParameters, inputs: UpdatePublicInputs) -> tuple[Inputs, ...]:
    """Return the inputs of each partition: its number with h_select above it, then the commitments.

    These are comm_r_old, comm_d_new and comm_r_new.  One scalar holds both numbers, since each input costs
    the verifier a multiplication.  Raises BadScalar.
    """
    commitments = tuple(map(scalar_from_bytes, (inputs.comm_r_old, inputs.comm_d_new, inputs.comm_r_new)))
    select = parameters.high_bits_select << parameters.partition_bits
    return tuple((partition | select, *commitments) for partition in range(parameters.partitions))
