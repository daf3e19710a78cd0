"""ProveReplicaUpdates3: data is encoded into sectors that are proven already (SnapUp).

Source: builtin-actors actors/miner/src/lib.rs prove_replica_updates3, validate_replica_updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import ILLEGAL_ARGUMENT, bad_argument, fil, insufficient, not_found
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.miner.funds import available, debt_repay_wholly
from poolsite.devnet.actors.miner.notifications import pieces_notify
from poolsite.devnet.actors.miner.pieces import pieces_commitment
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open, sector_quality
from poolsite.devnet.actors.miner.verified_data import allocations_claim
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.miner_sectors import ProveReplicaUpdates3Params
from poolsite.filecoin.cids import COMMR_PREFIX
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import is_mutable
from poolsite.filecoin.gas_model import FAIL_STATE, VERIFY_UPDATE, replica_update_gas
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.proof_verifier import ProofVerifier

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.sector_rows import Sector
    from poolsite.filecoin.actors.miner_sectors import SectorUpdateManifest


def prove_replica_updates(call: Call) -> bytes:
    """Handle ProveReplicaUpdates3; a sector whose update is not valid is left out."""
    params: ProveReplicaUpdates3Params = call.read(ProveReplicaUpdates3Params)
    _check_shape(params)
    editor = editor_open(call)
    updates = params.sector_updates
    sectors = [_sector(editor, update.sector) for update in updates]
    seen = [update.sector for update in updates]
    codes = [
        ILLEGAL_ARGUMENT
        if update.sector in seen[:at]
        else _update_code(call, editor, update, sector=sector, proof=proof, kind=params.update_proofs_type)
        for at, (update, sector, proof) in enumerate(zip(updates, sectors, params.sector_proofs, strict=True))
    ]
    if any(codes) and (params.require_activation_success or all(codes)):
        raise bad_argument("no valid updates")
    sizes = _data_claim(call, updates, sectors, codes=codes, must_succeed=params.require_activation_success)
    if all(codes):
        raise bad_argument("all data activations failed")
    _pledges_lock(
        call,
        editor,
        [
            _updated(call, editor, update, sector=sector, verified_size=size)
            for update, sector, size, code in zip(updates, sectors, sizes, codes, strict=True)
            if not code
        ],
    )
    changes = [
        (sector.number, sector.expiration, update.pieces)
        for update, sector, code in zip(updates, sectors, codes, strict=True)
        if not code
    ]
    notification_gas = pieces_notify(call, changes, must_succeed=params.require_notification_success)
    call.charge_to(replica_update_gas(len(updates)) + notification_gas)
    failures = tuple(FailCode(index, code) for index, code in enumerate(codes) if code)
    return to_cbor(BatchReturn(len(codes) - len(failures), failures))


def _check_shape(params: ProveReplicaUpdates3Params) -> None:
    if not params.sector_updates:
        raise bad_argument("no sectors to update")
    if bool(params.sector_proofs) == bool(params.aggregate_proof):
        raise bad_argument("exactly one of sector proofs or aggregate proof must be non-empty")
    if params.aggregate_proof:
        raise bad_argument("aggregate update proofs not supported")
    if len(params.sector_proofs) != len(params.sector_updates):
        raise bad_argument(
            f"mismatched lengths: {len(params.sector_updates)} updates, {len(params.sector_proofs)} proofs"
        )


def _sector(editor: MinerStateEditor, number: int) -> Sector:
    sector = editor.sector(number)
    if sector is None:
        raise not_found(f"sector {number} not found")
    return sector


def _update_code(
    call: Call,
    editor: MinerStateEditor,
    update: SectorUpdateManifest,
    *,
    sector: Sector,
    proof: bytes,
    kind: int,
) -> int:
    """0, or the exit code for which this sector is left out."""
    if update.deadline >= call.network.proving.deadlines or not is_mutable(
        editor.deadline_at(update.deadline, call.epoch)
    ):
        return ILLEGAL_ARGUMENT
    partition = editor.partition(update.deadline, update.partition)
    is_home = partition is not None and sector.number in partition.active
    holds_zeros = sector.sector_key is None and not sector.deal_weight + sector.verified_weight
    is_sealed = update.new_sealed_cid.data.startswith(COMMR_PREFIX)
    if not (is_home and holds_zeros and is_sealed) or kind != SECTOR_SIZES.index(editor.miner.sector_size):
        return ILLEGAL_ARGUMENT
    call.charge_to(FAIL_STATE + VERIFY_UPDATE)
    is_valid = call.machine.proofs.is_proven(
        ProofVerifier.update,
        proof,
        update_proof=kind,
        comm_r_old=sector.sealed_cid.digest,
        comm_r_new=update.new_sealed_cid.digest,
        comm_d_new=pieces_commitment(update.pieces, editor.miner.sector_size),
    )
    return 0 if is_valid else ILLEGAL_ARGUMENT


def _data_claim(
    call: Call,
    updates: Sequence[SectorUpdateManifest],
    sectors: Sequence[Sector],
    *,
    codes: list[int],
    must_succeed: bool,
) -> list[int]:
    """Claim the verified data of the proven updates; gives the verified bytes of each.

    An update whose claims fail gets its code.
    """
    valid = [index for index, code in enumerate(codes) if not code]
    activations = [(sectors[at].number, sectors[at].expiration, updates[at].pieces) for at in valid]
    claimed, failed = allocations_claim(call, activations, must_succeed=must_succeed)
    sizes = [0] * len(updates)
    for at, index in enumerate(valid):
        sizes[index] = claimed[at]
        codes[index] = failed.get(at, codes[index])
    return sizes


def _updated(
    call: Call, editor: MinerStateEditor, update: SectorUpdateManifest, *, sector: Sector, verified_size: int
) -> Sector:
    """Return the sector with its data: its end stays, its weight and pledge are reckoned anew."""
    now, size = call.epoch, editor.miner.sector_size
    space = sum(piece.size for piece in update.pieces)
    new = replace(
        sector,
        sealed_cid=update.new_sealed_cid,
        sector_key=sector.sealed_cid,
        deal_weight=(space - verified_size) * (sector.expiration - now),
        verified_weight=verified_size * (sector.expiration - now),
        power_base_epoch=now,
    )
    money = economy(call.machine)
    quality = sector_quality(new, size)
    pledge = max(sector.pledge, money.initial_pledge(quality))
    return replace(new, pledge=pledge, daily_fee=money.daily_fee(quality))


def _pledges_lock(call: Call, editor: MinerStateEditor, sectors: list[Sector]) -> None:
    """Store the sectors; what their pledges grew must be free.  Raises ActorError 19."""
    miner = vesting_unlock(debt_repay_wholly(call.machine, editor.id, editor.miner), now=call.epoch)
    added = sum(sector.pledge for sector in sectors)
    added -= sum(_sector(editor, sector.number).pledge for sector in sectors)
    free = available(miner, editor.balance)
    if free < added:
        raise insufficient(
            f"insufficient funds for aggregate initial pledge requirement {fil(added)}, "
            f"available: {fil(free)}"
        )
    editor.save(replace(miner, pledge=miner.pledge + added))
    editor.pledge_change(added)
    size = editor.miner.sector_size
    old = sum(sector_quality(_sector(editor, sector.number), size) for sector in sectors)
    for sector in sectors:
        editor.save_sector(sector)
    editor.power_change(0, sum(sector_quality(sector, size) for sector in sectors) - old)
