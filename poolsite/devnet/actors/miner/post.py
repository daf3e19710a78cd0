"""SubmitWindowedPoSt: partitions are proven, new sectors begin to count, recovering ones return.

Source: builtin-actors actors/miner/src/lib.rs submit_windowed_post, deadline_state.rs record_proven_sectors.
Real chains verify a proof at once only if it recovers power; this one verifies every proof unless it was born
with `verify_post` optimistic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, illegal_state, not_found, ranges
from poolsite.devnet.actors.miner.partitions import faults_add, faults_recover, numbers_difference
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open, numbers_of
from poolsite.devnet.profile import OPTIMISTIC
from poolsite.devnet.state.sector_rows import PostedProof, posted_proofs_of
from poolsite.filecoin.actors.miner_proving import SubmitWindowedPoStParams
from poolsite.filecoin.address import id_address
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.gas_model import window_post_gas
from poolsite.filecoin.proof_verifier import ProofVerifier
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.filecoin.sector import SIZE_NAMES, BadProofType, RegisteredPoStProof, post_proof

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.bitfield import BitField
    from poolsite.filecoin.deadlines import DeadlineInfo

MAX_RANDOMNESS_BYTES = 32
ALLOWED_PROOFS = tuple(proof for proof in RegisteredPoStProof if proof >= 10)
"""WindowPoSt types since network version 19."""


@dataclass(slots=True)
class Proven:
    """What a submission proves."""

    sectors: list[int]
    """Sectors that the proof covers."""
    new: int = 0
    recovered: int = 0
    skipped: int = 0
    raw: int = 0
    """Change of the miner's raw power."""
    quality: int = 0


def submit_window_post(call: Call) -> bytes:
    """Handle SubmitWindowedPoSt."""
    params: SubmitWindowedPoStParams = call.read(SubmitWindowedPoStParams)
    network = call.network
    if len(params.proofs) != 1:
        raise bad_argument(f"expected exactly one proof, got {len(params.proofs)}")
    _check_proof_type(params.proofs[0].post_proof)
    if params.deadline >= network.proving.deadlines:
        raise bad_argument(f"invalid deadline {params.deadline} of {network.proving.deadlines}")
    if len(params.chain_commit_rand) > MAX_RANDOMNESS_BYTES:
        raise bad_argument(
            f"expected at most {MAX_RANDOMNESS_BYTES} bytes of randomness, "
            f"got {len(params.chain_commit_rand)}"
        )
    editor = editor_open(call)
    info = _check_submission(call, editor, params)
    proven = _record(editor, params, info)
    if not proven.sectors:
        raise bad_argument("cannot prove partitions with no active sectors")
    cost = window_post_gas(
        len(params.partitions),
        proves_new=proven.new > 0,
        skips=proven.skipped > 0,
        recovers=proven.recovered > 0,
        sectors=len(proven.sectors),
    )
    call.charge_to(cost)
    proof = params.proofs[0].proof_bytes
    is_deferred = call.machine.profile.verify_post == OPTIMISTIC and not proven.recovered
    if not is_deferred:
        _verify(call, editor, proof, proven=proven, info=info)
    _submission_record(editor, info, params, proven=proven, proof=proof if is_deferred else b"")
    editor.power_change(proven.raw, proven.quality)
    return b""


def _check_proof_type(number: int) -> None:
    try:
        proof = post_proof(number)
    except BadProofType:
        raise bad_argument(f"proof type Invalid({number}) not allowed") from None
    if not proof.is_window or proof not in ALLOWED_PROOFS:
        raise bad_argument(f"proof type Invalid({number}) not allowed")


def _type_name(number: int) -> str:
    """Return the type as the real actor prints it, for example StackedDRGWindow2KiBV1P1."""
    proof = post_proof(number)
    return f"StackedDRGWindow{SIZE_NAMES[proof.sector_size]}V1P1"


def _check_submission(call: Call, editor: MinerStateEditor, params: SubmitWindowedPoStParams) -> DeadlineInfo:
    """Check against the miner's state and the chain, in the actor's order; return the open deadline."""
    miner, now = editor.miner, call.epoch
    if params.proofs[0].post_proof != miner.post_proof:
        expected, got = (_type_name(number) for number in (miner.post_proof, params.proofs[0].post_proof))
        raise bad_argument(f"expected proof of type {expected}, got {got}")
    limit = call.network.posted_partitions_max
    if len(params.partitions) > limit:
        raise bad_argument(f"too many partitions {len(params.partitions)}, limit {limit}")
    if not params.partitions:
        raise bad_argument("expected proof to be smaller than 0 bytes")
    info = editor.deadline_now(now)
    if not info.is_open:
        raise illegal_state(f"proving period {info.period_start} not yet open at {now}")
    if params.deadline != info.index:
        raise bad_argument(f"invalid deadline {params.deadline} at epoch {now}, expected {info.index}")
    if params.chain_commit_epoch < info.challenge:
        raise bad_argument(
            f"expected chain commit epoch {params.chain_commit_epoch} to be after {info.challenge}"
        )
    if params.chain_commit_epoch >= now:
        raise bad_argument(
            f"chain commit epoch {params.chain_commit_epoch} must be less than the current epoch {now}"
        )
    drawn = call.machine.randomness.tickets(Tag.POST_CHAIN_COMMIT, params.chain_commit_epoch, b"")
    if drawn != params.chain_commit_rand:
        raise bad_argument("post commit randomness mismatched")
    return info


