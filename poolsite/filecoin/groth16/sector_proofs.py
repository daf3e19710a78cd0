"""Groth16 checks of a sector's PoRep, of PoSts and of replica updates, from what the chain knows.

Source: filecoin-project/rust-fil-proofs filecoin-proofs/src/api/{seal,window_post,winning_post,update}.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.groth16.verification import BadGroth16Proof, VerifyingKey, partitions_verify
from poolsite.filecoin.scalars import BadScalar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.porep.verification import PoRepPublicInputs
    from poolsite.filecoin.post.parameters import PoStParameters
    from poolsite.filecoin.post.verification import ProvenSector
    from poolsite.filecoin.update.parameters import UpdateParameters
    from poolsite.filecoin.update.verification import UpdatePublicInputs


def porep_snark_verify(
    key: VerifyingKey, proof: bytes, *, parameters: SealParameters, inputs: PoRepPublicInputs
) -> None:
    """Raise BadGroth16Proof unless the concatenated partition proofs of one sector are right."""
    try:
        public = porep_public_inputs(parameters, inputs)
    except BadScalar as error:
        raise BadGroth16Proof(f"commitment is not a scalar: {error}") from None
    partitions_verify(key, proof, inputs=public)


def post_snark_verify(
    key: VerifyingKey,
    proof: bytes,
    *,
    parameters: PoStParameters,
    randomness: bytes,
    sectors: Sequence[ProvenSector],
) -> None:
    """Raise BadGroth16Proof unless a WindowPoSt or WinningPoSt over `sectors`, in their order, is right."""
    if not sectors:
        raise BadGroth16Proof("empty sector set is invalid")
    try:
        public = post_public_inputs(parameters, randomness, sectors=sectors)
    except BadScalar as error:
        raise BadGroth16Proof(f"comm_r is not a scalar: {error}") from None
    partitions_verify(key, proof, inputs=public)


def update_snark_verify(
    key: VerifyingKey, proof: bytes, *, parameters: UpdateParameters, inputs: UpdatePublicInputs
) -> None:
    """Raise BadGroth16Proof unless the concatenated partition proofs of one replica update are right."""
    try:
        public = update_public_inputs(parameters, inputs)
    except BadScalar as error:
        raise BadGroth16Proof(f"commitment is not a scalar: {error}") from None
    partitions_verify(key, proof, inputs=public)
