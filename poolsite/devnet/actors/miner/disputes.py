"""DisputeWindowedPoSt: doubting a proof that was taken; only one that was not verified can be wrong.

Source: builtin-actors actors/miner/src/lib.rs dispute_windowed_post.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.ledger import BURNT, SENDER_KINDS, actor_get
from poolsite.devnet.actors.miner.funds import debt_payable
from poolsite.devnet.actors.miner.partitions import faults_add
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, Reader, sector_quality
from poolsite.devnet.state.sector_rows import PostedProof, posted_proofs_of
from poolsite.filecoin.actors.miner_proving import DisputeWindowedPoStParams
from poolsite.filecoin.address import id_address
from poolsite.filecoin.deadlines import is_available_for_dispute
from poolsite.filecoin.pledge import DISPUTE_REWARD
from poolsite.filecoin.proof_verifier import ProofVerifier
from poolsite.filecoin.randomness import Tag, miner_entropy

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.deadlines import DeadlineInfo

VALID_POST_GAS: Final = 126_900_000
"""Measured on a real node: what the verification of the doubted proof costs."""
WRONG_POST_GAS: Final = 158_000_000
"""Measured there: with the faults and the penalty of a proof that is wrong."""


def dispute_window_post(call: Call) -> bytes:
    """Handle DisputeWindowedPoSt: who shows that a proof is wrong gets a part of what it costs the miner."""
    params = call.read(DisputeWindowedPoStParams)
    caller = actor_get(call.draft, call.caller)
    if caller is None or caller.kind not in SENDER_KINDS:
        raise forbidden(f"caller f0{call.caller} is not one of supported")
    index = params.deadline
    if index >= call.network.proving.deadlines:
        raise bad_argument(f"invalid deadline {index} of {call.network.proving.deadlines}")
    reader, window = Reader(call.draft, call.receiver, call.network), call.network.dispute_window
    if not is_available_for_dispute(reader.deadline_at(index, call.epoch), dispute_window=window):
        raise forbidden(
            f"can only dispute window posts during the dispute window ({window} epochs after the challenge "
            "window closes)"
        )
    key = (index, params.post_index)
    row: PostedProof | None = call.draft.get(posted_proofs_of(call.receiver), key)
    if row is None:
        raise bad_argument(f"failed to load proof for dispute: proof {params.post_index} not found")
    editor = MinerStateEditor(call.machine, call.receiver)
    call.charge_to(VALID_POST_GAS)
    if not row.proof or _is_valid(call, editor, row):
        raise bad_argument("failed to dispute valid post")
    call.draft.delete(posted_proofs_of(editor.id), key)
    quality = _faults_record(editor, reader.deadline_at(index, call.epoch), row)
    _punish(call, editor, quality)
    call.charge_to(WRONG_POST_GAS)
    return b""


def _is_valid(call: Call, editor: MinerStateEditor, row: PostedProof) -> bool:
    randomness = call.machine.randomness.beacon(
        Tag.WINDOWED_POST_CHALLENGE_SEED, row.challenge, miner_entropy(id_address(editor.id))
    )
    return call.machine.proofs.is_proven(
        ProofVerifier.window_post,
        row.proof,
        post_proof=editor.miner.post_proof,
        randomness=randomness,
        miner_id=editor.id,
        sectors=list(row.sectors),
    )


def _faults_record(editor: MinerStateEditor, info: DeadlineInfo, row: PostedProof) -> int:
    """Make the sectors of a wrong proof faulty; gives the quality-adjusted power that it was about."""
    covered = {number for number, _ in row.sectors}
    closed = info.next_not_elapsed().last - info.params.period
    expiration = info.quantization.up(closed + editor.network.fault_max_age)
    for index in row.partitions:
        partition = editor.partition(info.index, index)
        if partition is None:
            continue
        lost = [number for number in partition.active if number in covered]
        raw, quality = editor.power(lost)
        editor.save_partition(info.index, index, faults_add(partition, lost, expiration=expiration))
        editor.power_change(-raw, -quality)
    return sum(sector_quality(sector, editor.miner.sector_size) for sector in editor.sectors(sorted(covered)))


def _punish(call: Call, editor: MinerStateEditor, quality: int) -> None:
    """Charge the penalty; the disputer's reward comes out of what the miner can pay, the rest burns."""
    penalty = economy(call.machine).dispute_penalty(quality) + DISPUTE_REWARD
    miner = replace(editor.miner, debt=editor.miner.debt + penalty)
    miner, paid = debt_payable(call.draft, editor.id, miner)
    editor.save(miner)
    reward = min(paid, DISPUTE_REWARD)
    pay(call.machine, editor.id, call.caller, reward)
    pay(call.machine, editor.id, BURNT, paid - reward)
