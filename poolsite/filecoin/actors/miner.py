"""The miner actor: its methods; parameters and state live in the `miner_*` modules and are named here too.

Source: go-state-types builtin/v18/miner, builtin/methods.go.
"""

from __future__ import annotations

import enum
from typing import Final

from poolsite.filecoin.actors.batch import BATCH_RETURN
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.miner_control import ACTIVE_BENEFICIARY as ACTIVE_BENEFICIARY
from poolsite.filecoin.actors.miner_control import AMOUNT_RETURN as AMOUNT_RETURN
from poolsite.filecoin.actors.miner_control import APPLY_REWARDS_PARAMS as APPLY_REWARDS_PARAMS
from poolsite.filecoin.actors.miner_control import BENEFICIARY_TERM as BENEFICIARY_TERM
from poolsite.filecoin.actors.miner_control import CHANGE_BENEFICIARY_PARAMS as CHANGE_BENEFICIARY_PARAMS
from poolsite.filecoin.actors.miner_control import CHANGE_MULTIADDRS_PARAMS as CHANGE_MULTIADDRS_PARAMS
from poolsite.filecoin.actors.miner_control import CHANGE_OWNER_ADDRESS_PARAMS as CHANGE_OWNER_ADDRESS_PARAMS
from poolsite.filecoin.actors.miner_control import CHANGE_PEER_ID_PARAMS as CHANGE_PEER_ID_PARAMS
from poolsite.filecoin.actors.miner_control import (
    CHANGE_WORKER_ADDRESS_PARAMS as CHANGE_WORKER_ADDRESS_PARAMS,
)
from poolsite.filecoin.actors.miner_control import CONSTRUCTOR_PARAMS as CONSTRUCTOR_PARAMS
from poolsite.filecoin.actors.miner_control import CONTROL_ADDRESSES_RETURN as CONTROL_ADDRESSES_RETURN
from poolsite.filecoin.actors.miner_control import GET_BENEFICIARY_RETURN as GET_BENEFICIARY_RETURN
from poolsite.filecoin.actors.miner_control import GET_MULTIADDRS_RETURN as GET_MULTIADDRS_RETURN
from poolsite.filecoin.actors.miner_control import GET_OWNER_RETURN as GET_OWNER_RETURN
from poolsite.filecoin.actors.miner_control import GET_PEER_ID_RETURN as GET_PEER_ID_RETURN
from poolsite.filecoin.actors.miner_control import GET_SECTOR_SIZE_RETURN as GET_SECTOR_SIZE_RETURN
from poolsite.filecoin.actors.miner_control import GET_VESTING_FUNDS_RETURN as GET_VESTING_FUNDS_RETURN
from poolsite.filecoin.actors.miner_control import (
    IS_CONTROLLING_ADDRESS_PARAMS as IS_CONTROLLING_ADDRESS_PARAMS,
)
from poolsite.filecoin.actors.miner_control import (
    IS_CONTROLLING_ADDRESS_RETURN as IS_CONTROLLING_ADDRESS_RETURN,
)
from poolsite.filecoin.actors.miner_control import MAX_TERMINATION_FEE_PARAMS as MAX_TERMINATION_FEE_PARAMS
from poolsite.filecoin.actors.miner_control import PENDING_BENEFICIARY_CHANGE as PENDING_BENEFICIARY_CHANGE
from poolsite.filecoin.actors.miner_control import VESTING_FUND as VESTING_FUND
from poolsite.filecoin.actors.miner_control import WITHDRAW_BALANCE_PARAMS as WITHDRAW_BALANCE_PARAMS
from poolsite.filecoin.actors.miner_control import WITHDRAW_BALANCE_RETURN as WITHDRAW_BALANCE_RETURN
from poolsite.filecoin.actors.miner_control import ActiveBeneficiary as ActiveBeneficiary
from poolsite.filecoin.actors.miner_control import AmountReturn as AmountReturn
from poolsite.filecoin.actors.miner_control import ApplyRewardsParams as ApplyRewardsParams
from poolsite.filecoin.actors.miner_control import BeneficiaryTerm as BeneficiaryTerm
from poolsite.filecoin.actors.miner_control import ChangeBeneficiaryParams as ChangeBeneficiaryParams
from poolsite.filecoin.actors.miner_control import ChangeMultiaddrsParams as ChangeMultiaddrsParams
from poolsite.filecoin.actors.miner_control import ChangeOwnerAddressParams as ChangeOwnerAddressParams
from poolsite.filecoin.actors.miner_control import ChangePeerIDParams as ChangePeerIDParams
from poolsite.filecoin.actors.miner_control import ChangeWorkerAddressParams as ChangeWorkerAddressParams
from poolsite.filecoin.actors.miner_control import ConstructorParams as ConstructorParams
from poolsite.filecoin.actors.miner_control import ControlAddressesReturn as ControlAddressesReturn
from poolsite.filecoin.actors.miner_control import GetBeneficiaryReturn as GetBeneficiaryReturn
from poolsite.filecoin.actors.miner_control import GetMultiaddrsReturn as GetMultiaddrsReturn
from poolsite.filecoin.actors.miner_control import GetOwnerReturn as GetOwnerReturn
from poolsite.filecoin.actors.miner_control import GetPeerIDReturn as GetPeerIDReturn
from poolsite.filecoin.actors.miner_control import GetSectorSizeReturn as GetSectorSizeReturn
from poolsite.filecoin.actors.miner_control import GetVestingFundsReturn as GetVestingFundsReturn
from poolsite.filecoin.actors.miner_control import IsControllingAddressParams as IsControllingAddressParams
from poolsite.filecoin.actors.miner_control import IsControllingAddressReturn as IsControllingAddressReturn
from poolsite.filecoin.actors.miner_control import MaxTerminationFeeParams as MaxTerminationFeeParams
from poolsite.filecoin.actors.miner_control import PendingBeneficiaryChange as PendingBeneficiaryChange
from poolsite.filecoin.actors.miner_control import VestingFund as VestingFund
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams as WithdrawBalanceParams
from poolsite.filecoin.actors.miner_control import WithdrawBalanceReturn as WithdrawBalanceReturn
from poolsite.filecoin.actors.miner_proving import COMPACT_PARTITIONS_PARAMS as COMPACT_PARTITIONS_PARAMS
from poolsite.filecoin.actors.miner_proving import (
    COMPACT_SECTOR_NUMBERS_PARAMS as COMPACT_SECTOR_NUMBERS_PARAMS,
)
from poolsite.filecoin.actors.miner_proving import DECLARE_FAULTS_PARAMS as DECLARE_FAULTS_PARAMS
from poolsite.filecoin.actors.miner_proving import (
    DECLARE_FAULTS_RECOVERED_PARAMS as DECLARE_FAULTS_RECOVERED_PARAMS,
)
from poolsite.filecoin.actors.miner_proving import DEFERRED_CRON_EVENT_PARAMS as DEFERRED_CRON_EVENT_PARAMS
from poolsite.filecoin.actors.miner_proving import (
    DISPUTE_WINDOWED_POST_PARAMS as DISPUTE_WINDOWED_POST_PARAMS,
)
from poolsite.filecoin.actors.miner_proving import PARTITION_SECTORS as PARTITION_SECTORS
from poolsite.filecoin.actors.miner_proving import POST_PARTITION as POST_PARTITION
from poolsite.filecoin.actors.miner_proving import (
    REPORT_CONSENSUS_FAULT_PARAMS as REPORT_CONSENSUS_FAULT_PARAMS,
)
from poolsite.filecoin.actors.miner_proving import SUBMIT_WINDOWED_POST_PARAMS as SUBMIT_WINDOWED_POST_PARAMS
from poolsite.filecoin.actors.miner_proving import TERMINATE_SECTORS_PARAMS as TERMINATE_SECTORS_PARAMS
from poolsite.filecoin.actors.miner_proving import TERMINATE_SECTORS_RETURN as TERMINATE_SECTORS_RETURN
from poolsite.filecoin.actors.miner_proving import CompactPartitionsParams as CompactPartitionsParams
from poolsite.filecoin.actors.miner_proving import CompactSectorNumbersParams as CompactSectorNumbersParams
from poolsite.filecoin.actors.miner_proving import DeclareFaultsParams as DeclareFaultsParams
from poolsite.filecoin.actors.miner_proving import (
    DeclareFaultsRecoveredParams as DeclareFaultsRecoveredParams,
)
from poolsite.filecoin.actors.miner_proving import DeferredCronEventParams as DeferredCronEventParams
from poolsite.filecoin.actors.miner_proving import DisputeWindowedPoStParams as DisputeWindowedPoStParams
from poolsite.filecoin.actors.miner_proving import PartitionSectors as PartitionSectors
from poolsite.filecoin.actors.miner_proving import PoStPartition as PoStPartition
from poolsite.filecoin.actors.miner_proving import ReportConsensusFaultParams as ReportConsensusFaultParams
from poolsite.filecoin.actors.miner_proving import SubmitWindowedPoStParams as SubmitWindowedPoStParams
from poolsite.filecoin.actors.miner_proving import TerminateSectorsParams as TerminateSectorsParams
from poolsite.filecoin.actors.miner_proving import TerminateSectorsReturn as TerminateSectorsReturn
from poolsite.filecoin.actors.miner_retired import EXPIRATION_EXTENSION as EXPIRATION_EXTENSION
from poolsite.filecoin.actors.miner_retired import (
    EXTEND_SECTOR_EXPIRATION_PARAMS as EXTEND_SECTOR_EXPIRATION_PARAMS,
)
from poolsite.filecoin.actors.miner_retired import (
    PRE_COMMIT_SECTOR_BATCH_PARAMS as PRE_COMMIT_SECTOR_BATCH_PARAMS,
)
from poolsite.filecoin.actors.miner_retired import PRE_COMMIT_SECTOR_PARAMS as PRE_COMMIT_SECTOR_PARAMS
from poolsite.filecoin.actors.miner_retired import (
    PROVE_COMMIT_AGGREGATE_PARAMS as PROVE_COMMIT_AGGREGATE_PARAMS,
)
from poolsite.filecoin.actors.miner_retired import PROVE_COMMIT_SECTOR_PARAMS as PROVE_COMMIT_SECTOR_PARAMS
from poolsite.filecoin.actors.miner_retired import (
    PROVE_REPLICA_UPDATES2_PARAMS as PROVE_REPLICA_UPDATES2_PARAMS,
)
from poolsite.filecoin.actors.miner_retired import (
    PROVE_REPLICA_UPDATES_PARAMS as PROVE_REPLICA_UPDATES_PARAMS,
)
from poolsite.filecoin.actors.miner_retired import REPLICA_UPDATE as REPLICA_UPDATE
from poolsite.filecoin.actors.miner_retired import REPLICA_UPDATE2 as REPLICA_UPDATE2
from poolsite.filecoin.actors.miner_retired import SECTOR_SET as SECTOR_SET
from poolsite.filecoin.actors.miner_retired import ExpirationExtension as ExpirationExtension
from poolsite.filecoin.actors.miner_retired import (
    ExtendSectorExpirationParams as ExtendSectorExpirationParams,
)
from poolsite.filecoin.actors.miner_retired import PreCommitSectorBatchParams as PreCommitSectorBatchParams
from poolsite.filecoin.actors.miner_retired import PreCommitSectorParams as PreCommitSectorParams
from poolsite.filecoin.actors.miner_retired import ProveCommitAggregateParams as ProveCommitAggregateParams
from poolsite.filecoin.actors.miner_retired import ProveCommitSectorParams as ProveCommitSectorParams
from poolsite.filecoin.actors.miner_retired import ProveReplicaUpdates2Params as ProveReplicaUpdates2Params
from poolsite.filecoin.actors.miner_retired import ProveReplicaUpdatesParams as ProveReplicaUpdatesParams
from poolsite.filecoin.actors.miner_retired import ReplicaUpdate as ReplicaUpdate
from poolsite.filecoin.actors.miner_retired import ReplicaUpdate2 as ReplicaUpdate2
from poolsite.filecoin.actors.miner_retired import SectorSet as SectorSet
from poolsite.filecoin.actors.miner_sectors import CHECK_SECTOR_PROVEN_PARAMS as CHECK_SECTOR_PROVEN_PARAMS
from poolsite.filecoin.actors.miner_sectors import (
    DATA_ACTIVATION_NOTIFICATION as DATA_ACTIVATION_NOTIFICATION,
)
from poolsite.filecoin.actors.miner_sectors import EXPIRATION_EXTENSION2 as EXPIRATION_EXTENSION2
from poolsite.filecoin.actors.miner_sectors import (
    EXTEND_SECTOR_EXPIRATION2_PARAMS as EXTEND_SECTOR_EXPIRATION2_PARAMS,
)
from poolsite.filecoin.actors.miner_sectors import (
    INTERNAL_SECTOR_SETUP_FOR_PRESEAL_PARAMS as INTERNAL_SECTOR_SETUP_FOR_PRESEAL_PARAMS,
)
from poolsite.filecoin.actors.miner_sectors import PIECE_ACTIVATION_MANIFEST as PIECE_ACTIVATION_MANIFEST
from poolsite.filecoin.actors.miner_sectors import (
    PRE_COMMIT_SECTOR_BATCH2_PARAMS as PRE_COMMIT_SECTOR_BATCH2_PARAMS,
)
from poolsite.filecoin.actors.miner_sectors import (
    PROVE_COMMIT_SECTORS3_PARAMS as PROVE_COMMIT_SECTORS3_PARAMS,
)
from poolsite.filecoin.actors.miner_sectors import (
    PROVE_COMMIT_SECTORS_NI_PARAMS as PROVE_COMMIT_SECTORS_NI_PARAMS,
)
from poolsite.filecoin.actors.miner_sectors import (
    PROVE_REPLICA_UPDATES3_PARAMS as PROVE_REPLICA_UPDATES3_PARAMS,
)
from poolsite.filecoin.actors.miner_sectors import SECTOR_ACTIVATION_MANIFEST as SECTOR_ACTIVATION_MANIFEST
from poolsite.filecoin.actors.miner_sectors import SECTOR_CLAIM as SECTOR_CLAIM
from poolsite.filecoin.actors.miner_sectors import SECTOR_NI_ACTIVATION_INFO as SECTOR_NI_ACTIVATION_INFO
from poolsite.filecoin.actors.miner_sectors import SECTOR_PRE_COMMIT_INFO as SECTOR_PRE_COMMIT_INFO
from poolsite.filecoin.actors.miner_sectors import SECTOR_UPDATE_MANIFEST as SECTOR_UPDATE_MANIFEST
from poolsite.filecoin.actors.miner_sectors import VERIFIED_ALLOCATION_KEY as VERIFIED_ALLOCATION_KEY
from poolsite.filecoin.actors.miner_sectors import CheckSectorProvenParams as CheckSectorProvenParams
from poolsite.filecoin.actors.miner_sectors import DataActivationNotification as DataActivationNotification
from poolsite.filecoin.actors.miner_sectors import ExpirationExtension2 as ExpirationExtension2
from poolsite.filecoin.actors.miner_sectors import (
    ExtendSectorExpiration2Params as ExtendSectorExpiration2Params,
)
from poolsite.filecoin.actors.miner_sectors import (
    InternalSectorSetupForPresealParams as InternalSectorSetupForPresealParams,
)
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest as PieceActivationManifest
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params as PreCommitSectorBatch2Params
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectors3Params as ProveCommitSectors3Params
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectorsNIParams as ProveCommitSectorsNIParams
from poolsite.filecoin.actors.miner_sectors import ProveReplicaUpdates3Params as ProveReplicaUpdates3Params
from poolsite.filecoin.actors.miner_sectors import SectorActivationManifest as SectorActivationManifest
from poolsite.filecoin.actors.miner_sectors import SectorClaim as SectorClaim
from poolsite.filecoin.actors.miner_sectors import SectorNIActivationInfo as SectorNIActivationInfo
from poolsite.filecoin.actors.miner_sectors import SectorPreCommitInfo as SectorPreCommitInfo
from poolsite.filecoin.actors.miner_sectors import SectorUpdateManifest as SectorUpdateManifest
from poolsite.filecoin.actors.miner_sectors import VerifiedAllocationKey as VerifiedAllocationKey
from poolsite.filecoin.actors.miner_state import SECTOR_ON_CHAIN_INFO as SECTOR_ON_CHAIN_INFO
from poolsite.filecoin.actors.miner_state import (
    SECTOR_PRE_COMMIT_ON_CHAIN_INFO as SECTOR_PRE_COMMIT_ON_CHAIN_INFO,
)
from poolsite.filecoin.actors.miner_state import SectorOnChainInfo as SectorOnChainInfo
from poolsite.filecoin.actors.miner_state import SectorPreCommitOnChainInfo as SectorPreCommitOnChainInfo
from poolsite.filecoin.actors.miner_status import (
    GENERATE_SECTOR_LOCATION_PARAMS,
    GENERATE_SECTOR_LOCATION_RETURN,
    GET_NOMINAL_SECTOR_EXPIRATION_PARAMS,
    GET_NOMINAL_SECTOR_EXPIRATION_RETURN,
    VALIDATE_SECTOR_STATUS_PARAMS,
    VALIDATE_SECTOR_STATUS_RETURN,
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
    MethodSpec(Method.CONSTRUCTOR, "Constructor", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.CONTROL_ADDRESSES, "ControlAddresses", None, CONTROL_ADDRESSES_RETURN),
    MethodSpec(Method.CHANGE_WORKER_ADDRESS, "ChangeWorkerAddress", CHANGE_WORKER_ADDRESS_PARAMS),
    MethodSpec(Method.CHANGE_PEER_ID, "ChangePeerID", CHANGE_PEER_ID_PARAMS),
    MethodSpec(Method.SUBMIT_WINDOWED_POST, "SubmitWindowedPoSt", SUBMIT_WINDOWED_POST_PARAMS),
    MethodSpec(Method.PRE_COMMIT_SECTOR, "PreCommitSector", PRE_COMMIT_SECTOR_PARAMS),
    MethodSpec(Method.PROVE_COMMIT_SECTOR, "ProveCommitSector", PROVE_COMMIT_SECTOR_PARAMS),
    MethodSpec(Method.EXTEND_SECTOR_EXPIRATION, "ExtendSectorExpiration", EXTEND_SECTOR_EXPIRATION_PARAMS),
    MethodSpec(
        Method.TERMINATE_SECTORS, "TerminateSectors", TERMINATE_SECTORS_PARAMS, TERMINATE_SECTORS_RETURN
    ),
    MethodSpec(Method.DECLARE_FAULTS, "DeclareFaults", DECLARE_FAULTS_PARAMS),
    MethodSpec(Method.DECLARE_FAULTS_RECOVERED, "DeclareFaultsRecovered", DECLARE_FAULTS_RECOVERED_PARAMS),
    MethodSpec(Method.ON_DEFERRED_CRON_EVENT, "OnDeferredCronEvent", DEFERRED_CRON_EVENT_PARAMS),
    MethodSpec(Method.CHECK_SECTOR_PROVEN, "CheckSectorProven", CHECK_SECTOR_PROVEN_PARAMS),
    MethodSpec(Method.APPLY_REWARDS, "ApplyRewards", APPLY_REWARDS_PARAMS),
    MethodSpec(Method.REPORT_CONSENSUS_FAULT, "ReportConsensusFault", REPORT_CONSENSUS_FAULT_PARAMS),
    MethodSpec(Method.WITHDRAW_BALANCE, "WithdrawBalance", WITHDRAW_BALANCE_PARAMS, WITHDRAW_BALANCE_RETURN),
    MethodSpec(
        Method.INTERNAL_SECTOR_SETUP_FOR_PRESEAL,
        "InternalSectorSetupForPreseal",
        INTERNAL_SECTOR_SETUP_FOR_PRESEAL_PARAMS,
    ),
    MethodSpec(Method.CHANGE_MULTIADDRS, "ChangeMultiaddrs", CHANGE_MULTIADDRS_PARAMS),
    MethodSpec(Method.COMPACT_PARTITIONS, "CompactPartitions", COMPACT_PARTITIONS_PARAMS),
    MethodSpec(Method.COMPACT_SECTOR_NUMBERS, "CompactSectorNumbers", COMPACT_SECTOR_NUMBERS_PARAMS),
    MethodSpec(Method.CONFIRM_CHANGE_WORKER_ADDRESS, "ConfirmChangeWorkerAddress"),
    MethodSpec(Method.REPAY_DEBT, "RepayDebt"),
    MethodSpec(Method.CHANGE_OWNER_ADDRESS, "ChangeOwnerAddress", CHANGE_OWNER_ADDRESS_PARAMS),
    MethodSpec(Method.DISPUTE_WINDOWED_POST, "DisputeWindowedPoSt", DISPUTE_WINDOWED_POST_PARAMS),
    MethodSpec(Method.PRE_COMMIT_SECTOR_BATCH, "PreCommitSectorBatch", PRE_COMMIT_SECTOR_BATCH_PARAMS),
    MethodSpec(Method.PROVE_COMMIT_AGGREGATE, "ProveCommitAggregate", PROVE_COMMIT_AGGREGATE_PARAMS),
    MethodSpec(Method.PROVE_REPLICA_UPDATES, "ProveReplicaUpdates", PROVE_REPLICA_UPDATES_PARAMS, SECTOR_SET),
    MethodSpec(Method.PRE_COMMIT_SECTOR_BATCH2, "PreCommitSectorBatch2", PRE_COMMIT_SECTOR_BATCH2_PARAMS),
    MethodSpec(
        Method.PROVE_REPLICA_UPDATES2, "ProveReplicaUpdates2", PROVE_REPLICA_UPDATES2_PARAMS, SECTOR_SET
    ),
    MethodSpec(Method.CHANGE_BENEFICIARY, "ChangeBeneficiary", CHANGE_BENEFICIARY_PARAMS),
    MethodSpec(Method.GET_BENEFICIARY, "GetBeneficiary", None, GET_BENEFICIARY_RETURN),
    MethodSpec(Method.EXTEND_SECTOR_EXPIRATION2, "ExtendSectorExpiration2", EXTEND_SECTOR_EXPIRATION2_PARAMS),
    MethodSpec(
        Method.PROVE_COMMIT_SECTORS3, "ProveCommitSectors3", PROVE_COMMIT_SECTORS3_PARAMS, BATCH_RETURN
    ),
    MethodSpec(
        Method.PROVE_REPLICA_UPDATES3, "ProveReplicaUpdates3", PROVE_REPLICA_UPDATES3_PARAMS, BATCH_RETURN
    ),
    MethodSpec(
        Method.PROVE_COMMIT_SECTORS_NI, "ProveCommitSectorsNI", PROVE_COMMIT_SECTORS_NI_PARAMS, BATCH_RETURN
    ),
    MethodSpec(
        Method.IS_CONTROLLING_ADDRESS_EXPORTED,
        "IsControllingAddressExported",
        IS_CONTROLLING_ADDRESS_PARAMS,
        IS_CONTROLLING_ADDRESS_RETURN,
    ),
    MethodSpec(
        Method.CHANGE_OWNER_ADDRESS_EXPORTED, "ChangeOwnerAddressExported", CHANGE_OWNER_ADDRESS_PARAMS
    ),
    MethodSpec(Method.CHANGE_MULTIADDRS_EXPORTED, "ChangeMultiaddrsExported", CHANGE_MULTIADDRS_PARAMS),
    MethodSpec(Method.CHANGE_PEER_ID_EXPORTED, "ChangePeerIDExported", CHANGE_PEER_ID_PARAMS),
    MethodSpec(Method.GET_MULTIADDRS_EXPORTED, "GetMultiaddrsExported", None, GET_MULTIADDRS_RETURN),
    MethodSpec(Method.CHANGE_BENEFICIARY_EXPORTED, "ChangeBeneficiaryExported", CHANGE_BENEFICIARY_PARAMS),
    MethodSpec(Method.GET_VESTING_FUNDS_EXPORTED, "GetVestingFundsExported", None, GET_VESTING_FUNDS_RETURN),
    MethodSpec(
        Method.WITHDRAW_BALANCE_EXPORTED,
        "WithdrawBalanceExported",
        WITHDRAW_BALANCE_PARAMS,
        WITHDRAW_BALANCE_RETURN,
    ),
    MethodSpec(Method.CONFIRM_CHANGE_WORKER_ADDRESS_EXPORTED, "ConfirmChangeWorkerAddressExported"),
    MethodSpec(Method.GET_PEER_ID_EXPORTED, "GetPeerIDExported", None, GET_PEER_ID_RETURN),
    MethodSpec(Method.INITIAL_PLEDGE_EXPORTED, "InitialPledgeExported", None, AMOUNT_RETURN),
    MethodSpec(Method.GET_OWNER_EXPORTED, "GetOwnerExported", None, GET_OWNER_RETURN),
    MethodSpec(
        Method.CHANGE_WORKER_ADDRESS_EXPORTED, "ChangeWorkerAddressExported", CHANGE_WORKER_ADDRESS_PARAMS
    ),
    MethodSpec(Method.REPAY_DEBT_EXPORTED, "RepayDebtExported"),
    MethodSpec(Method.GET_SECTOR_SIZE_EXPORTED, "GetSectorSizeExported", None, GET_SECTOR_SIZE_RETURN),
    MethodSpec(Method.GET_AVAILABLE_BALANCE_EXPORTED, "GetAvailableBalanceExported", None, AMOUNT_RETURN),
    MethodSpec(Method.GET_BENEFICIARY_EXPORTED, "GetBeneficiaryExported", None, GET_BENEFICIARY_RETURN),
    MethodSpec(
        Method.GENERATE_SECTOR_LOCATION_EXPORTED,
        "GenerateSectorLocationExported",
        GENERATE_SECTOR_LOCATION_PARAMS,
        GENERATE_SECTOR_LOCATION_RETURN,
    ),
    MethodSpec(
        Method.VALIDATE_SECTOR_STATUS_EXPORTED,
        "ValidateSectorStatusExported",
        VALIDATE_SECTOR_STATUS_PARAMS,
        VALIDATE_SECTOR_STATUS_RETURN,
    ),
    MethodSpec(
        Method.GET_NOMINAL_SECTOR_EXPIRATION_EXPORTED,
        "GetNominalSectorExpirationExported",
        GET_NOMINAL_SECTOR_EXPIRATION_PARAMS,
        GET_NOMINAL_SECTOR_EXPIRATION_RETURN,
    ),
    MethodSpec(
        Method.MAX_TERMINATION_FEE_EXPORTED,
        "MaxTerminationFeeExported",
        MAX_TERMINATION_FEE_PARAMS,
        AMOUNT_RETURN,
    ),
)
"""What each method takes and returns."""
