"""Vanilla proofs of spacetime: opening the challenged leaves of sealed sectors, finding the faulty ones.

Source: rust-fil-proofs storage-proofs-post/src/fallback/vanilla.rs;
filecoin-proofs/src/api/post_util.rs generate_fallback_sector_challenges.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.post.challenges import sector_challenges
from poolsite.filecoin.post.parameters import PoStKind, PoStParameters, UnknownPoStProof, post_parameters
from poolsite.filecoin.post.vanilla import VanillaPoStProof
from workers.kernels import poseidon
from workers.processors.errors import BadInput, BadProof, file_error
from workers.processors.seal_proofs import SEAL_PROOFS
from workers.processors.sector_trees import ReadTreeRLast
from workers.processors.self_check import paths_lead_to_roots
from workers.storage.sector import SectorFiles

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from workers.processors.post_tasks import Replica


def post_parameters_of(number: int, kind: PoStKind) -> PoStParameters:
    """Return the parameters of a registered PoSt of this kind.  Raises BadInput."""
    try:
        parameters = post_parameters(number)
    except UnknownPoStProof as error:
        raise BadInput(str(error)) from None
    if parameters.kind is not kind:
        raise BadInput(f"registered PoSt proof {number} is not a {kind.value} proof")
    return parameters


def seal_parameters_of(parameters: PoStParameters) -> SealParameters:
    """Return parameters of a sector of the PoSt's size; its tree-r-last is the same in all proof versions."""
    return next(seal for seal in SEAL_PROOFS.values() if seal.sector_bytes == parameters.sector_bytes)


def sector_prove(
    parameters: PoStParameters, replica: Replica, *, randomness: bytes, position: int
) -> VanillaPoStProof:
    """Return the checked vanilla proof of one sector.

    Raises BadFile if a file is missing, has the wrong size or cannot be read, BadProof if the files are not
    those of comm_r: the sector is faulty; TemporaryError if it is this host that is short of something.
    """
    seal = seal_parameters_of(parameters)
    files = SectorFiles(seal, Path(replica.cache_dir), Path(replica.sealed_file))
    challenges = sector_challenges(parameters, randomness, sector_number=replica.sector_id, position=position)
    try:
        with ExitStack() as opened:
            tree = ReadTreeRLast(files, opened)
            comm_c, comm_r_last = files.roots_read()
            proofs = tuple(tree.proof(challenge) for challenge in challenges)
    except OSError as error:
        raise file_error(error) from None
    if poseidon.hash_values([comm_c, comm_r_last]) != replica.comm_r:
        raise BadProof(f"sector {replica.sector_id}: p_aux does not belong to this comm_r")
    if tree.root != comm_r_last:
        raise BadProof(f"sector {replica.sector_id}: the root of tree-r-last is not the one in p_aux")
    if not all(paths_lead_to_roots(proofs)):
        raise BadProof(f"sector {replica.sector_id}: the sealed file or tree-r-last is damaged")
    return VanillaPoStProof(replica.sector_id, replica.comm_r, proofs, comm_c, comm_r_last)
