"""Stage c2: the proof that goes on chain.

Here the devnet's container of vanilla proofs; a network with Groth16 proofs needs an external
processor for this stage (`poolsite.filecoin.proof_container` says what the bytes are).
"""

from __future__ import annotations

from pathlib import Path

from poolsite.filecoin.merkle_codec import BadProofJson
from poolsite.filecoin.porep.c1 import c1_from_json
from poolsite.filecoin.proof_container import porep_container
from workers.processors.errors import BadFile, BadInput
from workers.processors.spread import Progress, silent
from workers.processors.tasks import C2Output, C2Task, parameters_named


def run(task: C2Task, *, progress: Progress = silent) -> C2Output:
    """Pack the vanilla proofs of c1.  Raises BadInput for a JSON that is none of c1, BadFile."""
    try:
        output = c1_from_json(c1_text(task))
    except BadProofJson as error:
        raise BadInput(str(error)) from None
    parameters = parameters_named(output.registered_proof)
    proof = porep_container(parameters.number, output.partitions)
    progress(1, 1)
    return C2Output(proof)


def c1_text(task: C2Task) -> str | bytes:
    """Return the JSON of c1, wherever it is.  Raises BadInput, BadFile."""
    if task.c1_json is not None:
        return task.c1_json
    if task.c1_path is None:
        raise BadInput("neither c1_json nor c1_path")
    try:
        return Path(task.c1_path).read_bytes()
    except OSError as error:
        raise BadFile(str(error)) from None
