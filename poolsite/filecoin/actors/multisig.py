"""Multisignature wallets.

Source: go-state-types builtin/v18/multisig/multisig_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.receiver import UNIVERSAL_RECEIVER_PARAMS
from poolsite.filecoin.codec import ADDRESS, AMOUNT, BOOL, BYTES, INT64, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make a wallet (the ConstructorParams of init.Exec)."""

    signers: tuple[Address, ...]
    """Who may approve."""
    num_approvals_threshold: int
    """Approvals needed."""
    unlock_duration: int
    """Epochs over which locked funds become free."""
    start_epoch: int
    """First epoch."""


CONSTRUCTOR_PARAMS: Final = Struct(
    ConstructorParams,
    Field("signers", "Signers", list_of(ADDRESS)),
    Field("num_approvals_threshold", "NumApprovalsThreshold", UINT64),
    Field("unlock_duration", "UnlockDuration", INT64),
    Field("start_epoch", "StartEpoch", INT64),
)


@dataclass(frozen=True, slots=True)
class ProposeParams:
    """Propose a transaction."""

    to: Address
    """Receiver."""
    value: int
    """attoFIL."""
    method: int
    """Method number."""
    params: bytes
    """Parameters, CBOR."""


PROPOSE_PARAMS: Final = Struct(
    ProposeParams,
    Field("to", "To", ADDRESS),
    Field("value", "Value", AMOUNT),
    Field("method", "Method", UINT64),
    Field("params", "Params", BYTES),
)


@dataclass(frozen=True, slots=True)
class ProposeReturn:
    """What became of a proposal."""

    txn_id: int
    """Number of the proposal."""
    applied: bool
    """Whether it was executed."""
    code: int
    """Exit code of its execution."""
    ret: bytes
    """Return value of its execution."""


PROPOSE_RETURN: Final = Struct(
    ProposeReturn,
    Field("txn_id", "TxnID", UINT64),
    Field("applied", "Applied", BOOL),
    Field("code", "Code", INT64),
    Field("ret", "Ret", BYTES),
)


@dataclass(frozen=True, slots=True)
class ProposalHashData:
    """What the hash in TxnIDParams is of."""

    requester: Address
    """Who proposed."""
    to: Address
    """Receiver."""
    value: int
    """attoFIL."""
    method: int
    """Method number."""
    params: bytes
    """Parameters, CBOR."""


PROPOSAL_HASH_DATA: Final = Struct(
    ProposalHashData,
    Field("requester", "Requester", ADDRESS),
    Field("to", "To", ADDRESS),
    Field("value", "Value", AMOUNT),
    Field("method", "Method", UINT64),
    Field("params", "Params", BYTES),
)


@dataclass(frozen=True, slots=True)
class TxnIDParams:
    """Approve or cancel a transaction."""

    id: int
    """Number."""
    proposal_hash: bytes
    """blake2b-256 of ProposalHashData, or nothing."""


TXN_ID_PARAMS: Final = Struct(
    TxnIDParams,
    Field("id", "ID", UINT64),
    Field("proposal_hash", "ProposalHash", BYTES),
)


@dataclass(frozen=True, slots=True)
class ApproveReturn:
    """What became of an approval."""

    applied: bool
    """Whether it was executed."""
    code: int
    """Exit code of its execution."""
    ret: bytes
    """Return value of its execution."""


APPROVE_RETURN: Final = Struct(
    ApproveReturn,
    Field("applied", "Applied", BOOL),
    Field("code", "Code", INT64),
    Field("ret", "Ret", BYTES),
)


@dataclass(frozen=True, slots=True)
class AddSignerParams:
    """Add a signer."""

    signer: Address
    """Address of the signer."""
    increase: bool
    """Raise the threshold too."""


ADD_SIGNER_PARAMS: Final = Struct(
    AddSignerParams,
    Field("signer", "Signer", ADDRESS),
    Field("increase", "Increase", BOOL),
)


@dataclass(frozen=True, slots=True)
class RemoveSignerParams:
    """Remove a signer."""

    signer: Address
    """Address of the signer."""
    decrease: bool
    """Lower the threshold too."""


REMOVE_SIGNER_PARAMS: Final = Struct(
    RemoveSignerParams,
    Field("signer", "Signer", ADDRESS),
    Field("decrease", "Decrease", BOOL),
)


@dataclass(frozen=True, slots=True)
class SwapSignerParams:
    """Exchange a signer."""

    from_: Address
    """Old address."""
    to: Address
    """Receiver."""


