"""A sector of a small chain with data put into it."""

from __future__ import annotations

from poolsite.filecoin.actors.miner_sectors import (
    PieceActivationManifest,
    ProveReplicaUpdates3Params,
    SectorUpdateManifest,
)
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.proof_container import update_container
from poolsite.filecoin.update.parameters import update_parameters_for_size
from tests.devnet_epochs import advance_to
from tests.naive.updates import sector_update, update_prove

SIZE = 2048

UPDATE_PROOF = 0


def seven_prove(miner):
    """Prove sector 7 and pass its deadline: it may be changed from then on."""
    miner.add_sectors(7)
    (deadline, _), _ = miner.reader.all_partitions()[0]
    miner.post(deadline)
    advance_to(miner.node, miner.deadline(deadline).close)


def updated(miner):
    """The sector with 2032 bytes of data in it."""
    parameters = update_parameters_for_size(SIZE, TreeShape())
    sealed = miner.sealed[7]
    staged = fr32_pad(bytes(range(127)) * 16)
    return sector_update(
        staged, parameters=parameters, tree_r_old=sealed.tree_r_last, comm_c=sealed.tree_c.root
    )


def params(miner, update, *, proof=None, **changes):
    (deadline, partition), _ = miner.reader.all_partitions()[0]
    piece = PieceActivationManifest(commd_cid(update.tree_d.root), SIZE, None, ())
    fields = {
        "sector": 7,
        "deadline": deadline,
        "partition": partition,
        "new_sealed_cid": commr_cid(update.inputs.comm_r_new),
        "pieces": (piece,),
    } | changes
    if proof is None:
        count = update.parameters.partitions
        proof = update_container(UPDATE_PROOF, [update_prove(update, at) for at in range(count)])
    return to_cbor(
        ProveReplicaUpdates3Params(
            (SectorUpdateManifest(**fields),), (proof,), b"", UPDATE_PROOF, None, False, False
        )
    )
