"""PreCommitSectorBatch2: sectors are announced, deposits taken, numbers used up for ever.

Source: builtin-actors actors/miner/src/lib.rs pre_commit_sector_batch_inner, validate_expiration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import OK, ActorError, bad_argument, fil, forbidden, insufficient
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.ledger import MARKET
from poolsite.devnet.actors.miner.enrol import cron_enrol
from poolsite.devnet.actors.miner.funds import available, debt_repay_wholly
from poolsite.devnet.actors.miner.numbers import numbers_allocate
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open
from poolsite.devnet.actors.nested import nested_call
from poolsite.devnet.state.sector_rows import PreCommit, precommits_of
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.actors.market_deals import (
    SectorDeals,
    VerifyDealsForActivationParams,
    VerifyDealsForActivationReturn,
)
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params, SectorPreCommitInfo
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import COMMD_PREFIX, COMMR_PREFIX
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.expiration import BadExpiration, expiration_check
from poolsite.filecoin.gas_model import pre_commit_gas
from poolsite.filecoin.sector import MAX_SECTOR_NUMBER, BadProofType, RegisteredPoStProof, seal_proof

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.sector import RegisteredSealProof

MAX_DEALS: Final = 256
"""Most deals of a sector of up to 32 GiB.  Source: builtin-actors
actors/miner/src/policy.rs sector_deals_max."""
QUALITY_MAX: Final = 10
"""Deposits reckon with fully verified data.  Source: builtin-actors
actors/miner/src/policy.rs qa_power_max."""


def precommit_sectors(call: Call) -> bytes:
    """Handle PreCommitSectorBatch2."""
    infos: tuple[SectorPreCommitInfo, ...] = call.read(PreCommitSectorBatch2Params).sectors
    if not infos:
        raise bad_argument("batch empty")
    editor = MinerStateEditor(call.machine, call.receiver)
    _check_unique(infos)
    for info in infos:
        _check_info(call, info, editor=editor)
    editor_open(call)
    _deals_verify(call, infos)
    miner = editor.miner
    if miner.consensus_fault_elapsed >= call.epoch:
        raise forbidden("pre-commit not allowed during active consensus fault")
    table = precommits_of(editor.id)
    pending = len(call.draft.keys(table))
    is_first = not miner.cron_active
    miner = debt_repay_wholly(call.machine, editor.id, miner)
    editor.save(miner)
    deposit = economy(call.machine).precommit_deposit(QUALITY_MAX * miner.sector_size)
    total = deposit * len(infos)
    free = available(miner, editor.balance)
    if free < total:
        have, need = fil(free), fil(total)
        raise insufficient(f"insufficient funds {have} for pre-commit deposit: {need}")
    editor.change(
        allocated=numbers_allocate(miner.allocated, [info.sector_number for info in infos]),
        deposits=miner.deposits + total,
    )
    for info in infos:
        call.draft.put(table, info.sector_number, _row(info, deposit=deposit, epoch=call.epoch))
    editor.pledge_change(0)
    if is_first:
        cron_enrol(editor, call.epoch)
    call.charge_to(pre_commit_gas(len(infos), pending=pending, is_first=is_first))
    return b""


def _deals_verify(call: Call, infos: tuple[SectorPreCommitInfo, ...]) -> None:
    """Check with the market that deals can begin, and compare their data.  Raises ActorError 16, 17, 18, 32.

    Nothing can prove such sectors since actors v18: ProveCommitSectors3 skips them.
    """
    for info in infos:
        if len(info.deal_ids) > MAX_DEALS:
            raise bad_argument(f"too many deals for sector {len(info.deal_ids)} > {MAX_DEALS}")
    if not any(info.deal_ids for info in infos):
        return
    sectors = tuple(
        SectorDeals(info.sector_number, info.seal_proof, info.expiration, info.deal_ids) for info in infos
    )
    params = to_cbor(VerifyDealsForActivationParams(sectors))
    code, returned = nested_call(
        call, to=id_address(MARKET), value=0, method=Method.VERIFY_DEALS_FOR_ACTIVATION, params=params
    )
    if code != OK:
        raise ActorError(code, f"send aborted with code {code}")
    computed = from_cbor(VerifyDealsForActivationReturn, returned).unsealed_cids
    for info, cid in zip(infos, computed, strict=True):
        if cid is not None and info.unsealed_cid != cid:
            raise bad_argument(f"computed {cid} and passed {info.unsealed_cid} CommDs not equal")


def _row(info: SectorPreCommitInfo, *, deposit: int, epoch: int) -> PreCommit:
    return PreCommit(
        number=info.sector_number,
        seal_proof=info.seal_proof,
        sealed_cid=info.sealed_cid,
        seal_rand_epoch=info.seal_rand_epoch,
        deal_ids=tuple(info.deal_ids),
        expiration=info.expiration,
        unsealed_cid=info.unsealed_cid,
        deposit=deposit,
        epoch=epoch,
    )


def _check_unique(infos: tuple[SectorPreCommitInfo, ...]) -> None:
    seen: set[int] = set()
    for info in infos:
        if info.sector_number in seen:
            raise bad_argument(f"duplicate sector number {info.sector_number}")
        seen.add(info.sector_number)


def _check_info(call: Call, info: SectorPreCommitInfo, *, editor: MinerStateEditor) -> None:
    """Check one sector, in the actor's order."""
    network, now, miner = call.network, call.epoch, editor.miner
    proof = _proof_check(call, info)
    if not info.sealed_cid.data.startswith(COMMR_PREFIX):
        raise bad_argument("sealed CID had wrong prefix")
    if info.seal_rand_epoch >= now:
        raise bad_argument(f"seal challenge epoch {info.seal_rand_epoch} must be before now {now}")
    earliest = now - network.max_precommit_randomness_lookback
    if info.seal_rand_epoch < earliest:
        raise bad_argument(f"seal challenge epoch {info.seal_rand_epoch} too old, must be after {earliest}")
    if info.unsealed_cid is not None and not info.unsealed_cid.data.startswith(COMMD_PREFIX):
        raise bad_argument("unsealed CID had wrong prefix")
    activation = now + network.max_prove_commit_duration
    try:
        expiration_check(info.expiration, activation=activation, now=now, network=network)
    except BadExpiration as error:
        raise bad_argument(str(error)) from None
    if proof.window_post_proof != RegisteredPoStProof(miner.post_proof):
        # The real actor prints "%d" and the two types one place too late.
        raise bad_argument(
            "sector Window PoSt proof type %d must match miner Window PoSt proof type "
            f"{int(proof.window_post_proof)} (seal proof type {miner.post_proof})"
        )


def _proof_check(call: Call, info: SectorPreCommitInfo) -> RegisteredSealProof:
    """Return the seal proof type, one that the network takes.  Raises ActorError 16."""
    if info.sector_number > MAX_SECTOR_NUMBER:
        raise bad_argument(f"sector number {info.sector_number} out of range 0..(2^63-1)")
    try:
        proof = seal_proof(info.seal_proof)
    except BadProofType:
        raise bad_argument(f"unsupported seal proof type {info.seal_proof}") from None
    if proof not in call.network.seal_proofs or not proof.is_interactive:
        raise bad_argument(f"unsupported seal proof type {info.seal_proof}")
    return proof