SWAP_SIGNER_PARAMS: Final = Struct(
    SwapSignerParams,
    Field("from_", "From", ADDRESS),
    Field("to", "To", ADDRESS),
)


@dataclass(frozen=True, slots=True)
class ChangeNumApprovalsThresholdParams:
    """Change how many must approve."""

    new_threshold: int
    """Approvals needed from now on."""


CHANGE_NUM_APPROVALS_THRESHOLD_PARAMS: Final = Struct(
    ChangeNumApprovalsThresholdParams,
    Field("new_threshold", "NewThreshold", UINT64),
)


@dataclass(frozen=True, slots=True)
class LockBalanceParams:
    """Lock funds that become free over time."""

    start_epoch: int
    """First epoch."""
    unlock_duration: int
    """Epochs over which locked funds become free."""
    amount: int
    """attoFIL, or units of the token."""


LOCK_BALANCE_PARAMS: Final = Struct(
    LockBalanceParams,
    Field("start_epoch", "StartEpoch", INT64),
    Field("unlock_duration", "UnlockDuration", INT64),
    Field("amount", "Amount", AMOUNT),
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    PROPOSE = 2
    APPROVE = 3
    CANCEL = 4
    ADD_SIGNER = 5
    REMOVE_SIGNER = 6
    SWAP_SIGNER = 7
    CHANGE_NUM_APPROVALS_THRESHOLD = 8
    LOCK_BALANCE = 9
    REMOVE_SIGNER_EXPORTED = 21_182_899
    APPROVE_EXPORTED = 1_289_044_053
    PROPOSE_EXPORTED = 1_696_838_335
    LOCK_BALANCE_EXPORTED = 1_999_470_977
    ADD_SIGNER_EXPORTED = 3_028_530_033
    CANCEL_EXPORTED = 3_365_893_656
    CHANGE_NUM_APPROVALS_THRESHOLD_EXPORTED = 3_375_931_653
    UNIVERSAL_RECEIVER_HOOK = 3_726_118_371
    SWAP_SIGNER_EXPORTED = 3_968_117_037


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.PROPOSE, "Propose", PROPOSE_PARAMS, PROPOSE_RETURN),
    MethodSpec(Method.APPROVE, "Approve", TXN_ID_PARAMS, APPROVE_RETURN),
    MethodSpec(Method.CANCEL, "Cancel", TXN_ID_PARAMS),
    MethodSpec(Method.ADD_SIGNER, "AddSigner", ADD_SIGNER_PARAMS),
    MethodSpec(Method.REMOVE_SIGNER, "RemoveSigner", REMOVE_SIGNER_PARAMS),
    MethodSpec(Method.SWAP_SIGNER, "SwapSigner", SWAP_SIGNER_PARAMS),
    MethodSpec(
        Method.CHANGE_NUM_APPROVALS_THRESHOLD,
        "ChangeNumApprovalsThreshold",
        CHANGE_NUM_APPROVALS_THRESHOLD_PARAMS,
    ),
    MethodSpec(Method.LOCK_BALANCE, "LockBalance", LOCK_BALANCE_PARAMS),
    MethodSpec(Method.REMOVE_SIGNER_EXPORTED, "RemoveSignerExported", REMOVE_SIGNER_PARAMS),
    MethodSpec(Method.APPROVE_EXPORTED, "ApproveExported", TXN_ID_PARAMS, APPROVE_RETURN),
    MethodSpec(Method.PROPOSE_EXPORTED, "ProposeExported", PROPOSE_PARAMS, PROPOSE_RETURN),
    MethodSpec(Method.LOCK_BALANCE_EXPORTED, "LockBalanceExported", LOCK_BALANCE_PARAMS),
    MethodSpec(Method.ADD_SIGNER_EXPORTED, "AddSignerExported", ADD_SIGNER_PARAMS),
    MethodSpec(Method.CANCEL_EXPORTED, "CancelExported", TXN_ID_PARAMS),
    MethodSpec(
        Method.CHANGE_NUM_APPROVALS_THRESHOLD_EXPORTED,
        "ChangeNumApprovalsThresholdExported",
        CHANGE_NUM_APPROVALS_THRESHOLD_PARAMS,
    ),
    MethodSpec(Method.UNIVERSAL_RECEIVER_HOOK, "UniversalReceiverHook", UNIVERSAL_RECEIVER_PARAMS),
    MethodSpec(Method.SWAP_SIGNER_EXPORTED, "SwapSignerExported", SWAP_SIGNER_PARAMS),
)
"""What each method takes and returns."""
