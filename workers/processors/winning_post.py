"""Stage winning_post: the proof of the one sector that a block win asks for.

Source: rust-fil-proofs filecoin-proofs/src/api/winning_post.rs.
"""

from __future__ import annotations

from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import PoStKind
from poolsite.filecoin.proof_container import winning_post_container
from workers.processors import inputs
from workers.processors.codec import Base64
from workers.processors.errors import BadInput
from workers.processors.parallel import Progress, no_progress
from workers.processors.post_sector import post_parameters_of, sector_prove
from workers.processors.snark_choice import takes_groth16
from workers.processors.tasks import WinningPostOutput, WinningPostTask
from workers.snark.files import post_spec


def run(task: WinningPostTask, *, progress: Progress = no_progress) -> WinningPostOutput:
    """Prove the sector.  Raises BadFile or BadProof if it is faulty, BadInput unless there is exactly one."""
    parameters = post_parameters_of(task.proof_type, PoStKind.WINNING)
    inputs.digests_check(seed=task.seed)
    if len(task.replicas) != 1:
        raise BadInput(f"{len(task.replicas)} sectors instead of 1")
    randomness = post_randomness(task.seed)
    proof = sector_prove(parameters, task.replicas[0], randomness=randomness, position=0)
    if takes_groth16(post_spec(parameters), is_needed=task.needs_groth16):
        from workers.processors.snark import post_snark  # only who makes them loads the kernels

        made = post_snark(parameters, [proof], randomness=randomness, progress=progress)
        return WinningPostOutput((Base64(made),))
    progress(1, 1)
    return WinningPostOutput((Base64(winning_post_container(parameters.number, proof)),))
