"""Multisig actors: wallets whose transactions need the approval of several signers.

Changes of the wallet itself are sent by the wallet to itself, as a proposed transaction.  Source:
go-state-types builtin/v18/multisig/{multisig_types,multisig_state,policy}.go; builtin-actors
actors/multisig/src/lib.rs.
"""

from __future__ import annotations

import enum
import hashlib
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
    to_cbor,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Set up a multisig; the init actor's Exec passes it on."""

    signers: tuple[Address, ...]
    """1 to 256, each once; the actor stores f0 addresses."""
    num_approvals_threshold: Uint64
    """Approvals that a transaction needs, the proposer's included; 1 to the number of signers."""
    unlock_duration: Int64
    """Epochs over which the value sent along is unlocked linearly; 0 for no lock."""
    start_epoch: Int64
    """First epoch of the unlocking; nothing is unlocked before."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProposeParams:
    """Propose a transaction and approve it; it is executed at once if one approval is enough."""

    to: Address
    """Receiver of the transaction."""
    value: TokenAmount
    """attoFIL, not negative."""
    method: Uint64
    """Method number at the receiver; 0 for a plain transfer."""
    params: bytes
    """The method's parameters in CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProposeReturn:
    """The proposed transaction and, if it was executed, its result."""

    txn_id: Uint64
    """From 0, in the order of proposals; a reorganisation of the chain may change it."""
    applied: bool
    """Whether it was executed; the rest means nothing otherwise."""
    code: Int64
    """Exit code of the execution."""
    ret: bytes
    """Return value of the execution."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ProposalHashData:
    """What TxnIDParams.proposal_hash is the hash of."""

    requester: Address
    """f0 address of the proposer."""
    to: Address
    """As it was proposed."""
    value: TokenAmount
    """attoFIL."""
    method: Uint64
    """Method number, as it was proposed."""
    params: bytes
    """Raw CBOR of the parameters, as they were proposed."""


def proposal_hash(data: ProposalHashData) -> bytes:
    """Return the blake2b-256 of a proposal, by which an approval names it.

    Source: builtin-actors actors/multisig/src/lib.rs compute_proposal_hash.
    """
    return hashlib.blake2b(to_cbor(data), digest_size=32).digest()


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TxnIDParams:
    """Approve a transaction (any signer), or cancel it (its proposer)."""

    id: Uint64
    """ProposeReturn.txn_id."""
    proposal_hash: bytes
    """blake2b-256 of ProposalHashData in CBOR, which guards against another transaction of the same number;
    empty to skip."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ApproveReturn:
    """Whether the approval was the last one needed, and then the result."""

    applied: bool
    """Whether it was executed; the rest means nothing otherwise."""
    code: Int64
    """Exit code of the execution."""
    ret: bytes
    """Return value of the execution."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AddSignerParams:
    """Add a signer; 256 at most."""

    signer: Address
    """Kept as its f0 address."""
    increase: bool
    """Whether the threshold grows by one."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveSignerParams:
    """Remove a signer and its approvals; the last one cannot be removed."""

    signer: Address
    """Any form of a signer's address."""
    decrease: bool
    """Whether the threshold shrinks by one; needed where it would exceed the signers left."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SwapSignerParams:
    """Replace a signer by another; the old one's approvals are removed."""

    from_: Address
    """The signer to remove."""
    to: Address
    """The signer to add."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ChangeNumApprovalsThresholdParams:
    """Set how many approvals a transaction needs."""

    new_threshold: Uint64
    """1 to the number of signers; applies to pending transactions too."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class LockBalanceParams:
    """Lock an amount that is unlocked linearly; only once, and not if the constructor locked one."""

    start_epoch: Int64
    """First epoch of the unlocking."""
    unlock_duration: Int64
    """Epochs, positive."""
    amount: TokenAmount
    """attoFIL, not negative."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes.

    `..._EXPORTED` of a name that is listed without is the same method, which contracts call.
    """

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the init actor."""
    PROPOSE = 2
    """By a signer; carried out at once where one approval is enough."""
    APPROVE = 3
    """By another signer; the last one that is needed has it carried out."""
    CANCEL = 4
    """By the signer who proposed."""
    ADD_SIGNER = 5
    """By the multisig itself, as the four below: a proposal that was approved."""
    REMOVE_SIGNER = 6
    """By the multisig itself."""
    SWAP_SIGNER = 7
    """By the multisig itself."""
    CHANGE_NUM_APPROVALS_THRESHOLD = 8
    """By the multisig itself."""
    LOCK_BALANCE = 9
    """By the multisig itself, once."""
    REMOVE_SIGNER_EXPORTED = 21_182_899
    APPROVE_EXPORTED = 1_289_044_053
    PROPOSE_EXPORTED = 1_696_838_335
    LOCK_BALANCE_EXPORTED = 1_999_470_977
    ADD_SIGNER_EXPORTED = 3_028_530_033
    CANCEL_EXPORTED = 3_365_893_656
    CHANGE_NUM_APPROVALS_THRESHOLD_EXPORTED = 3_375_931_653
    UNIVERSAL_RECEIVER_HOOK = 3_726_118_371
    """By anyone: it takes tokens of any kind."""
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