def _record(editor: MinerStateEditor, params: SubmitWindowedPoStParams, info: DeadlineInfo) -> Proven:
    """Record what the partitions gain and lose; the call is undone if the proof then turns out wrong."""
    prefix = f"failed to process post submission for deadline {info.index}: "
    deadline = editor.deadline(info.index)
    indices = [post.index for post in params.partitions]
    if len(set(indices)) != len(indices):
        raise bad_argument(f"{prefix}duplicate partitions proven")
    again = sorted(set(indices) & set(deadline.posted))
    if again:
        raise bad_argument(f"{prefix}partition already proven: {ranges(bitfield_of(again))}")
    proven = Proven(sectors=[])
    for post in params.partitions:
        _record_partition(editor, info, index=post.index, skipped=post.skipped, proven=proven)
    editor.save_deadline(info.index, replace(deadline, posted=tuple(sorted((*deadline.posted, *indices)))))
    return proven


def _record_partition(
    editor: MinerStateEditor, info: DeadlineInfo, *, index: int, skipped: BitField, proven: Proven
) -> None:
    partition = editor.partition(info.index, index)
    if partition is None:
        raise not_found(
            f"failed to process post submission for deadline {info.index}: no such partition {index}"
        )
    skips = set(numbers_of(skipped))
    if not skips <= set(partition.sectors):
        raise bad_argument(
            f"failed to process post submission for deadline {info.index}: failed to add skipped faults to "
            f"partition {index}: skipped faults contains sectors outside partition"
        )
    counted = set(partition.active)
    lost = counted & skips
    skipped_new = (lost | (set(partition.unproven) & skips)) - set(partition.terminated)
    expiration = info.quantization.up(info.last + editor.network.fault_max_age)
    partition = faults_add(partition, skipped_new, expiration=expiration)
    partition = replace(partition, recoveries=numbers_difference(partition.recoveries, skips))
    recovered = partition.recoveries
    grid = info.quantization
    on_time: dict[int, int] = {
        sector.number: grid.up(sector.expiration) for sector in editor.sectors(recovered)
    }
    partition = faults_recover(partition, on_time)
    gained = (*recovered, *partition.unproven)
    proven.new += len(partition.unproven)
    partition = replace(partition, unproven=())
    editor.save_partition(info.index, index, partition)
    gain, loss = editor.power(gained), editor.power(sorted(lost))
    proven.raw += gain[0] - loss[0]
    proven.quality += gain[1] - loss[1]
    proven.recovered += len(recovered)
    proven.skipped += len(skips)
    proven.sectors.extend(partition.active)


def _verify(
    call: Call, editor: MinerStateEditor, proof: bytes, *, proven: Proven, info: DeadlineInfo
) -> None:
    """Check the proof over all sectors that it covers.  Raises ActorError 16."""
    entropy = miner_entropy(id_address(call.receiver))
    sectors = _covered(editor, proven)
    is_valid = call.machine.proofs.is_proven(
        ProofVerifier.window_post,
        proof,
        post_proof=editor.miner.post_proof,
        randomness=call.machine.randomness.beacon(Tag.WINDOWED_POST_CHALLENGE_SEED, info.challenge, entropy),
        miner_id=call.receiver,
        sectors=sectors,
    )
    if not is_valid:
        raise bad_argument("invalid post was submitted")


def _covered(editor: MinerStateEditor, proven: Proven) -> list[tuple[int, bytes]]:
    """Return (number, CommR) of the sectors that a proof covers."""
    return [(sector.number, sector.sealed_cid.digest) for sector in editor.sectors(sorted(proven.sectors))]


def _submission_record(
    editor: MinerStateEditor,
    info: DeadlineInfo,
    params: SubmitWindowedPoStParams,
    *,
    proven: Proven,
    proof: bytes,
) -> None:
    """Keep the proof until the next window closes, so that it may be disputed."""
    indices = tuple(sorted(post.index for post in params.partitions))
    if set(editor.deadline(info.index).posted) == set(indices):
        editor.proofs_forget(info.index)
    row = PostedProof(indices, info.challenge, proof, tuple(_covered(editor, proven)))
    editor.state.put(posted_proofs_of(editor.id), (info.index, len(editor.proofs_of(info.index))), row)
