"""Answering ComputeProof: a WinningPoSt of the one sector that a block win asks for.

Source: filecoin-project/venus venus-shared/types/gateway/proof_event.go ComputeProofRequest.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from poolsite.filecoin.cids import BadCid, cid_from_json, cid_to_commr
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, UnknownSealProof, seal_parameters
from poolsite.wire.job_inputs import ProvenSector
from workers.processors.errors import BadFile, BadInput, BadProof
from workers.processors.post_tasks import Replica, WinningPostTask
from workers.prover.located import OtherPlaces

if TYPE_CHECKING:
    from workers.processors.post_tasks import WinningPostOutput
    from workers.storage.stores import Stores

WINNING_V1: Final = 0
"""First number of the registered WinningPoSt proofs; the sector size is added."""

Json = Any


def winning_task(request: Json, *, stores: Stores, miner_id: int) -> tuple[WinningPostTask, OtherPlaces]:
    """Return the processor's task with the places of the files, and their other places.  Raises BadInput."""
    try:
        seed = base64.b64decode(request["Rand"], validate=True)
        replicas, sizes, sectors = [], set(), []
        for sector in request["SectorInfos"]:
            parameters = seal_parameters(sector["SealProof"])
            sealed = cid_from_json(sector["SealedCID"])
            if sealed is None:
                raise BadInput("a sector without SealedCID")
            number, comm_r = int(sector["SectorNumber"]), cid_to_commr(sealed)
            files = stores.proven_files(parameters, miner_id=miner_id, number=number, comm_r=comm_r)
            if files is None:
                raise BadInput(f"sector {number} is in none of the available stores")
            replicas.append(Replica(number, comm_r, str(files.cache), str(files.sealed)))
            sizes.add(parameters.sector_bytes)
            sectors.append(ProvenSector(number=number, comm_r=comm_r, seal_proof=parameters.number))
    except (TypeError, KeyError, ValueError, BadCid, UnknownSealProof) as error:
        raise BadInput(f"the request cannot be read: {error!r}"[:300]) from None
    if len(sizes) != 1:
        raise BadInput(f"the sectors have {len(sizes)} different sizes instead of 1")
    proof_type = WINNING_V1 + SECTOR_SIZES.index(sizes.pop())
    others = OtherPlaces(stores, miner_id, sectors)
    return WinningPostTask(miner_id, proof_type, tuple(replicas), seed), others


def proofs_json(task: WinningPostTask, output: WinningPostOutput) -> Json:
    """Return `[]PoStProof` as JSON."""
    return [
        {"PoStProof": task.proof_type, "ProofBytes": base64.b64encode(proof).decode()}
        for proof in output.proofs
    ]


def compute_proof(
    request: Json,
    *,
    stores: Stores,
    miner_id: int,
    prove: Callable[[WinningPostTask], WinningPostOutput],
) -> Json:
    """Answer one request.  Raises ProcessorError if the sector cannot be proven."""
    task, others = winning_task(request, stores=stores, miner_id=miner_id)
    while True:
        try:
            return proofs_json(task, prove(task))
        except (BadFile, BadProof):
            replicas = others.after(task.replicas, [one.sector_id for one in task.replicas])
            if not replicas:
                raise
            task = replace(task, replicas=replicas)  # a move took the old copy away
