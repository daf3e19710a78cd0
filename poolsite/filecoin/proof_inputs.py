"""What proofs are checked against: public inputs as the chain knows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from poolsite.filecoin.porep.parameters import SealParameters, UnknownSealProof, seal_parameters
from poolsite.filecoin.porep.replica import prover_id_bytes, replica_id
from poolsite.filecoin.porep.verification import BadPoRep, PoRepPublicInputs
from poolsite.filecoin.post.parameters import PoStParameters, UnknownPoStProof, post_parameters
from poolsite.filecoin.post.verification import BadPoSt, ProvenSector
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.update.parameters import UnknownUpdateProof, update_parameters
from poolsite.filecoin.update.verification import BadUpdate, UpdatePublicInputs

if TYPE_CHECKING:
    from poolsite.filecoin.update.parameters import UpdateParameters


def porep_inputs_of(
    seal_proof: int,
    *,
    comm_r: bytes,
    comm_d: bytes,
    miner_id: int,
    sector_number: int,
    ticket: bytes,
    seed: bytes,
) -> tuple[SealParameters, PoRepPublicInputs]:
    """Return what a PoRep is checked against.  Raises BadPoRep."""
    parameters = _seal_parameters(seal_proof)
    for name, value in (("comm_r", comm_r), ("comm_d", comm_d), ("ticket", ticket), ("seed", seed)):
        if len(value) != NODE_BYTES:
            raise BadPoRep(f"{name} has {len(value)} bytes")
    replica = replica_id(
        prover_id_bytes(miner_id), sector_number, ticket=ticket, comm_d=comm_d, porep_id=parameters.porep_id
    )
    return parameters, PoRepPublicInputs(replica_id=replica, comm_d=comm_d, comm_r=comm_r, seed=seed)


def update_inputs_of(
    update_proof: int, *, comm_r_old: bytes, comm_r_new: bytes, comm_d_new: bytes
) -> tuple[UpdateParameters, UpdatePublicInputs]:
    """Return what a replica update is checked against.  Raises BadUpdate."""
    try:
        parameters = update_parameters(update_proof)
    except UnknownUpdateProof as error:
        raise BadUpdate(str(error)) from None
    return parameters, UpdatePublicInputs(comm_r_old=comm_r_old, comm_d_new=comm_d_new, comm_r_new=comm_r_new)


def _seal_parameters(seal_proof: int) -> SealParameters:
    """Return the parameters of a registered seal proof.  Raises BadPoRep."""
    try:
        return seal_parameters(seal_proof)
    except UnknownSealProof as error:
        raise BadPoRep(str(error)) from None


def post_inputs_of(
    post_proof: int, randomness: bytes, *, miner_id: int, sectors: Sequence[tuple[int, bytes]]
) -> tuple[PoStParameters, tuple[ProvenSector, ...]]:
    """Return the proof's parameters and the distinct sectors, ascending.  Raises BadPoSt."""
    try:
        parameters = post_parameters(post_proof)
    except UnknownPoStProof as error:
        raise BadPoSt(str(error)) from None
    if len(randomness) != NODE_BYTES:
        raise BadPoSt(f"randomness has {len(randomness)} bytes")
    if miner_id < 0:
        raise BadPoSt(f"invalid miner {miner_id}")
    distinct = dict(sectors)
    if any(distinct[number] != comm_r for number, comm_r in sectors):
        raise BadPoSt("a sector is listed with two different comm_r")
    return parameters, tuple(ProvenSector(number, distinct[number]) for number in sorted(distinct))
