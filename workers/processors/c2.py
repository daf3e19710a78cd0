"""Stage c2: the proof that goes on chain.

Our container of vanilla proofs, which our own chain takes, or Groth16 proofs, as `snark_choice` says.
"""

from __future__ import annotations

from poolsite.filecoin.merkle_codec import BadProofJson
from poolsite.filecoin.porep.c1 import c1_from_json
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.proof_container import porep_container
from workers.processors.c1_json import c1_text
from workers.processors.errors import BadInput
from workers.processors.parallel import Progress, no_progress
from workers.processors.seal_proofs import parameters_named
from workers.processors.snark import porep_snark
from workers.processors.snark_choice import takes_groth16
from workers.processors.tasks import C2Output, C2Task
from workers.snark.files import porep_spec


def run(task: C2Task, *, progress: Progress = no_progress) -> C2Output:
    """Pack the vanilla proofs of c1.  Raises BadInput for a JSON that is none of c1, BadFile."""
    try:
        output = c1_from_json(c1_text(task))
    except BadProofJson as error:
        raise BadInput(str(error)) from None
    parameters = parameters_named(output.registered_proof)
    if takes_groth16(porep_spec(parameters), is_needed=task.needs_groth16):
        inputs = PoRepPublicInputs(output.replica_id, output.comm_d, output.comm_r, output.seed)
        return C2Output(porep_snark(parameters, output.partitions, inputs, progress=progress))
    proof = porep_container(parameters.number, output.partitions)
    progress(1, 1)
    return C2Output(proof)
