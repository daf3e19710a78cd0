"""Checks of method numbers, parameters and their layouts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from poolsite.filecoin import block
from poolsite.filecoin.actors import init, market, multisig, power, reward, smoothing
from poolsite.filecoin.actors.decode import ACTOR_METHODS, method_name, params_decode, params_encode
from poolsite.filecoin.actors.miner_beneficiary import (
    ActiveBeneficiary,
    BeneficiaryTerm,
    ChangeBeneficiaryParams,
    GetBeneficiaryReturn,
    PendingBeneficiaryChange,
)
from poolsite.filecoin.actors.miner_control import (
    ApplyRewardsParams,
    ChangeMultiaddrsParams,
    ChangeOwnerAddressParams,
    ChangePeerIDParams,
    ChangeWorkerAddressParams,
    ControlAddressesReturn,
    WithdrawBalanceParams,
)
from poolsite.filecoin.actors.miner_proving import (
    CompactPartitionsParams,
    CompactSectorNumbersParams,
    DeclareFaultsParams,
    DeclareFaultsRecoveredParams,
    DeferredCronEventParams,
    DisputeWindowedPoStParams,
    PartitionSectors,
    PoStPartition,
    ReportConsensusFaultParams,
    SubmitWindowedPoStParams,
    TerminateSectorsParams,
    TerminateSectorsReturn,
)
from poolsite.filecoin.actors.miner_retired import (
    ExpirationExtension,
    ExtendSectorExpirationParams,
    PreCommitSectorParams,
    ProveCommitAggregateParams,
    ProveCommitSectorParams,
    ProveReplicaUpdatesParams,
    ReplicaUpdate,
)
from poolsite.filecoin.actors.miner_sectors import (
    CheckSectorProvenParams,
    DataActivationNotification,
    ExpirationExtension2,
    ExtendSectorExpiration2Params,
    PieceActivationManifest,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    ProveCommitSectorsNIParams,
    ProveReplicaUpdates3Params,
    SectorActivationManifest,
    SectorClaim,
    SectorNIActivationInfo,
    SectorPreCommitInfo,
    SectorUpdateManifest,
    VerifiedAllocationKey,
)
from poolsite.filecoin.actors.miner_state import SectorOnChainInfo, SectorPreCommitOnChainInfo
from poolsite.filecoin.codec import Struct, struct_of
from poolsite.filecoin.signature import SIGNATURE
from tests.unit.filecoin.golden.files import alike

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
    "CreateMiner": struct_of(power.CreateMinerParams),
    "CreateMinerReturn": struct_of(power.CreateMinerReturn),
    "ControlAddressesReturn": struct_of(ControlAddressesReturn),
    "ChangeWorkerAddress": struct_of(ChangeWorkerAddressParams),
    "ChangePeerID": struct_of(ChangePeerIDParams),
    "PoStPartition": struct_of(PoStPartition),
    "PoStProof": struct_of(block.PoStProof),
    "SubmitWindowedPoSt": struct_of(SubmitWindowedPoStParams),
    "PreCommitSector(deprecated)": struct_of(PreCommitSectorParams),
    "ProveCommitSector": struct_of(ProveCommitSectorParams),
    "ExpirationExtension": struct_of(ExpirationExtension),
    "ExtendSectorExpiration": struct_of(ExtendSectorExpirationParams),
    "PartitionSectors": struct_of(PartitionSectors),
    "TerminateSectors": struct_of(TerminateSectorsParams),
    "TerminateSectorsReturn": struct_of(TerminateSectorsReturn),
    "DeclareFaults": struct_of(DeclareFaultsParams),
    "DeclareFaultsRecovered": struct_of(DeclareFaultsRecoveredParams),
    "CheckSectorProven": struct_of(CheckSectorProvenParams),
    "ReportConsensusFault": struct_of(ReportConsensusFaultParams),
    "WithdrawBalance": struct_of(WithdrawBalanceParams),
    "market.WithdrawBalance": struct_of(market.WithdrawBalanceParams),
    "ChangeMultiaddrs": struct_of(ChangeMultiaddrsParams),
    "CompactPartitions": struct_of(CompactPartitionsParams),
    "CompactSectorNumbers": struct_of(CompactSectorNumbersParams),
    "ChangeOwnerAddress(param is a bare address)": struct_of(ChangeOwnerAddressParams),
    "AddBalance(param is a bare address)": struct_of(market.AddBalanceParams),
    "DisputeWindowedPoSt": struct_of(DisputeWindowedPoStParams),
    "ProveCommitAggregate": struct_of(ProveCommitAggregateParams),
    "ReplicaUpdate": struct_of(ReplicaUpdate),
    "ProveReplicaUpdates": struct_of(ProveReplicaUpdatesParams),
    "SectorPreCommitInfo": struct_of(SectorPreCommitInfo),
    "PreCommitSectorBatch2": struct_of(PreCommitSectorBatch2Params),
    "ChangeBeneficiary": struct_of(ChangeBeneficiaryParams),
    "BeneficiaryTerm": struct_of(BeneficiaryTerm),
    "ActiveBeneficiary": struct_of(ActiveBeneficiary),
    "PendingBeneficiaryChange": struct_of(PendingBeneficiaryChange),
    "GetBeneficiaryReturn": struct_of(GetBeneficiaryReturn),
    "SectorClaim": struct_of(SectorClaim),
    "ExpirationExtension2": struct_of(ExpirationExtension2),
    "ExtendSectorExpiration2": struct_of(ExtendSectorExpiration2Params),
    "VerifiedAllocationKey": struct_of(VerifiedAllocationKey),
    "DataActivationNotification": struct_of(DataActivationNotification),
    "PieceActivationManifest": struct_of(PieceActivationManifest),
    "SectorActivationManifest": struct_of(SectorActivationManifest),
    "ProveCommitSectors3": struct_of(ProveCommitSectors3Params),
    "ProveCommitSectors3(aggregate)": struct_of(ProveCommitSectors3Params),
    "SectorUpdateManifest": struct_of(SectorUpdateManifest),
    "ProveReplicaUpdates3": struct_of(ProveReplicaUpdates3Params),
    "SectorNIActivationInfo": struct_of(SectorNIActivationInfo),
    "ProveCommitSectorsNI": struct_of(ProveCommitSectorsNIParams),
    "state:SectorOnChainInfo": struct_of(SectorOnChainInfo),
    "state:SectorPreCommitOnChainInfo": struct_of(SectorPreCommitOnChainInfo),
    "struct:ExpirationExtensionEmptyBF": struct_of(PartitionSectors),
    "DealProposal": struct_of(market.DealProposal),
    "ClientDealProposal": struct_of(market.ClientDealProposal),
    "PublishStorageDeals": struct_of(market.PublishStorageDealsParams),
    "PublishStorageDealsReturn": struct_of(market.PublishStorageDealsReturn),
    "Exec": struct_of(init.ExecParams),
    "Constructor": struct_of(multisig.ConstructorParams),
    "Propose": struct_of(multisig.ProposeParams),
    "ProposeReturn": struct_of(multisig.ProposeReturn),
    "ProposalHashData": struct_of(multisig.ProposalHashData),
    "Approve(hash = blake2b-256 of ProposalHashData cbor)": struct_of(multisig.TxnIDParams),
    "AddSigner": struct_of(multisig.AddSignerParams),
    "RemoveSigner": struct_of(multisig.RemoveSignerParams),
    "SwapSigner": struct_of(multisig.SwapSignerParams),
    "ChangeNumApprovalsThreshold": struct_of(multisig.ChangeNumApprovalsThresholdParams),
    "LockBalance": struct_of(multisig.LockBalanceParams),
    "FilterEstimate": struct_of(smoothing.FilterEstimate),
    "ThisEpochRewardReturn": struct_of(reward.ThisEpochRewardReturn),
    "ApplyRewards": struct_of(ApplyRewardsParams),
    "DeferredCronEvent": struct_of(DeferredCronEventParams),
}

CALLABLE = 38
"""Least number of entries that are the parameters of a numbered method and pass through the decoder."""


FIRST_EXPORTED_METHOD = 1 << 24
"""Exported methods are numbered from here on.  Source: FRC-0042."""


def frc42_number(name: str) -> int:
    """Return the number of an exported method: the first 4-byte word of the name's hash of at least 2^24."""
    # "1" is the version of the convention.  Words below 2^24 are skipped, since those numbers belong to
    # methods that actors number themselves (frc_0042.go GenerateFRCMethodNum).
    digest = hashlib.blake2b(f"1|{name}".encode()).digest()
    for at in range(0, len(digest), 4):
        number = int.from_bytes(digest[at : at + 4], "big")
        if number >= FIRST_EXPORTED_METHOD:
            return number
    raise ValueError(f"no method number for {name!r}")


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
            assert spec.params is struct.cls, case["name"]
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
