"""JSON objects of miners, sectors and pre-commits with lotus' member names."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.address import UNDEF_TEXT, id_address
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.multiaddr import base58_encode

if TYPE_CHECKING:
    from poolsite.devnet.state.miner_rows import Miner
    from poolsite.devnet.state.sector_rows import PreCommit, Sector


def peer_text(peer: bytes) -> str | None:
    """Return a libp2p peer id in base58, null for none."""
    return base58_encode(peer) if peer else None


def info_json(miner: Miner) -> dict[str, Any]:
    """MinerInfo."""
    change = miner.pending_beneficiary
    return {
        "Owner": str(id_address(miner.owner)),
        "Worker": str(id_address(miner.worker)),
        "NewWorker": UNDEF_TEXT if miner.new_worker is None else str(id_address(miner.new_worker)),
        "ControlAddresses": [str(id_address(number)) for number in miner.control] or None,
        "WorkerChangeEpoch": miner.worker_change_epoch,
        "PeerId": peer_text(miner.peer),
        "Multiaddrs": [base64.b64encode(address).decode() for address in miner.multiaddrs] or None,
        "WindowPoStProofType": miner.post_proof,
        "SectorSize": miner.sector_size,
        "WindowPoStPartitionSectors": miner.partition_sectors,
        "ConsensusFaultElapsed": miner.consensus_fault_elapsed,
        "PendingOwnerAddress": None if miner.pending_owner is None else str(id_address(miner.pending_owner)),
        "Beneficiary": str(id_address(miner.beneficiary)),
        "BeneficiaryTerm": {
            "Quota": str(miner.term.quota),
            "UsedQuota": str(miner.term.used),
            "Expiration": miner.term.expiration,
        },
        "PendingBeneficiaryTerm": None
        if change is None
        else {
            "NewBeneficiary": str(id_address(change.beneficiary)),
            "NewQuota": str(change.quota),
            "NewExpiration": change.expiration,
            "ApprovedByBeneficiary": change.by_beneficiary,
            "ApprovedByNominee": change.by_nominee,
        },
    }


def sector_json(sector: Sector) -> dict[str, Any]:
    """SectorOnChainInfo."""
    return {
        "SectorNumber": sector.number,
        "SealProof": sector.seal_proof,
        "SealedCID": cid_to_json(sector.sealed_cid),
        "Activation": sector.activation,
        "Expiration": sector.expiration,
        "DealWeight": str(sector.deal_weight),
        "VerifiedDealWeight": str(sector.verified_weight),
        "InitialPledge": str(sector.pledge),
        "ExpectedDayReward": None,
        "ExpectedStoragePledge": None,
        "PowerBaseEpoch": sector.power_base_epoch,
        "ReplacedDayReward": None,
        "SectorKeyCID": cid_to_json(sector.sector_key),
        "Flags": sector.flags,
        "DailyFee": str(sector.daily_fee),
    }


def precommit_json(row: PreCommit) -> dict[str, Any]:
    """SectorPreCommitOnChainInfo."""
    return {
        "Info": {
            "SealProof": row.seal_proof,
            "SectorNumber": row.number,
            "SealedCID": cid_to_json(row.sealed_cid),
            "SealRandEpoch": row.seal_rand_epoch,
            "DealIDs": list(row.deal_ids) or None,
            "Expiration": row.expiration,
            "UnsealedCid": cid_to_json(row.unsealed_cid),
        },
        "PreCommitDeposit": str(row.deposit),
        "PreCommitEpoch": row.epoch,
    }
