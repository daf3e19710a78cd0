"""Verification of vanilla WindowPoSt and WinningPoSt proofs.

Source: filecoin-project/rust-fil-proofs storage-proofs-post/src/fallback/vanilla.rs verify_all_partitions,
filecoin-proofs/src/api/{window_post,winning_post}.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.merkle import BadMerkleProof, merkle_proof_check, tree_arities
from poolsite.filecoin.porep.replica import replica_commitment
from poolsite.filecoin.poseidon import poseidon_node
from poolsite.filecoin.post.challenges import sector_challenges
from poolsite.filecoin.post.parameters import PoStKind, PoStParameters
from poolsite.filecoin.scalars import BadScalar, scalar_from_bytes

if TYPE_CHECKING:
    from poolsite.filecoin.post.vanilla import VanillaPoStProof


class BadPoSt(ValueError):
    """A proof that does not show that the sectors are stored; the text names the rule it breaks."""

    def __init__(self, reason: str, *, faulty: tuple[int, ...] = ()) -> None:
        """Keep the reason and, where single sectors fail, their numbers."""
        super().__init__(reason)
        self.faulty = faulty
        """Numbers of the sectors whose own proof is wrong, ascending; empty if the whole is malformed."""


@dataclass(frozen=True, slots=True)
class ProvenSector:
    """A sector as the chain knows it."""

    number: int
    """Sector number."""
    comm_r: bytes
    """Commitment to its replica."""


def window_post_verify(
    proofs: Sequence[VanillaPoStProof],
    *,
    parameters: PoStParameters,
    randomness: bytes,
    sectors: Sequence[ProvenSector],
) -> None:
    """Check one proof for each of `sectors`, in their order.

    A proof must be of this sector and its comm_r, show comm_r to be the hash of comm_c and comm_r_last, and
    open exactly the challenged nodes in tree_r_last.  All sectors are checked, also behind a faulty one.

    Raises BadPoSt; where sectors are faulty it names all of them.
    """
    if parameters.kind is not PoStKind.WINDOW:
        raise BadPoSt(f"registered proof {parameters.number} is not a WindowPoSt")
    _post_verify(proofs, parameters=parameters, randomness=randomness, sectors=sectors)


def winning_post_verify(
    proofs: Sequence[VanillaPoStProof],
    *,
    parameters: PoStParameters,
    randomness: bytes,
    sectors: Sequence[ProvenSector],
) -> None:
    """Raise BadPoSt unless the proof of the one challenged sector is right."""
    if parameters.kind is not PoStKind.WINNING:
        raise BadPoSt(f"registered proof {parameters.number} is not a WinningPoSt")
    if len(sectors) != 1:
        raise BadPoSt(f"{len(sectors)} sectors challenged instead of 1")
    _post_verify(proofs, parameters=parameters, randomness=randomness, sectors=sectors)


def _post_verify(
    proofs: Sequence[VanillaPoStProof],
    *,
    parameters: PoStParameters,
    randomness: bytes,
    sectors: Sequence[ProvenSector],
) -> None:
    """Raise BadPoSt, with the numbers of all faulty sectors, unless every sector's proof is right."""
    try:
        scalar_from_bytes(randomness)
    except BadScalar as error:
        raise BadPoSt(f"randomness is not a scalar: {error}") from None
    if not sectors:
        raise BadPoSt("empty sector set is invalid")
    if len(proofs) != len(sectors):
        raise BadPoSt(f"{len(proofs)} sector proofs instead of {len(sectors)}")
    faults = {}
    for position, (sector, proof) in enumerate(zip(sectors, proofs, strict=True)):
        challenges = sector_challenges(parameters, randomness, sector_number=sector.number, position=position)
        try:
            _sector_check(proof, sector, parameters=parameters, challenges=challenges)
        except (BadMerkleProof, BadScalar, BadPoSt) as error:
            faults[sector.number] = str(error)
    if faults:
        faulty = tuple(sorted(faults))
        reasons = "; ".join(f"{number} ({faults[number]})" for number in faulty)
        raise BadPoSt(f"faulty sectors: {reasons}", faulty=faulty)


def _sector_check(
    proof: VanillaPoStProof,
    sector: ProvenSector,
    *,
    parameters: PoStParameters,
    challenges: tuple[int, ...],
) -> None:
    """Check one sector's proof.  Raises BadMerkleProof, BadScalar or BadPoSt."""
    if proof.sector_number != sector.number:
        raise BadPoSt(f"proof is for sector {proof.sector_number}")
    if proof.comm_r != sector.comm_r:
        raise BadPoSt("comm_r does not match")
    if replica_commitment(proof.comm_c, proof.comm_r_last) != sector.comm_r:
        raise BadPoSt("comm_r is not the hash of comm_c and comm_r_last")
    if len(proof.inclusion_proofs) != len(challenges):
        raise BadPoSt(f"{len(proof.inclusion_proofs)} inclusion proofs instead of {len(challenges)}")
    arities = tree_arities(parameters.nodes, parameters.shape)
    for challenge, inclusion in zip(challenges, proof.inclusion_proofs, strict=True):
        merkle_proof_check(
            inclusion, challenge, arities=arities, root=proof.comm_r_last, node_hash=poseidon_node
        )
