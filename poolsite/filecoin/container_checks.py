"""Checks of containers of vanilla proofs against what the chain knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.porep.vanilla import porep_proof_decode
from poolsite.filecoin.porep.verification import porep_verify
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.vanilla import post_proof_decode
from poolsite.filecoin.post.verification import window_post_verify, winning_post_verify
from poolsite.filecoin.proof_container import (
    BadProofContainer,
    ContainerKind,
    container_group,
    container_groups,
)
from poolsite.filecoin.proof_inputs import porep_inputs_of, post_inputs_of, update_inputs_of
from poolsite.filecoin.update.vanilla import update_proof_decode
from poolsite.filecoin.update.verification import update_verify

Proof = TypeVar("Proof")
"""The vanilla proof of a challenge, a sector or a partition."""


def porep_proof_check(
    proof: bytes,
    *,
    seal_proof: int,
    comm_r: bytes,
    comm_d: bytes,
    miner_id: int,
    sector_number: int,
    ticket: bytes,
    seed: bytes,
) -> None:
    """Check the container of one sector's PoRep against what the chain knows.

    Raises BadProofContainer if the bytes are malformed, BadPoRep if the proof or an input is wrong.
    """
    parameters, inputs = porep_inputs_of(
        seal_proof,
        comm_r=comm_r,
        comm_d=comm_d,
        miner_id=miner_id,
        sector_number=sector_number,
        ticket=ticket,
        seed=seed,
    )
    groups = container_groups(proof, kind=ContainerKind.POREP, registered_proof=seal_proof)
    partitions = tuple(_items(group, porep_proof_decode) for group in groups)
    porep_verify(partitions, parameters=parameters, inputs=inputs)


def window_post_check(
    proof: bytes,
    *,
    post_proof: int,
    randomness: bytes,
    miner_id: int,
    sectors: Sequence[tuple[int, bytes]],
) -> None:
    """Check the container of a WindowPoSt over `sectors` (number, comm_r).

    The container holds one proof a sector, ascending by number: repeated entries (a good sector that stands
    in for a faulty one) count once, as filecoin-ffi's map of replicas has it. Raises BadProofContainer if the
    bytes are malformed, BadPoSt if the proof or an input is wrong.
    """
    parameters, proven = post_inputs_of(post_proof, randomness, miner_id=miner_id, sectors=sectors)
    group = container_group(proof, kind=ContainerKind.WINDOW_POST, registered_proof=post_proof)
    proofs = _items(group, post_proof_decode)
    window_post_verify(proofs, parameters=parameters, randomness=post_randomness(randomness), sectors=proven)


def winning_post_check(
    proof: bytes,
    *,
    post_proof: int,
    randomness: bytes,
    miner_id: int,
    sectors: Sequence[tuple[int, bytes]],
) -> None:
    """Check the container of a WinningPoSt over the one challenged sector (number, comm_r).

    Raises BadProofContainer if the bytes are malformed, BadPoSt if the proof or an input is wrong.
    """
    parameters, proven = post_inputs_of(post_proof, randomness, miner_id=miner_id, sectors=sectors)
    group = container_group(proof, kind=ContainerKind.WINNING_POST, registered_proof=post_proof)
    proofs = _items(group, post_proof_decode)
    winning_post_verify(proofs, parameters=parameters, randomness=post_randomness(randomness), sectors=proven)


def update_proof_check(
    proof: bytes, *, update_proof: int, comm_r_old: bytes, comm_r_new: bytes, comm_d_new: bytes
) -> None:
    """Check the container of one replica update against what the chain knows.

    Raises BadProofContainer if the bytes are malformed, BadUpdate if the proof or an input is wrong.
    """
    parameters, inputs = update_inputs_of(
        update_proof, comm_r_old=comm_r_old, comm_r_new=comm_r_new, comm_d_new=comm_d_new
    )
    group = container_group(proof, kind=ContainerKind.UPDATE, registered_proof=update_proof)
    partitions = _items(group, update_proof_decode)
    update_verify(partitions, parameters=parameters, inputs=inputs)


def _items(group: tuple[bytes, ...], read: Callable[[bytes], Proof]) -> tuple[Proof, ...]:
    """Return a group's vanilla proofs, read by `read`.  Raises BadProofContainer on a malformed one."""
    try:
        return tuple(map(read, group))
    except BadBincode as error:
        raise BadProofContainer(f"vanilla proof: {error}") from None
