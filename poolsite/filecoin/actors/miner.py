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
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes.

    `..._EXPORTED` of a name that is listed without is the same method, which contracts call.
    """

    SEND = 0
    """A plain transfer: the value becomes available balance."""
    CONSTRUCTOR = 1
    """By the init actor, as CreateMiner of the power actor has it make the miner."""
    CONTROL_ADDRESSES = 2
    """By anyone: owner, worker and control addresses."""
    CHANGE_WORKER_ADDRESS = 3
    """By the owner: replaces the control addresses at once, and proposes a worker."""
    CHANGE_PEER_ID = 4
    """By owner, worker or a control address."""
    SUBMIT_WINDOWED_POST = 5
    """By owner, worker or a control address, while the deadline is open."""
    PRE_COMMIT_SECTOR = 6
    """Dropped by FIP-0076 (actors v13)."""
    PROVE_COMMIT_SECTOR = 7
    """Dropped by FIP-0084 (actors v14)."""
    EXTEND_SECTOR_EXPIRATION = 8
    """Dropped by FIP-0103 (actors v17)."""
    TERMINATE_SECTORS = 9
    """By owner, worker or a control address."""
    DECLARE_FAULTS = 10
    """By owner, worker or a control address."""
    DECLARE_FAULTS_RECOVERED = 11
    """By owner, worker or a control address; refused while the miner has fee debt that it cannot pay."""
    ON_DEFERRED_CRON_EVENT = 12
    """By the power actor, at an epoch that the miner enrolled: its deadline ends."""
    CHECK_SECTOR_PROVEN = 13
    """By anyone: fails unless the sector is proven."""
    APPLY_REWARDS = 14
    """By the reward actor, with the reward of a block that the miner made."""
    REPORT_CONSENSUS_FAULT = 15
    """By anyone, who gets a share of the penalty."""
    WITHDRAW_BALANCE = 16
    """By the owner or the beneficiary; what is paid goes to the beneficiary."""
    INTERNAL_SECTOR_SETUP_FOR_PRESEAL = 17
    """By the system actor, for the sectors of a genesis block."""
    CHANGE_MULTIADDRS = 18
    """By owner, worker or a control address."""
    COMPACT_PARTITIONS = 19
    """By owner, worker or a control address."""
    COMPACT_SECTOR_NUMBERS = 20
    """By owner, worker or a control address."""
    CONFIRM_CHANGE_WORKER_ADDRESS = 21
    """By the owner, once the delay of the proposed worker is over."""
    REPAY_DEBT = 22
    """By owner, worker or a control address: burns fee debt, out of vesting funds first."""
    CHANGE_OWNER_ADDRESS = 23
    """By the owner, who proposes; then by the proposed one, who confirms."""
    DISPUTE_WINDOWED_POST = 24
    """By anyone, who gets a reward if the proof was wrong."""
    PRE_COMMIT_SECTOR_BATCH = 25
    """Dropped by FIP-0076 (actors v13)."""
    PROVE_COMMIT_AGGREGATE = 26
    """Dropped by FIP-0101 (actors v17)."""
    PROVE_REPLICA_UPDATES = 27
    """Dropped by FIP-0106 (actors v17)."""
    PRE_COMMIT_SECTOR_BATCH2 = 28
    """By owner, worker or a control address: pre-commits sectors and locks their deposit."""
    PROVE_REPLICA_UPDATES2 = 29
    """Dropped by FIP-0076 (actors v13)."""
    CHANGE_BENEFICIARY = 30
    """By the owner, who proposes; then by the beneficiary before and the new one, who approve."""
    GET_BENEFICIARY = 31
    """By anyone: the beneficiary, its term, and what is proposed."""
    EXTEND_SECTOR_EXPIRATION2 = 32
    """By owner, worker or a control address."""
    PROVE_COMMIT_SECTORS3 = 34
    """By owner, worker or a control address: activates pre-committed sectors, with pieces by manifest."""
    PROVE_REPLICA_UPDATES3 = 35
    """By owner, worker or a control address: puts pieces into committed sectors."""
    PROVE_COMMIT_SECTORS_NI = 36
    """By owner, worker or a control address: activates sectors that were not pre-committed."""
    IS_CONTROLLING_ADDRESS_EXPORTED = 348_244_887
    """By anyone: whether an address is owner, worker or a control address."""
    CHANGE_OWNER_ADDRESS_EXPORTED = 1_010_589_339
    CHANGE_MULTIADDRS_EXPORTED = 1_063_480_576
    CHANGE_PEER_ID_EXPORTED = 1_236_548_004
    GET_MULTIADDRS_EXPORTED = 1_332_909_407
    """By anyone."""
    GENERATE_SECTOR_LOCATION_EXPORTED = 1_321_604_665
    """By anyone: where a sector is, for VALIDATE_SECTOR_STATUS_EXPORTED (FIP-0112)."""
    CHANGE_BENEFICIARY_EXPORTED = 1_570_634_796
    GET_VESTING_FUNDS_EXPORTED = 1_726_876_304
    """By anyone: what vests, and when."""
    WITHDRAW_BALANCE_EXPORTED = 2_280_458_852
    CONFIRM_CHANGE_WORKER_ADDRESS_EXPORTED = 2_354_970_453
    GET_PEER_ID_EXPORTED = 2_812_875_329
    """By anyone."""
    GET_NOMINAL_SECTOR_EXPIRATION_EXPORTED = 3_010_055_991
    """By anyone: the epoch to which a sector is committed (FIP-0112)."""
    VALIDATE_SECTOR_STATUS_EXPORTED = 3_092_458_564
    """By anyone: whether a sector at a location has a status (FIP-0112)."""
    INITIAL_PLEDGE_EXPORTED = 3_180_523_767
    """By anyone: the pledge of all sectors together, attoFIL."""
    GET_OWNER_EXPORTED = 3_275_365_574
    """By anyone: the owner, and who is proposed."""
    CHANGE_WORKER_ADDRESS_EXPORTED = 3_302_309_124
    REPAY_DEBT_EXPORTED = 3_665_352_697
    GET_SECTOR_SIZE_EXPORTED = 3_858_292_296
    """By anyone, bytes."""
    GET_AVAILABLE_BALANCE_EXPORTED = 4_026_106_874
    """By anyone: what may be withdrawn now, attoFIL."""
    MAX_TERMINATION_FEE_EXPORTED = 4_127_382_196
    """By anyone: the most that ending sectors of a power and pledge can cost, attoFIL."""
    GET_BENEFICIARY_EXPORTED = 4_158_972_569


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.CONTROL_ADDRESSES, "ControlAddresses", None, ControlAddressesReturn),
    MethodSpec(Method.CHANGE_WORKER_ADDRESS, "ChangeWorkerAddress", ChangeWorkerAddressParams),
    MethodSpec(Method.CHANGE_PEER_ID, "ChangePeerID", ChangePeerIDParams),
    MethodSpec(Method.SUBMIT_WINDOWED_POST, "SubmitWindowedPoSt", SubmitWindowedPoStParams),
    MethodSpec(Method.PRE_COMMIT_SECTOR, "PreCommitSector", PreCommitSectorParams, until=22),
    MethodSpec(Method.PROVE_COMMIT_SECTOR, "ProveCommitSector", ProveCommitSectorParams, until=23),
    MethodSpec(
        Method.EXTEND_SECTOR_EXPIRATION, "ExtendSectorExpiration", ExtendSectorExpirationParams, until=27
    ),
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
    MethodSpec(Method.PRE_COMMIT_SECTOR_BATCH, "PreCommitSectorBatch", PreCommitSectorBatchParams, until=22),
    MethodSpec(Method.PROVE_COMMIT_AGGREGATE, "ProveCommitAggregate", ProveCommitAggregateParams, until=27),
    MethodSpec(
        Method.PROVE_REPLICA_UPDATES, "ProveReplicaUpdates", ProveReplicaUpdatesParams, SectorSet, until=27
    ),
    MethodSpec(Method.PRE_COMMIT_SECTOR_BATCH2, "PreCommitSectorBatch2", PreCommitSectorBatch2Params),
    MethodSpec(
        Method.PROVE_REPLICA_UPDATES2, "ProveReplicaUpdates2", ProveReplicaUpdates2Params, SectorSet, until=22
    ),
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
