"""A container of vanilla PoReps."""

from __future__ import annotations

from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.sealing import porep_prove
from poolsite.filecoin.proof_container import (
    porep_container,
)
from tests.unit.filecoin.golden_proofs import MINER_ID, SECTOR_NUMBER, case_sealed, golden


def porep_of(case="2k_v1_1"):
    """The container and the arguments of its check."""
    sector, expected = case_sealed(case), golden(f"seal_{case}")
    parameters, seed = sector.parameters, bytes.fromhex(expected["seed"])
    source = ChallengeSource(sector.replica_id, sector.comm_r, seed)
    partitions = [
        [porep_prove(sector, node) for node in porep_challenges(parameters, source, partition=at)]
        for at in range(parameters.partitions)
    ]
    known = {
        "seal_proof": parameters.number,
        "comm_r": sector.comm_r,
        "comm_d": sector.tree_d.root,
        "miner_id": MINER_ID,
        "sector_number": SECTOR_NUMBER,
        "ticket": bytes.fromhex(expected["ticket"]),
        "seed": seed,
    }
    return porep_container(parameters.number, partitions), known
