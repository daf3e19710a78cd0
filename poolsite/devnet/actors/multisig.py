"""Multisig wallets: funds that several people move together.

Source: builtin-actors actors/multisig/src/lib.rs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import OK, ActorError, bad_argument, fil, forbidden, not_found
from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.actors.multisig_wallet import (
    MAX_SIGNERS,
    calling_wallet,
    threshold_check,
    wallet_for_signer,
    wallet_of,
)
from poolsite.devnet.actors.nested import nested_call
from poolsite.devnet.state.rows import MULTISIGS, Multisig, MultisigProposal
from poolsite.filecoin.actors.multisig import (
    AddSignerParams,
    ApproveReturn,
    ChangeNumApprovalsThresholdParams,
    ConstructorParams,
    LockBalanceParams,
    Method,
    ProposalHashData,
    ProposeParams,
    ProposeReturn,
    RemoveSignerParams,
    SwapSignerParams,
    TxnIDParams,
    proposal_hash,
)
from poolsite.filecoin.actors.receiver import UniversalReceiverParams
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor, to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def add_signer(call: Call) -> bytes:
    """Handle AddSigner."""
    params = call.read(AddSignerParams)
    wallet = calling_wallet(call)
    signer = call.id_of(params.signer)
    if signer in wallet.signers:
        raise forbidden(f"f0{signer} is already a signer")
    if len(wallet.signers) >= MAX_SIGNERS:
        raise forbidden(f"cannot add more than {MAX_SIGNERS} signers")
    threshold = wallet.threshold + (1 if params.increase else 0)
    wallet = replace(wallet, signers=(*wallet.signers, signer), threshold=threshold)
    call.draft.put(MULTISIGS, call.receiver, wallet)
    return b""


def remove_signer(call: Call) -> bytes:
    """Handle RemoveSigner: its approvals of pending transactions go with it."""
    params = call.read(RemoveSignerParams)
    wallet = calling_wallet(call)
    signer = resolve(call.draft, params.signer)
    if signer not in wallet.signers:
        raise forbidden(f"{params.signer} is not a signer")
    if len(wallet.signers) == 1:
        raise forbidden("cannot remove only signer")
    threshold = wallet.threshold - (1 if params.decrease else 0)
    remaining = tuple(entry for entry in wallet.signers if entry != signer)
    threshold_check(threshold, len(remaining))
    changed = _without_approvals(wallet, remaining, signer, threshold=threshold)
    call.draft.put(MULTISIGS, call.receiver, changed)
    return b""


def swap_signer(call: Call) -> bytes:
    """Handle SwapSigner."""
    params = call.read(SwapSignerParams)
    wallet = calling_wallet(call)
    old, new = resolve(call.draft, params.from_), call.id_of(params.to)
    if old not in wallet.signers:
        raise forbidden(f"{params.from_} is not a signer")
    if new in wallet.signers:
        raise bad_argument(f"{params.to} already a signer")
    signers = tuple(new if entry == old else entry for entry in wallet.signers)
    call.draft.put(
        MULTISIGS, call.receiver, _without_approvals(wallet, signers, old, threshold=wallet.threshold)
    )
    return b""


def _without_approvals(
    wallet: Multisig, signers: tuple[int, ...], removed: int | None, *, threshold: int
) -> Multisig:
    cut = (
        replace(entry, approved=tuple(signer for signer in entry.approved if signer != removed))
        for entry in wallet.pending
    )
    pending = tuple(entry for entry in cut if entry.approved)
    return replace(wallet, signers=signers, threshold=threshold, pending=pending)


def change_threshold(call: Call) -> bytes:
    """Handle ChangeNumApprovalsThreshold."""
    wallet = calling_wallet(call)
    threshold = call.read(ChangeNumApprovalsThresholdParams).new_threshold
    threshold_check(threshold, len(wallet.signers))
    call.draft.put(MULTISIGS, call.receiver, replace(wallet, threshold=threshold))
    return b""


def construct(call: Call, actor_id: int, params: bytes) -> None:
    """Make the wallet's state out of the constructor's params."""
    try:
        construction = from_cbor(ConstructorParams, params)
    except BadCbor as error:
        raise bad_argument(f"failed to deserialize constructor params: {error}") from None
    if not construction.signers:
        raise bad_argument("must have at least one signer")
    if len(construction.signers) > MAX_SIGNERS:
        raise bad_argument(f"cannot add more than {MAX_SIGNERS} signers")
    signers = tuple(call.id_of(address) for address in construction.signers)
    if len(set(signers)) != len(signers):
        raise bad_argument("duplicate signer not allowed")
    threshold_check(construction.num_approvals_threshold, len(signers))
    if construction.unlock_duration < 0:
        raise bad_argument("negative unlock duration disallowed")
    initial = call.value if construction.unlock_duration else 0
    start = construction.start_epoch if construction.unlock_duration else 0
    wallet = Multisig(
        signers=signers,
        threshold=construction.num_approvals_threshold,
        next_id=0,
        initial=initial,
        start=start,
        unlock=construction.unlock_duration,
        pending=(),
    )
    call.draft.put(MULTISIGS, actor_id, wallet)


def propose(call: Call) -> bytes:
    """Handle Propose: the proposer approves at once."""
    params = call.read(ProposeParams)
    if params.value < 0:
        raise bad_argument(f"proposed value must be non-negative, was {params.value}")
    wallet = wallet_for_signer(call)
    proposal = MultisigProposal(
        wallet.next_id, params.to, params.value, params.method, params.params, (call.caller,)
    )
    wallet = replace(wallet, next_id=wallet.next_id + 1, pending=(*wallet.pending, proposal))
    call.draft.put(MULTISIGS, call.receiver, wallet)
    applied, code, returned = _execute_if_approved(call, proposal)
    return to_cbor(ProposeReturn(proposal.id, applied, code, returned))


def approve(call: Call) -> bytes:
    """Handle Approve: an approval that is enough by itself executes before a new one is counted."""
    params = call.read(TxnIDParams)
    wallet = wallet_for_signer(call)
    proposal = _proposal(wallet, params)
    applied, code, returned = _execute_if_approved(call, proposal)
    if not applied:
        if call.caller in proposal.approved:
            raise forbidden(f"f0{call.caller} already approved this message")
        proposal = replace(proposal, approved=(*proposal.approved, call.caller))
        pending = tuple(proposal if entry.id == proposal.id else entry for entry in wallet.pending)
        call.draft.put(MULTISIGS, call.receiver, replace(wallet, pending=pending))
        applied, code, returned = _execute_if_approved(call, proposal)
    return to_cbor(ApproveReturn(applied, code, returned))


def cancel(call: Call) -> bytes:
    """Handle Cancel: only by the proposer."""
    params = call.read(TxnIDParams)
    wallet = wallet_for_signer(call)
    proposal = _proposal(wallet, params)
    if not proposal.approved or proposal.approved[0] != call.caller:
        raise forbidden("Cannot cancel another signers transaction")
    pending = tuple(entry for entry in wallet.pending if entry.id != proposal.id)
    call.draft.put(MULTISIGS, call.receiver, replace(wallet, pending=pending))
    return b""


def _proposal(wallet: Multisig, params: TxnIDParams) -> MultisigProposal:
    """Return the pending transaction, its hash checked if one is given."""
    for proposal in wallet.pending:
        if proposal.id == params.id:
            break
    else:
        raise not_found(f"no such transaction TxnID({params.id}) for approval")
    if params.proposal_hash:
        data = ProposalHashData(
            id_address(proposal.approved[0]), proposal.to, proposal.value, proposal.method, proposal.params
        )
        if proposal_hash(data) != params.proposal_hash:
            raise bad_argument("hash does not match proposal params (ensure requester is an ID address)")
    return proposal


def _execute_if_approved(call: Call, proposal: MultisigProposal) -> tuple[bool, int, bytes]:
    """Run a transaction that has enough approvals; its failure is a code, not an error of the wallet."""
    wallet = wallet_of(call)
    if len(proposal.approved) < wallet.threshold:
        return False, OK, b""
    actor = actor_get(call.draft, call.receiver)
    balance = 0 if actor is None else actor.balance
    if balance < proposal.value:
        have, spend = fil(balance), fil(proposal.value)
        raise ActorError(19, f"current balance {have} less than amount to spend {spend}")
    if proposal.value and balance - proposal.value < _locked(wallet, call.epoch):
        raise ActorError(19, "actor balance after spend is less than required locked amount")
    pending = tuple(entry for entry in wallet.pending if entry.id != proposal.id)
    call.draft.put(MULTISIGS, call.receiver, replace(wallet, pending=pending))
    code, returned = nested_call(
        call, to=proposal.to, value=proposal.value, method=proposal.method, params=proposal.params
    )
    return True, code, returned


def _locked(wallet: Multisig, epoch: int) -> int:
    if not wallet.unlock:
        return 0
    elapsed = epoch - wallet.start
    if elapsed >= wallet.unlock:
        return 0
    return wallet.initial if elapsed <= 0 else -(-wallet.initial * (wallet.unlock - elapsed) // wallet.unlock)


def lock_balance(call: Call) -> bytes:
    """Handle LockBalance."""
    params = call.read(LockBalanceParams)
    wallet = calling_wallet(call)
    if params.unlock_duration <= 0:
        raise bad_argument("unlock duration must be positive")
    if params.amount < 0:
        raise bad_argument("amount to lock must be positive")
    if wallet.unlock:
        raise forbidden("modification of unlock disallowed")
    wallet = replace(wallet, start=params.start_epoch, unlock=params.unlock_duration, initial=params.amount)
    call.draft.put(MULTISIGS, call.receiver, wallet)
    return b""


def tokens_accept(call: Call) -> bytes:
    """Handle UniversalReceiverHook: any token may come."""
    call.read(UniversalReceiverParams)
    return b""


METHODS: Final[dict[int, Callable[[Call], bytes]]] = {
    2: propose,
    3: approve,
    4: cancel,
    5: add_signer,
    6: remove_signer,
    7: swap_signer,
    8: change_threshold,
    9: lock_balance,
    Method.UNIVERSAL_RECEIVER_HOOK: tokens_accept,
}
"""Handlers by method number."""
