"""Checks of method numbers, parameters and their layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolsite.filecoin import block
from poolsite.filecoin.actors import init, market, miner, multisig, power, reward, smoothing
from poolsite.filecoin.actors.decode import ACTOR_METHODS, method_name, params_decode, params_encode
from poolsite.filecoin.actors.method import FIRST_EXPORTED_METHOD, frc42_number
from poolsite.filecoin.signature import SIGNATURE
from tests.unit.filecoin.golden.files import alike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poolsite.filecoin.codec import Struct

FRC42_NAMES = {
    "CurrentTotalPowerNetworkRawPower": "NetworkRawPower",
    "CurrentTotalPowerMinerRawPower": "MinerRawPower",
    "CurrentTotalPowerMinerCount": "MinerCount",
    "CurrentTotalPowerMinerConsensusCount": "MinerConsensusCount",
    "UniversalReceiverHook": "Receive",
    "InvokeContract": "InvokeEVM",
}
"""Names that Go's constants give to exported methods that are called otherwise."""

STRUCTS: dict[str, Struct[Any]] = {
    "CreateMiner": power.CREATE_MINER_PARAMS,
    "CreateMinerReturn": power.CREATE_MINER_RETURN,
    "ControlAddressesReturn": miner.CONTROL_ADDRESSES_RETURN,
    "ChangeWorkerAddress": miner.CHANGE_WORKER_ADDRESS_PARAMS,
    "ChangePeerID": miner.CHANGE_PEER_ID_PARAMS,
    "PoStPartition": miner.POST_PARTITION,
    "PoStProof": block.POST_PROOF,
    "SubmitWindowedPoSt": miner.SUBMIT_WINDOWED_POST_PARAMS,
    "PreCommitSector(deprecated)": miner.PRE_COMMIT_SECTOR_PARAMS,
    "ProveCommitSector": miner.PROVE_COMMIT_SECTOR_PARAMS,
    "ExpirationExtension": miner.EXPIRATION_EXTENSION,
    "ExtendSectorExpiration": miner.EXTEND_SECTOR_EXPIRATION_PARAMS,
    "PartitionSectors": miner.PARTITION_SECTORS,
    "TerminateSectors": miner.TERMINATE_SECTORS_PARAMS,
    "TerminateSectorsReturn": miner.TERMINATE_SECTORS_RETURN,
    "DeclareFaults": miner.DECLARE_FAULTS_PARAMS,
    "DeclareFaultsRecovered": miner.DECLARE_FAULTS_RECOVERED_PARAMS,
    "CheckSectorProven": miner.CHECK_SECTOR_PROVEN_PARAMS,
    "ReportConsensusFault": miner.REPORT_CONSENSUS_FAULT_PARAMS,
    "WithdrawBalance": miner.WITHDRAW_BALANCE_PARAMS,
    "market.WithdrawBalance": market.WITHDRAW_BALANCE_PARAMS,
    "ChangeMultiaddrs": miner.CHANGE_MULTIADDRS_PARAMS,
    "CompactPartitions": miner.COMPACT_PARTITIONS_PARAMS,
    "CompactSectorNumbers": miner.COMPACT_SECTOR_NUMBERS_PARAMS,
    "ChangeOwnerAddress(param is a bare address)": miner.CHANGE_OWNER_ADDRESS_PARAMS,
    "AddBalance(param is a bare address)": market.ADD_BALANCE_PARAMS,
    "DisputeWindowedPoSt": miner.DISPUTE_WINDOWED_POST_PARAMS,
    "ProveCommitAggregate": miner.PROVE_COMMIT_AGGREGATE_PARAMS,
    "ReplicaUpdate": miner.REPLICA_UPDATE,
    "ProveReplicaUpdates": miner.PROVE_REPLICA_UPDATES_PARAMS,
    "SectorPreCommitInfo": miner.SECTOR_PRE_COMMIT_INFO,
    "PreCommitSectorBatch2": miner.PRE_COMMIT_SECTOR_BATCH2_PARAMS,
    "ChangeBeneficiary": miner.CHANGE_BENEFICIARY_PARAMS,
    "BeneficiaryTerm": miner.BENEFICIARY_TERM,
    "ActiveBeneficiary": miner.ACTIVE_BENEFICIARY,
    "PendingBeneficiaryChange": miner.PENDING_BENEFICIARY_CHANGE,
    "GetBeneficiaryReturn": miner.GET_BENEFICIARY_RETURN,
    "SectorClaim": miner.SECTOR_CLAIM,
    "ExpirationExtension2": miner.EXPIRATION_EXTENSION2,
    "ExtendSectorExpiration2": miner.EXTEND_SECTOR_EXPIRATION2_PARAMS,
    "VerifiedAllocationKey": miner.VERIFIED_ALLOCATION_KEY,
    "DataActivationNotification": miner.DATA_ACTIVATION_NOTIFICATION,
    "PieceActivationManifest": miner.PIECE_ACTIVATION_MANIFEST,
    "SectorActivationManifest": miner.SECTOR_ACTIVATION_MANIFEST,
    "ProveCommitSectors3": miner.PROVE_COMMIT_SECTORS3_PARAMS,
    "ProveCommitSectors3(aggregate)": miner.PROVE_COMMIT_SECTORS3_PARAMS,
    "SectorUpdateManifest": miner.SECTOR_UPDATE_MANIFEST,
    "ProveReplicaUpdates3": miner.PROVE_REPLICA_UPDATES3_PARAMS,
    "SectorNIActivationInfo": miner.SECTOR_NI_ACTIVATION_INFO,
    "ProveCommitSectorsNI": miner.PROVE_COMMIT_SECTORS_NI_PARAMS,
    "state:SectorOnChainInfo": miner.SECTOR_ON_CHAIN_INFO,
    "state:SectorPreCommitOnChainInfo": miner.SECTOR_PRE_COMMIT_ON_CHAIN_INFO,
    "struct:ExpirationExtensionEmptyBF": miner.PARTITION_SECTORS,
    "DealProposal": market.DEAL_PROPOSAL,
    "ClientDealProposal": market.CLIENT_DEAL_PROPOSAL,
    "PublishStorageDeals": market.PUBLISH_STORAGE_DEALS_PARAMS,
    "PublishStorageDealsReturn": market.PUBLISH_STORAGE_DEALS_RETURN,
    "Exec": init.EXEC_PARAMS,
    "Constructor": multisig.CONSTRUCTOR_PARAMS,
    "Propose": multisig.PROPOSE_PARAMS,
    "ProposeReturn": multisig.PROPOSE_RETURN,
    "ProposalHashData": multisig.PROPOSAL_HASH_DATA,
    "Approve(hash = blake2b-256 of ProposalHashData cbor)": multisig.TXN_ID_PARAMS,
    "AddSigner": multisig.ADD_SIGNER_PARAMS,
    "RemoveSigner": multisig.REMOVE_SIGNER_PARAMS,
    "SwapSigner": multisig.SWAP_SIGNER_PARAMS,
    "ChangeNumApprovalsThreshold": multisig.CHANGE_NUM_APPROVALS_THRESHOLD_PARAMS,
    "LockBalance": multisig.LOCK_BALANCE_PARAMS,
    "FilterEstimate": smoothing.FILTER_ESTIMATE,
    "ThisEpochRewardReturn": reward.THIS_EPOCH_REWARD_RETURN,
    "ApplyRewards": miner.APPLY_REWARDS_PARAMS,
    "DeferredCronEvent": miner.DEFERRED_CRON_EVENT_PARAMS,
}

