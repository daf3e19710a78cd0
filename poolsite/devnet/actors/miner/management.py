"""Who runs a miner and where it is reached: workers, owners, beneficiaries, peer ids, addresses.

Source: builtin-actors actors/miner/src/lib.rs change_worker_address, change_owner_address,
change_beneficiary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden
from poolsite.devnet.actors.creation import MAX_PEER_ID_BYTES, worker_check
from poolsite.devnet.actors.ledger import KIND_ACCOUNT, KIND_MULTISIG, actor_get, resolve_existing
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open
from poolsite.devnet.state.miner_rows import BeneficiaryChange, BeneficiaryTerm, Miner
from poolsite.filecoin.actors.miner_beneficiary import (
    ActiveBeneficiary,
    ChangeBeneficiaryParams,
    GetBeneficiaryReturn,
    PendingBeneficiaryChange,
)
from poolsite.filecoin.actors.miner_beneficiary import BeneficiaryTerm as TermValue
from poolsite.filecoin.actors.miner_control import (
    ChangeMultiaddrsParams,
    ChangeOwnerAddressParams,
    ChangePeerIDParams,
    ChangeWorkerAddressParams,
    ControlAddressesReturn,
)
from poolsite.filecoin.address import ID, id_address
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address

MAX_CONTROL_ADDRESSES = 10
MAX_MULTIADDRS_BYTES = 1024


def _principal(call: Call, address: Address) -> int:
    """Resolve an owner or control address: it must be an account or a multisig."""
    actor_id = resolve_existing(call.draft, address)
    if actor_id is None:
        raise bad_argument(f"unable to resolve address: {address}")
    actor = actor_get(call.draft, actor_id)
    if actor is None or actor.kind not in (KIND_ACCOUNT, KIND_MULTISIG):
        raise bad_argument(f"owner actor type must be a principal, was {actor and actor.kind}")
    return actor_id


def control_addresses(call: Call) -> bytes:
    """Handle ControlAddresses."""
    miner = MinerStateEditor(call.machine, call.receiver).miner
    return to_cbor(
        ControlAddressesReturn(
            id_address(miner.owner), id_address(miner.worker), tuple(id_address(n) for n in miner.control)
        )
    )


def change_worker(call: Call) -> bytes:
    """Handle ChangeWorkerAddress: control addresses at once, the worker's key after a delay."""
    params = call.read(ChangeWorkerAddressParams)
    if len(params.new_control_addrs) > MAX_CONTROL_ADDRESSES:
        raise bad_argument(
            f"control addresses length {len(params.new_control_addrs)} exceeds max control addresses "
            f"length {MAX_CONTROL_ADDRESSES}"
        )
    worker = resolve_existing(call.draft, params.new_worker)
    if worker is None:
        raise bad_argument(f"unable to resolve address: {params.new_worker}")
    worker_check(call, worker)
    control = tuple(_principal(call, address) for address in params.new_control_addrs)
    editor = editor_open(call, allowed="owner")
    miner = editor.change(control=control)
    if worker != miner.worker and miner.new_worker is None:
        delay = call.network.worker_key_change_delay
        editor.change(new_worker=worker, worker_change_epoch=call.epoch + delay)
    return b""


def confirm_worker(call: Call) -> bytes:
    """Handle ConfirmChangeWorkerAddress; before the epoch it succeeds without effect."""
    editor = editor_open(call, allowed="owner")
    miner = editor.miner
    if miner.new_worker is not None and miner.worker_change_epoch <= call.epoch:
        editor.change(worker=miner.new_worker, new_worker=None, worker_change_epoch=-1)
    return b""


def change_peer(call: Call) -> bytes:
    """Handle ChangePeerID."""
    peer = call.read(ChangePeerIDParams).new_id
    if len(peer) > MAX_PEER_ID_BYTES:
        raise bad_argument(f"peer ID size of {len(peer)} exceeds maximum size of {MAX_PEER_ID_BYTES}")
    editor_open(call).change(peer=peer)
    return b""


def change_multiaddrs(call: Call) -> bytes:
    """Handle ChangeMultiaddrs."""
    addresses = tuple(call.read(ChangeMultiaddrsParams).new_multiaddrs)
    size = sum(map(len, addresses))
    if any(not address for address in addresses):
        raise bad_argument("invalid empty multiaddr")
    if size > MAX_MULTIADDRS_BYTES:
        raise bad_argument(f"multiaddr size of {size} exceeds maximum of {MAX_MULTIADDRS_BYTES}")
    editor_open(call).change(multiaddrs=addresses)
    return b""


