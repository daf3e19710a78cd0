"""The miner actor: its method numbers, and what each method takes and returns.

The parameters and state live in the `miner_*` modules.  Numbers that the actor has dropped stay, so that old
messages can be read. Source: go-state-types builtin/v18/miner/methods.go; builtin-actors
actors/miner/src/lib.rs Method.
"""

from __future__ import annotations

import enum
from typing import Final

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.miner_beneficiary import ChangeBeneficiaryParams, GetBeneficiaryReturn
from poolsite.filecoin.actors.miner_control import (
    AmountReturn,
    ApplyRewardsParams,
    ChangeMultiaddrsParams,
    ChangeOwnerAddressParams,
    ChangePeerIDParams,
    ChangeWorkerAddressParams,
    ConstructorParams,
    ControlAddressesReturn,
    GetMultiaddrsReturn,
    GetOwnerReturn,
    GetPeerIDReturn,
    GetSectorSizeReturn,
    GetVestingFundsReturn,
    IsControllingAddressParams,
    IsControllingAddressReturn,
    MaxTerminationFeeParams,
    WithdrawBalanceParams,
    WithdrawBalanceReturn,
)
from poolsite.filecoin.actors.miner_proving import (
    CompactPartitionsParams,
    CompactSectorNumbersParams,
    DeclareFaultsParams,
    DeclareFaultsRecoveredParams,
    DeferredCronEventParams,
    DisputeWindowedPoStParams,
    ReportConsensusFaultParams,
    SubmitWindowedPoStParams,
    TerminateSectorsParams,
    TerminateSectorsReturn,
)
from poolsite.filecoin.actors.miner_retired import (
    ExtendSectorExpirationParams,
    PreCommitSectorBatchParams,
    PreCommitSectorParams,
    ProveCommitAggregateParams,
    ProveCommitSectorParams,
    ProveReplicaUpdates2Params,
    ProveReplicaUpdatesParams,
    SectorSet,
)
from poolsite.filecoin.actors.miner_sectors import (
    CheckSectorProvenParams,
    ExtendSectorExpiration2Params,
    InternalSectorSetupForPresealParams,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    ProveCommitSectorsNIParams,
    ProveReplicaUpdates3Params,
)
from poolsite.filecoin.actors.miner_status import (
    GenerateSectorLocationParams,
    GenerateSectorLocationReturn,
    GetNominalSectorExpirationParams,
    GetNominalSectorExpirationReturn,
    ValidateSectorStatusParams,
    ValidateSectorStatusReturn,
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    CONTROL_ADDRESSES = 2
    CHANGE_WORKER_ADDRESS = 3
    CHANGE_PEER_ID = 4
    SUBMIT_WINDOWED_POST = 5
    PRE_COMMIT_SECTOR = 6
    PROVE_COMMIT_SECTOR = 7
    EXTEND_SECTOR_EXPIRATION = 8
    TERMINATE_SECTORS = 9
    DECLARE_FAULTS = 10
    DECLARE_FAULTS_RECOVERED = 11
    ON_DEFERRED_CRON_EVENT = 12
    CHECK_SECTOR_PROVEN = 13
    APPLY_REWARDS = 14
    REPORT_CONSENSUS_FAULT = 15
    WITHDRAW_BALANCE = 16
    INTERNAL_SECTOR_SETUP_FOR_PRESEAL = 17
    CHANGE_MULTIADDRS = 18
    COMPACT_PARTITIONS = 19
    COMPACT_SECTOR_NUMBERS = 20
    CONFIRM_CHANGE_WORKER_ADDRESS = 21
    REPAY_DEBT = 22
    CHANGE_OWNER_ADDRESS = 23
    DISPUTE_WINDOWED_POST = 24
    PRE_COMMIT_SECTOR_BATCH = 25
    PROVE_COMMIT_AGGREGATE = 26
    PROVE_REPLICA_UPDATES = 27
    PRE_COMMIT_SECTOR_BATCH2 = 28
    PROVE_REPLICA_UPDATES2 = 29
    CHANGE_BENEFICIARY = 30
    GET_BENEFICIARY = 31
    EXTEND_SECTOR_EXPIRATION2 = 32
    PROVE_COMMIT_SECTORS3 = 34
    PROVE_REPLICA_UPDATES3 = 35
    PROVE_COMMIT_SECTORS_NI = 36
    IS_CONTROLLING_ADDRESS_EXPORTED = 348_244_887
    CHANGE_OWNER_ADDRESS_EXPORTED = 1_010_589_339
    CHANGE_MULTIADDRS_EXPORTED = 1_063_480_576
    CHANGE_PEER_ID_EXPORTED = 1_236_548_004
    GET_MULTIADDRS_EXPORTED = 1_332_909_407
    GENERATE_SECTOR_LOCATION_EXPORTED = 1_321_604_665
    CHANGE_BENEFICIARY_EXPORTED = 1_570_634_796
    GET_VESTING_FUNDS_EXPORTED = 1_726_876_304
    WITHDRAW_BALANCE_EXPORTED = 2_280_458_852
    CONFIRM_CHANGE_WORKER_ADDRESS_EXPORTED = 2_354_970_453
    GET_PEER_ID_EXPORTED = 2_812_875_329
    GET_NOMINAL_SECTOR_EXPIRATION_EXPORTED = 3_010_055_991
    VALIDATE_SECTOR_STATUS_EXPORTED = 3_092_458_564
    INITIAL_PLEDGE_EXPORTED = 3_180_523_767
    GET_OWNER_EXPORTED = 3_275_365_574
    CHANGE_WORKER_ADDRESS_EXPORTED = 3_302_309_124
    REPAY_DEBT_EXPORTED = 3_665_352_697
    GET_SECTOR_SIZE_EXPORTED = 3_858_292_296
    GET_AVAILABLE_BALANCE_EXPORTED = 4_026_106_874
    MAX_TERMINATION_FEE_EXPORTED = 4_127_382_196
    GET_BENEFICIARY_EXPORTED = 4_158_972_569


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.CONTROL_ADDRESSES, "ControlAddresses", None, ControlAddressesReturn),
    MethodSpec(Method.CHANGE_WORKER_ADDRESS, "ChangeWorkerAddress", ChangeWorkerAddressParams),
    MethodSpec(Method.CHANGE_PEER_ID, "ChangePeerID", ChangePeerIDParams),
    MethodSpec(Method.SUBMIT_WINDOWED_POST, "SubmitWindowedPoSt", SubmitWindowedPoStParams),
    MethodSpec(Method.PRE_COMMIT_SECTOR, "PreCommitSector", PreCommitSectorParams),
    MethodSpec(Method.PROVE_COMMIT_SECTOR, "ProveCommitSector", ProveCommitSectorParams),
    MethodSpec(Method.EXTEND_SECTOR_EXPIRATION, "ExtendSectorExpiration", ExtendSectorExpirationParams),
    MethodSpec(Method.TERMINATE_SECTORS, "TerminateSectors", TerminateSectorsParams, TerminateSectorsReturn),
    MethodSpec(Method.DECLARE_FAULTS, "DeclareFaults", DeclareFaultsParams),
    MethodSpec(Method.DECLARE_FAULTS_RECOVERED, "DeclareFaultsRecovered", DeclareFaultsRecoveredParams),
    MethodSpec(Method.ON_DEFERRED_CRON_EVENT, "OnDeferredCronEvent", DeferredCronEventParams),
    MethodSpec(Method.CHECK_SECTOR_PROVEN, "CheckSectorProven", CheckSectorProvenParams),
    MethodSpec(Method.APPLY_REWARDS, "ApplyRewards", ApplyRewardsParams),
    MethodSpec(Method.REPORT_CONSENSUS_FAULT, "ReportConsensusFault", ReportConsensusFaultParams),
    MethodSpec(Method.WITHDRAW_BALANCE, "WithdrawBalance", WithdrawBalanceParams, WithdrawBalanceReturn),
    MethodSpec(
        Method.INTERNAL_SECTOR_SETUP_FOR_PRESEAL,
        "InternalSectorSetupForPreseal",
        InternalSectorSetupForPresealParams,
    ),
    MethodSpec(Method.CHANGE_MULTIADDRS, "ChangeMultiaddrs", ChangeMultiaddrsParams),
    MethodSpec(Method.COMPACT_PARTITIONS, "CompactPartitions", CompactPartitionsParams),
    MethodSpec(Method.COMPACT_SECTOR_NUMBERS, "CompactSectorNumbers", CompactSectorNumbersParams),
    MethodSpec(Method.CONFIRM_CHANGE_WORKER_ADDRESS, "ConfirmChangeWorkerAddress"),
    MethodSpec(Method.REPAY_DEBT, "RepayDebt"),
    MethodSpec(Method.CHANGE_OWNER_ADDRESS, "ChangeOwnerAddress", ChangeOwnerAddressParams),
    MethodSpec(Method.DISPUTE_WINDOWED_POST, "DisputeWindowedPoSt", DisputeWindowedPoStParams),
    MethodSpec(Method.PRE_COMMIT_SECTOR_BATCH, "PreCommitSectorBatch", PreCommitSectorBatchParams),
    MethodSpec(Method.PROVE_COMMIT_AGGREGATE, "ProveCommitAggregate", ProveCommitAggregateParams),
    MethodSpec(Method.PROVE_REPLICA_UPDATES, "ProveReplicaUpdates", ProveReplicaUpdatesParams, SectorSet),
    MethodSpec(Method.PRE_COMMIT_SECTOR_BATCH2, "PreCommitSectorBatch2", PreCommitSectorBatch2Params),
    MethodSpec(Method.PROVE_REPLICA_UPDATES2, "ProveReplicaUpdates2", ProveReplicaUpdates2Params, SectorSet),
    MethodSpec(Method.CHANGE_BENEFICIARY, "ChangeBeneficiary", ChangeBeneficiaryParams),
    MethodSpec(Method.GET_BENEFICIARY, "GetBeneficiary", None, GetBeneficiaryReturn),
    MethodSpec(Method.EXTEND_SECTOR_EXPIRATION2, "ExtendSectorExpiration2", ExtendSectorExpiration2Params),
    MethodSpec(Method.PROVE_COMMIT_SECTORS3, "ProveCommitSectors3", ProveCommitSectors3Params, BatchReturn),
    MethodSpec(
        Method.PROVE_REPLICA_UPDATES3, "ProveReplicaUpdates3", ProveReplicaUpdates3Params, BatchReturn
    ),
    MethodSpec(
        Method.PROVE_COMMIT_SECTORS_NI, "ProveCommitSectorsNI", ProveCommitSectorsNIParams, BatchReturn
    ),
    MethodSpec(
        Method.IS_CONTROLLING_ADDRESS_EXPORTED,
        "IsControllingAddressExported",
        IsControllingAddressParams,
        IsControllingAddressReturn,
    ),
    MethodSpec(Method.CHANGE_OWNER_ADDRESS_EXPORTED, "ChangeOwnerAddressExported", ChangeOwnerAddressParams),
    MethodSpec(Method.CHANGE_MULTIADDRS_EXPORTED, "ChangeMultiaddrsExported", ChangeMultiaddrsParams),
    MethodSpec(Method.CHANGE_PEER_ID_EXPORTED, "ChangePeerIDExported", ChangePeerIDParams),
    MethodSpec(Method.GET_MULTIADDRS_EXPORTED, "GetMultiaddrsExported", None, GetMultiaddrsReturn),
    MethodSpec(Method.CHANGE_BENEFICIARY_EXPORTED, "ChangeBeneficiaryExported", ChangeBeneficiaryParams),
    MethodSpec(Method.GET_VESTING_FUNDS_EXPORTED, "GetVestingFundsExported", None, GetVestingFundsReturn),
    MethodSpec(
        Method.WITHDRAW_BALANCE_EXPORTED,
        "WithdrawBalanceExported",
        WithdrawBalanceParams,
        WithdrawBalanceReturn,
    ),
    MethodSpec(Method.CONFIRM_CHANGE_WORKER_ADDRESS_EXPORTED, "ConfirmChangeWorkerAddressExported"),
    MethodSpec(Method.GET_PEER_ID_EXPORTED, "GetPeerIDExported", None, GetPeerIDReturn),
    MethodSpec(Method.INITIAL_PLEDGE_EXPORTED, "InitialPledgeExported", None, AmountReturn),
    MethodSpec(Method.GET_OWNER_EXPORTED, "GetOwnerExported", None, GetOwnerReturn),
    MethodSpec(
        Method.CHANGE_WORKER_ADDRESS_EXPORTED, "ChangeWorkerAddressExported", ChangeWorkerAddressParams
    ),
    MethodSpec(Method.REPAY_DEBT_EXPORTED, "RepayDebtExported"),
    MethodSpec(Method.GET_SECTOR_SIZE_EXPORTED, "GetSectorSizeExported", None, GetSectorSizeReturn),
    MethodSpec(Method.GET_AVAILABLE_BALANCE_EXPORTED, "GetAvailableBalanceExported", None, AmountReturn),
    MethodSpec(Method.GET_BENEFICIARY_EXPORTED, "GetBeneficiaryExported", None, GetBeneficiaryReturn),
    MethodSpec(
        Method.GENERATE_SECTOR_LOCATION_EXPORTED,
        "GenerateSectorLocationExported",
        GenerateSectorLocationParams,
        GenerateSectorLocationReturn,
    ),
    MethodSpec(
        Method.VALIDATE_SECTOR_STATUS_EXPORTED,
        "ValidateSectorStatusExported",
        ValidateSectorStatusParams,
        ValidateSectorStatusReturn,
    ),
    MethodSpec(
        Method.GET_NOMINAL_SECTOR_EXPIRATION_EXPORTED,
        "GetNominalSectorExpirationExported",
        GetNominalSectorExpirationParams,
        GetNominalSectorExpirationReturn,
    ),
    MethodSpec(
        Method.MAX_TERMINATION_FEE_EXPORTED,
        "MaxTerminationFeeExported",
        MaxTerminationFeeParams,
        AmountReturn,
    ),
)
"""What each method takes and returns."""
