"""Makes `sector.json`: run `python -m poolsite.devnet.presealed.make`; the result is always the same."""

from __future__ import annotations

import hashlib
import json
from typing import Final

from poolsite.devnet.presealed.sector import FILE
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.replica import prover_id_bytes
from poolsite.filecoin.porep.sealing import sector_seal
from poolsite.filecoin.scalars import trimmed
from poolsite.filecoin.sector import RegisteredSealProof

MINER: Final = 1000
NUMBER: Final = 0
SEAL_PROOF: Final = RegisteredSealProof.STACKED_DRG_2KIB_V1_1
TICKET: Final = trimmed(hashlib.sha256(b"poolsite devnet pre-sealed sector").digest())


def presealed_text() -> str:
    """Seal a sector of zeros and describe it."""
    parameters = seal_parameters(SEAL_PROOF)
    sealed = sector_seal(
        bytes(parameters.sector_bytes),
        parameters=parameters,
        prover_id=prover_id_bytes(MINER),
        sector_number=NUMBER,
        ticket=TICKET,
    )
    fields = {
        "miner": MINER,
        "number": NUMBER,
        "seal_proof": int(SEAL_PROOF),
        "ticket": TICKET.hex(),
        "comm_d": sealed.tree_d.root.hex(),
        "comm_c": sealed.tree_c.root.hex(),
        "comm_r_last": sealed.tree_r_last.root.hex(),
        "comm_r": sealed.comm_r.hex(),
        "replica": sealed.replica.hex(),
    }
    return json.dumps(fields, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(presealed_text())
