"""Calls by which a multisig changes its own signers, and how many of them must approve."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden
from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.actors.multisig_wallet import MAX_SIGNERS, calling_wallet, threshold_check
from poolsite.devnet.state.rows import MULTISIGS, Multisig
from poolsite.filecoin.actors.multisig import (
    AddSignerParams,
    ChangeNumApprovalsThresholdParams,
    RemoveSignerParams,
    SwapSignerParams,
)

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
