"""Stage aggregate: the PoReps of several sectors made one proof, with the network's set-up of aggregates."""

from __future__ import annotations

from poolsite.filecoin.groth16.aggregate import aggregate_size
from poolsite.filecoin.groth16.aggregate_challenges import porep_include
from poolsite.filecoin.groth16.verification import partitions_of
from poolsite.filecoin.porep.parameters import ChallengeRule, UnknownSealProof, seal_parameters
from workers.processors.codec import Base64
from workers.processors.errors import BadInput
from workers.processors.parallel import Progress, no_progress, thread_count
from workers.processors.tasks import AggregateOutput, AggregateTask
from workers.snark.aggregation import proofs_aggregate
from workers.snark.files import powers_path
from workers.snark.powers import powers_read


def run(task: AggregateTask, *, progress: Progress = no_progress) -> AggregateOutput:
    """Make the aggregate of the sectors' partitions, in their order.  Raises BadInput, OSError."""
    try:
        parameters = seal_parameters(task.seal_proof)
        has_seeds = parameters.rule is not ChallengeRule.NON_INTERACTIVE
        proofs = [
            partition for proof in task.proofs for partition in partitions_of(proof, parameters.partitions)
        ]
        made = proofs_aggregate(
            proofs,
            powers=powers_read(powers_path(), proofs=aggregate_size(len(proofs))),
            include=porep_include(task.comm_rs, seeds=task.seeds if has_seeds else None),
            threads=thread_count(),
            progress=progress,
        )
    except (UnknownSealProof, ValueError) as error:
        raise BadInput(str(error)) from None
    return AggregateOutput(Base64(made))