def change_owner(call: Call) -> bytes:
    """Handle ChangeOwnerAddress: the owner proposes, the new owner confirms with its own address."""
    address = call.read(ChangeOwnerAddressParams).new_address
    if address.protocol != ID:
        raise bad_argument("owner address must be an ID address")
    editor = MinerStateEditor(call.machine, call.receiver)
    miner = editor.miner
    new_owner = address.actor_id
    if call.caller == miner.owner or miner.pending_owner is None:
        call.require_caller((miner.owner,))
        _principal(call, address)
        editor.change(pending_owner=None if new_owner == miner.owner else new_owner)
    else:
        call.require_caller((miner.pending_owner,))
        if new_owner != miner.pending_owner:
            raise bad_argument(f"expected confirmation of f0{miner.pending_owner}, got f0{new_owner}")
        beneficiary = new_owner if miner.beneficiary == miner.owner else miner.beneficiary
        editor.change(owner=new_owner, beneficiary=beneficiary, pending_owner=None)
    return b""


def change_beneficiary(call: Call) -> bytes:
    """Handle ChangeBeneficiary: proposed by the owner, approved by the old and the new one."""
    params: ChangeBeneficiaryParams = call.read(ChangeBeneficiaryParams)
    nominee = resolve_existing(call.draft, params.new_beneficiary)
    if nominee is None:
        raise bad_argument(f"unable to resolve address: {params.new_beneficiary}")
    editor = MinerStateEditor(call.machine, call.receiver)
    miner = editor.miner
    if call.caller == miner.owner:
        miner = _beneficiary_propose(call, miner, params, nominee=nominee)
    else:
        if miner.pending_beneficiary is None:
            raise forbidden("No changeBeneficiary proposal exists")
        _terms_check(miner.pending_beneficiary, params, nominee=nominee)
    change = miner.pending_beneficiary
    if change is not None:
        if call.caller not in (miner.owner, miner.beneficiary, change.beneficiary):
            raise forbidden("message caller is neither proposal beneficiary nor current beneficiary")
        change = replace(
            change,
            by_beneficiary=change.by_beneficiary or call.caller == miner.beneficiary,
            by_nominee=change.by_nominee or call.caller == change.beneficiary,
        )
        miner = _beneficiary_settle(miner, change)
    editor.save(miner)
    return b""


def _beneficiary_propose(call: Call, miner: Miner, params: ChangeBeneficiaryParams, *, nominee: int) -> Miner:
    if nominee == miner.owner:
        if params.new_expiration or params.new_quota:
            raise bad_argument("owner beneficiary quota and expiration must be zero")
        approved = miner.beneficiary == miner.owner or miner.term.expiration <= call.epoch
        approved = approved or miner.term.quota <= miner.term.used
        change = BeneficiaryChange(nominee, 0, 0, by_beneficiary=approved, by_nominee=True)
    else:
        if params.new_quota <= 0:
            raise bad_argument("beneficial quota must bigger than zero")
        approved = miner.beneficiary == miner.owner
        change = BeneficiaryChange(
            nominee, params.new_quota, params.new_expiration, by_beneficiary=approved, by_nominee=False
        )
    return replace(miner, pending_beneficiary=change)


def _terms_check(change: BeneficiaryChange, params: ChangeBeneficiaryParams, *, nominee: int) -> None:
    if change.beneficiary != nominee:
        raise bad_argument(
            f"new beneficiary address must be equal expect f0{change.beneficiary}, but got f0{nominee}"
        )
    if change.quota != params.new_quota:
        raise bad_argument(
            f"new beneficiary quota must be equal expect {change.quota}, but got {params.new_quota}"
        )
    if change.expiration != params.new_expiration:
        raise bad_argument(
            f"new beneficiary expire date must be equal expect {change.expiration}, "
            f"but got {params.new_expiration}"
        )


def _beneficiary_settle(miner: Miner, change: BeneficiaryChange) -> Miner:
    if not (change.by_beneficiary and change.by_nominee):
        return replace(miner, pending_beneficiary=change)
    used = 0 if change.beneficiary != miner.beneficiary else miner.term.used
    term = BeneficiaryTerm(change.quota, used, change.expiration)
    if change.beneficiary == miner.owner:
        term = BeneficiaryTerm(0, 0, 0)
    return replace(miner, beneficiary=change.beneficiary, term=term, pending_beneficiary=None)


def get_beneficiary(call: Call) -> bytes:
    """Handle GetBeneficiary."""
    miner = MinerStateEditor(call.machine, call.receiver).miner
    term = TermValue(miner.term.quota, miner.term.used, miner.term.expiration)
    change = miner.pending_beneficiary
    proposed = None
    if change is not None:
        proposed = PendingBeneficiaryChange(
            id_address(change.beneficiary),
            change.quota,
            change.expiration,
            change.by_beneficiary,
            change.by_nominee,
        )
    active = ActiveBeneficiary(id_address(miner.beneficiary), term)
    return to_cbor(GetBeneficiaryReturn(active, proposed))
