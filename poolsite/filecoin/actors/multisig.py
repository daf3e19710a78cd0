"""Multisignature wallets.

Source: go-state-types builtin/v18/multisig/multisig_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.receiver import UniversalReceiverParams
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import (
    Int64,
    TokenAmount,
    Uint64,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make a wallet (the ConstructorParams of init.Exec)."""

    signers: tuple[Address, ...]
    """Who may approve."""
    num_approvals_threshold: Uint64
    """Approvals needed."""
    unlock_duration: Int64
    """Epochs over which locked funds become free."""
    start_epoch: Int64
    """First epoch."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProposeParams:
    """Propose a transaction."""

    to: Address
    """Receiver."""
    value: TokenAmount
    """attoFIL."""
    method: Uint64
    """Method number."""
    params: bytes
    """Parameters, CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProposeReturn:
    """What became of a proposal."""

    txn_id: Uint64
    """Number of the proposal."""
    applied: bool
    """Whether it was executed."""
    code: Int64
    """Exit code of its execution."""
    ret: bytes
    """Return value of its execution."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProposalHashData:
    """What the hash in TxnIDParams is of."""

    requester: Address
    """Who proposed."""
    to: Address
    """Receiver."""
    value: TokenAmount
    """attoFIL."""
    method: Uint64
    """Method number."""
    params: bytes
    """Parameters, CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TxnIDParams:
    """Approve or cancel a transaction."""

    id: Uint64
    """Number."""
    proposal_hash: bytes
    """blake2b-256 of ProposalHashData, or nothing."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ApproveReturn:
    """What became of an approval."""

    applied: bool
    """Whether it was executed."""
    code: Int64
    """Exit code of its execution."""
    ret: bytes
    """Return value of its execution."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AddSignerParams:
    """Add a signer."""

    signer: Address
    """Address of the signer."""
    increase: bool
    """Raise the threshold too."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveSignerParams:
    """Remove a signer."""

    signer: Address
    """Address of the signer."""
    decrease: bool
    """Lower the threshold too."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SwapSignerParams:
    """Exchange a signer."""

    from_: Address
    """Old address."""
    to: Address
    """Receiver."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeNumApprovalsThresholdParams:
    """Change how many must approve."""

    new_threshold: Uint64
    """Approvals needed from now on."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class LockBalanceParams:
    """Lock funds that become free over time."""

    start_epoch: Int64
    """First epoch."""
    unlock_duration: Int64
    """Epochs over which locked funds become free."""
    amount: TokenAmount
    """attoFIL, or units of the token."""


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
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.PROPOSE, "Propose", ProposeParams, ProposeReturn),
    MethodSpec(Method.APPROVE, "Approve", TxnIDParams, ApproveReturn),
    MethodSpec(Method.CANCEL, "Cancel", TxnIDParams),
    MethodSpec(Method.ADD_SIGNER, "AddSigner", AddSignerParams),
    MethodSpec(Method.REMOVE_SIGNER, "RemoveSigner", RemoveSignerParams),
    MethodSpec(Method.SWAP_SIGNER, "SwapSigner", SwapSignerParams),
    MethodSpec(
        Method.CHANGE_NUM_APPROVALS_THRESHOLD,
        "ChangeNumApprovalsThreshold",
        ChangeNumApprovalsThresholdParams,
    ),
    MethodSpec(Method.LOCK_BALANCE, "LockBalance", LockBalanceParams),
    MethodSpec(Method.REMOVE_SIGNER_EXPORTED, "RemoveSignerExported", RemoveSignerParams),
    MethodSpec(Method.APPROVE_EXPORTED, "ApproveExported", TxnIDParams, ApproveReturn),
    MethodSpec(Method.PROPOSE_EXPORTED, "ProposeExported", ProposeParams, ProposeReturn),
    MethodSpec(Method.LOCK_BALANCE_EXPORTED, "LockBalanceExported", LockBalanceParams),
    MethodSpec(Method.ADD_SIGNER_EXPORTED, "AddSignerExported", AddSignerParams),
    MethodSpec(Method.CANCEL_EXPORTED, "CancelExported", TxnIDParams),
    MethodSpec(
        Method.CHANGE_NUM_APPROVALS_THRESHOLD_EXPORTED,
        "ChangeNumApprovalsThresholdExported",
        ChangeNumApprovalsThresholdParams,
    ),
    MethodSpec(Method.UNIVERSAL_RECEIVER_HOOK, "UniversalReceiverHook", UniversalReceiverParams),
    MethodSpec(Method.SWAP_SIGNER_EXPORTED, "SwapSignerExported", SwapSignerParams),
)
"""What each method takes and returns."""
