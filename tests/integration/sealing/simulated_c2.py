"""A C2 program of somebody's own, by the processors' protocol: proofs by the secrets of TEST-ONLY keys."""

from __future__ import annotations

import json
import sys

from poolsite.filecoin.groth16.public_inputs import porep_public_inputs
from poolsite.filecoin.porep.c1 import c1_from_json
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from tests.unit.filecoin.groth16.simulated import simulated_proof
from workers.processors.seal_proofs import parameters_named


def main() -> None:
    """Answer each line."""
    sys.stdout.write("c2 processor ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        c1 = c1_from_json(json.dumps(asked["task"]["c1out"], separators=(",", ":")))
        known = PoRepPublicInputs(c1.replica_id, c1.comm_d, c1.comm_r, c1.seed)
        parameters = seal_parameters(parameters_named(c1.registered_proof).number)
        proof = b"".join(map(simulated_proof, porep_public_inputs(parameters, known)))
        answer = {"id": asked["id"], "err_msg": None, "output": {"proof": list(proof)}}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
