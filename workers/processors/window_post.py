"""Stage window_post: the proof that the sectors of some partitions are stored, or which are not.

Source: rust-fil-proofs filecoin-proofs/src/api/window_post.rs; damocles-worker WindowPoSt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.filecoin.post.challenges import post_randomness, sector_challenges
from poolsite.filecoin.post.parameters import PoStKind
from poolsite.filecoin.proof_container import window_post_container
from workers.processors import inputs
from workers.processors.codec import Base64
from workers.processors.errors import BadFile, BadInput, BadProof
from workers.processors.parallel import Progress, no_progress
from workers.processors.post_sector import post_parameters_of, sector_prove
from workers.processors.post_tasks import Replica, WindowPostOutput, WindowPostTask
from workers.processors.snark import post_snark
from workers.processors.snark_choice import takes_groth16
from workers.snark.files import post_spec

if TYPE_CHECKING:
    from poolsite.filecoin.post.vanilla import VanillaPoStProof

Opening = tuple[bytes, int, tuple[int, ...]]
"""A sector's comm_r, number and challenged nodes, which determine its vanilla proof."""
EARLIER: Final[dict[str, dict[Opening, VanillaPoStProof]]] = {}
"""Proofs of the good sectors of a task with faulty ones, by job, kept for the job's next task: reading a full
partition from hard disks takes minutes."""
EARLIER_MAX: Final = 2
"""Jobs whose proofs are kept: a prover makes so many at a time.  60 MB for each full partition."""


def run(task: WindowPostTask, *, progress: Progress = no_progress) -> WindowPostOutput:
    """Prove all sectors; if some are faulty, return their numbers instead of a proof.

    The caller then proves the others by a second task without them, for which no file is read again.
    Sectors are proven ascending by number, each once: a good sector that stands in for a faulty one
    (filecoin-ffi's map of replicas has it so too) is not opened twice.
    """
    parameters = post_parameters_of(task.proof_type, PoStKind.WINDOW)
    inputs.digests_check(seed=task.seed)
    proofs, faults = window_post_prove(task, progress=progress)
    if faults:
        return WindowPostOutput((), faults)
    size = parameters.partition_sectors
    partitions = -(-len(proofs) // size)
    if takes_groth16(post_spec(parameters), partitions=partitions, seconds_left=task.seconds_left):

        def computing(_done: int, _total: int) -> None:
            progress(len(proofs), len(proofs))  # progress counts sectors, and all are read

        randomness = post_randomness(task.seed)
        snark = post_snark(parameters, proofs, randomness=randomness, progress=computing)
        return WindowPostOutput((Base64(snark),), ())
    return WindowPostOutput((Base64(window_post_container(parameters.number, proofs)),), ())


def window_post_prove(
    task: WindowPostTask, *, progress: Progress = no_progress
) -> tuple[tuple[VanillaPoStProof, ...], tuple[int, ...]]:
    """Return the vanilla proofs of the good sectors and the numbers of the faulty ones.

    With faulty ones among them the proofs are kept for the job's next task.
    """
    parameters = post_parameters_of(task.proof_type, PoStKind.WINDOW)
    replicas = distinct_replicas(task.replicas)
    randomness = post_randomness(task.seed)
    earlier = EARLIER.pop(task.job, {})
    read: dict[Opening, VanillaPoStProof] = {}
    faults = []
    for position, replica in enumerate(replicas):
        number = replica.sector_id
        challenges = sector_challenges(parameters, randomness, sector_number=number, position=position)
        opening = (replica.comm_r, number, challenges)
        try:
            read[opening] = earlier.get(opening) or sector_prove(
                parameters, replica, randomness=randomness, position=position
            )
        except (BadFile, BadProof):
            faults.append(number)
        progress(position + 1, len(replicas))
    if faults and task.job:
        EARLIER[task.job] = read
        for oldest in list(EARLIER)[:-EARLIER_MAX]:
            EARLIER.pop(oldest, None)
    return tuple(read.values()), tuple(faults)


def distinct_replicas(replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    """Return the replicas ascending by number, each once.  Raises BadInput for none or contradicting ones."""
    if not replicas:
        raise BadInput("empty sector set is invalid")
    distinct = {replica.sector_id: replica for replica in replicas}
    if any(distinct[replica.sector_id].comm_r != replica.comm_r for replica in replicas):
        raise BadInput("a sector is listed with two different comm_r")
    return tuple(distinct[number] for number in sorted(distinct))