CALLABLE = 38
"""Least number of entries that are the parameters of a numbered method and pass through the decoder."""


def _struct(case: Any) -> Struct[Any]:
    if case["actor"] == "market" and f"market.{case['name']}" in STRUCTS:
        return STRUCTS[f"market.{case['name']}"]
    return STRUCTS[case["name"]]


def params(data: Any) -> Iterator[object]:
    decoded = 0
    for case in data:
        raw = bytes.fromhex(case["cbor"])
        if case["name"] == "Signature(bls)":
            signature = SIGNATURE.read_json(case["json"])
            assert SIGNATURE.encode(signature) == raw
            assert SIGNATURE.decode(raw, 0) == (signature, len(raw))
            yield case
            continue
        struct = _struct(case)
        value = struct.from_json(case["json"])
        assert struct.encode(value) == raw, case["name"]
        assert struct.decode(raw) == value
        assert alike(struct.to_json(value), case["json"]), case["name"]
        spec = ACTOR_METHODS.get(case["actor"], {}).get(case["method"])
        if case["method"] and not case["name"].endswith("Return") and spec is not None:
            assert spec.params is struct, case["name"]
            assert alike(params_decode(case["actor"], case["method"], raw), case["json"])
            assert params_encode(case["actor"], case["method"], case["json"]) == raw
            decoded += 1
        yield case
    assert decoded >= CALLABLE


def params_schema(data: Any) -> Iterator[object]:
    for name, layout in data.items():
        if name == "_":  # the file's own explanation
            continue
        if layout == "!sig":
            assert SIGNATURE.name == "signature"
        elif isinstance(layout, str):
            assert STRUCTS[name].bare, name
        else:
            ours = [field.json for field in STRUCTS[name].stored]
            assert ours == [field.split(":")[0] for field in layout], name
            assert not STRUCTS[name].bare
        yield name


def methods(data: Any) -> Iterator[object]:
    for actor, numbers in data.items():
        for name, number in numbers.items():
            assert ACTOR_METHODS[actor][number].name == name
            assert method_name(actor, number) == name
            if number >= FIRST_EXPORTED_METHOD:
                base = name.removesuffix("Exported")
                assert frc42_number(FRC42_NAMES.get(base, base)) == number
            yield name
