"""A program of somebody's own for snap_prove: update proofs by the secrets of TEST-ONLY keys."""

from __future__ import annotations

import json
import sys

from poolsite.filecoin.groth16.public_inputs import update_public_inputs
from poolsite.filecoin.update.parameters import update_parameters
from poolsite.filecoin.update.verification import UpdatePublicInputs
from tests.unit.filecoin.groth16.simulated import simulated_proof

COMMITMENTS = ("comm_r_old", "comm_d_new", "comm_r_new")


def main() -> None:
    """Answer each line."""
    sys.stdout.write("snap_prove processor ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        known = UpdatePublicInputs(**{name: bytes(asked["task"][name]) for name in COMMITMENTS})
        proof = b"".join(map(simulated_proof, update_public_inputs(update_parameters(0), known)))
        answer = {"id": asked["id"], "err_msg": None, "output": {"proof": list(proof)}}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
