"""ProveCommitSectors3: each sector's seal is verified, its deposit becomes pledge, it gets its deadline.

Source: builtin-actors actors/miner/src/lib.rs prove_commit_sectors3, activate_new_sector_infos.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import (
    ILLEGAL_ARGUMENT,
    bad_argument,
    fil,
    forbidden,
    insufficient,
    not_found,
)
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.miner.assignment import sectors_assign
from poolsite.devnet.actors.miner.funds import available, debt_repay_wholly
from poolsite.devnet.actors.miner.notifications import pieces_notify
from poolsite.devnet.actors.miner.pieces import pieces_commitment
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open
from poolsite.devnet.actors.miner.verified_data import allocations_claim
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.devnet.state.sector_rows import PreCommit, Sector, precommits_of
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectors3Params, SectorActivationManifest
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.gas_model import FAIL_STATE, VERIFY_SEAL, prove_commit_gas, verify_aggregate_gas
from poolsite.filecoin.power import quality_power
from poolsite.filecoin.proof_verifier import ProofVerifier, ProvenSeal
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.filecoin.sector import SIZE_32GIB
from poolsite.filecoin.sha254 import sha254_zero

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.cids import Cid

SIMPLE_QA_POWER: Final = 1
"""Flag of every new sector: its quality does not change with time."""
MIN_AGGREGATED: Final = 4
MAX_AGGREGATED: Final = 819


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sector to prove, with what its proof must be about."""

    manifest: SectorActivationManifest
    precommit: PreCommit
    comm_d: bytes
    verified_size: int = 0


def prove_commit_sectors(call: Call) -> bytes:
    """Handle ProveCommitSectors3."""
    params: ProveCommitSectors3Params = call.read(ProveCommitSectors3Params)
    _check_shape(params)
    editor = editor_open(call)
    pending = len(call.draft.keys(precommits_of(editor.id)))
    precommits = _precommits_load(editor, params)
    codes: list[int] = [_precommit_code(call, row) for row in precommits]
    if any(codes) and params.require_activation_success:
        at = next(index for index, code in enumerate(codes) if code)
        number = precommits[at].number
        raise bad_argument(f"invalid pre-commit {at} while requiring activation success: sector {number}")
    if all(codes):
        raise bad_argument("no valid precommits specified")
    candidates = [
        _candidate(editor, manifest, row)
        for manifest, row in zip(params.sector_activations, precommits, strict=True)
    ]
    _verify(call, params, candidates, codes)
    proven = [candidate for candidate, code in zip(candidates, codes, strict=True) if not code]
    if not proven:
        raise bad_argument("no valid proofs specified")
    proven = _data_activate(call, params, candidates, codes)
    deadlines = _activate(call, editor, proven)
    notification_gas = pieces_notify(
        call,
        [(one.precommit.number, one.precommit.expiration, one.manifest.pieces) for one in proven],
        must_succeed=params.require_notification_success,
    )
    call.charge_to(
        notification_gas
        + prove_commit_gas(
            len(params.sector_activations),
            pending=pending,
            is_aggregate=bool(params.aggregate_proof),
            is_small=editor.miner.sector_size < SIZE_32GIB,
            deadlines=deadlines,
        )
    )
    failures = tuple(FailCode(index, code) for index, code in enumerate(codes) if code)
    return to_cbor(BatchReturn(len(proven), failures))


def _verification_gas(params: ProveCommitSectors3Params) -> int:
    if params.aggregate_proof:
        return verify_aggregate_gas(len(params.sector_activations))
    return VERIFY_SEAL * len(params.sector_activations)


def _check_shape(params: ProveCommitSectors3Params) -> None:
    count = len(params.sector_activations)
    if not count:
        raise bad_argument("no sectors to prove")
    if bool(params.sector_proofs) == bool(params.aggregate_proof):
        raise bad_argument("exactly one of sector proofs or aggregate proof must be non-empty")
    numbers = [manifest.sector_number for manifest in params.sector_activations]
    if len(set(numbers)) != count:
        raise bad_argument("duplicate sector number in activations")
    if params.sector_proofs:
        if params.aggregate_proof_type is not None:
            raise bad_argument("aggregate proof type must be null with batched proofs")
        if len(params.sector_proofs) != count:
            raise bad_argument(f"mismatched lengths: {count} activations, {len(params.sector_proofs)} proofs")
    elif params.aggregate_proof_type != 1:
        raise bad_argument("aggregate proof type must be SnarkPackV2")
    elif count < MIN_AGGREGATED:
        raise bad_argument(f"too few sectors addressed, addressed {count} want >= {MIN_AGGREGATED}")
    elif count > MAX_AGGREGATED:
        raise bad_argument(f"too many sectors addressed, addressed {count} want <= {MAX_AGGREGATED}")


def _precommits_load(editor: MinerStateEditor, params: ProveCommitSectors3Params) -> list[PreCommit]:
    rows = []
    for manifest in params.sector_activations:
        row = editor.precommit(manifest.sector_number)
        if row is None:
            raise not_found(f"loading precommits: sector {manifest.sector_number} not found")
        rows.append(row)
    return rows


def _precommit_code(call: Call, row: PreCommit) -> int:
    """0, or the exit code for which this sector is skipped.  Raises ActorError 18 if it is too early."""
    network = call.network
    if call.epoch <= row.epoch + network.pre_commit_challenge_delay:
        raise forbidden("too early to prove sector")
    if call.epoch > row.epoch + network.max_prove_commit_duration or row.deal_ids:
        return ILLEGAL_ARGUMENT
    return 0


def _candidate(editor: MinerStateEditor, manifest: SectorActivationManifest, row: PreCommit) -> Candidate:
    size = editor.miner.sector_size
    comm_d, computed = sha254_zero(size), None
    if manifest.pieces:
        comm_d = pieces_commitment(manifest.pieces, size)
        computed = commd_cid(comm_d)
    if row.unsealed_cid != computed:
        declared = f"CompactCommD({_some(row.unsealed_cid)})"
        raise bad_argument(
            f"unsealed CID does not match pieces for sector {row.number}, "
            f"computed Cid({computed or commd_cid(comm_d)}) declared {declared}"
        )
    return Candidate(manifest, row, comm_d)


def _some(cid: Cid | None) -> str:
    return "None" if cid is None else f"Some(Cid({cid}))"


def _verify(
    call: Call, params: ProveCommitSectors3Params, candidates: list[Candidate], codes: list[int]
) -> None:
    """Set the code of each sector whose proof is wrong.

    Raises ActorError 16 if all must hold and one does not, and for a wrong aggregate, which must prove the
    sectors that are skipped, too.
    """
    call.charge_to(FAIL_STATE + _verification_gas(params))
    seals = [_seal(call, candidate) for candidate in candidates]
    kind = candidates[0].precommit.seal_proof
    if params.aggregate_proof:
        if not call.machine.proofs.is_proven(
            ProofVerifier.porep_aggregate,
            params.aggregate_proof,
            seal_proof=kind,
            miner_id=call.receiver,
            sectors=seals,
        ):
            raise bad_argument("aggregate seal verify failed: invalid aggregate")
        return
    verdicts = []
    for candidate, seal, proof, code in zip(candidates, seals, params.sector_proofs, codes, strict=True):
        is_valid = not code and call.machine.proofs.is_proven(
            ProofVerifier.porep,
            proof,
            seal_proof=candidate.precommit.seal_proof,
            comm_r=seal.comm_r,
            comm_d=seal.comm_d,
            miner_id=call.receiver,
            sector_number=seal.number,
            ticket=seal.ticket,
            seed=seal.seed,
        )
        verdicts.append(is_valid)
    for index, is_valid in enumerate(verdicts):
        if not is_valid and not codes[index]:
            codes[index] = ILLEGAL_ARGUMENT
            if params.require_activation_success:
                text = ", ".join(str(verdict).lower() for verdict in verdicts)
                number = candidates[index].precommit.number
                raise bad_argument(
                    f"invalid proof for sector {number} while requiring activation success: [{text}]"
                )


def _seal(call: Call, candidate: Candidate) -> ProvenSeal:
    """Return what the proof of a sector must be about."""
    row, randomness = candidate.precommit, call.machine.randomness
    entropy = miner_entropy(id_address(call.receiver))
    seed_epoch = row.epoch + call.network.pre_commit_challenge_delay
    return ProvenSeal(
        number=row.number,
        comm_r=row.sealed_cid.digest,
        comm_d=candidate.comm_d,
        ticket=randomness.tickets(Tag.SEAL_RANDOMNESS, row.seal_rand_epoch, entropy),
        seed=randomness.beacon(Tag.INTERACTIVE_SEAL_CHALLENGE_SEED, seed_epoch, entropy),
    )


def _data_activate(
    call: Call, params: ProveCommitSectors3Params, candidates: list[Candidate], codes: list[int]
) -> list[Candidate]:
    """Claim the verified data of the proven sectors; a sector whose claims fail is skipped.

    Raises ActorError 16 if none is left, or if all must hold and one does not.
    """
    valid = [index for index in range(len(candidates)) if not codes[index]]
    proven = [candidates[index] for index in valid]
    sectors = [(one.precommit.number, one.precommit.expiration, one.manifest.pieces) for one in proven]
    sizes, failed = allocations_claim(call, sectors, must_succeed=params.require_activation_success)
    activated = []
    for at, index in enumerate(valid):
        if at in failed:
            codes[index] = failed[at]
        else:
            activated.append(replace(proven[at], verified_size=sizes[at]))
    if not activated:
        raise bad_argument("all data activations failed")
    return activated


def _activate(call: Call, editor: MinerStateEditor, proven: list[Candidate]) -> int:
    """Turn pre-commits into sectors; returns how many deadlines were touched.  Raises ActorError 19."""
    now = call.epoch
    miner = vesting_unlock(debt_repay_wholly(call.machine, editor.id, editor.miner), now=now)
    money = economy(call.machine)
    sectors = []
    deposits = pledges = 0
    for candidate in proven:
        row = candidate.precommit
        life = row.expiration - now
        data_size = sum(piece.size for piece in candidate.manifest.pieces)
        verified_weight = candidate.verified_size * life
        quality = quality_power(miner.sector_size, duration=life, verified_weight=verified_weight)
        pledge = money.initial_pledge(quality)
        deposits += row.deposit
        pledges += pledge
        sectors.append(
            Sector(
                number=row.number,
                seal_proof=row.seal_proof,
                sealed_cid=row.sealed_cid,
                activation=now,
                expiration=row.expiration,
                deal_weight=(data_size - candidate.verified_size) * life,
                verified_weight=verified_weight,
                pledge=pledge,
                power_base_epoch=now,
                flags=SIMPLE_QA_POWER,
                daily_fee=money.daily_fee(quality),
                sector_key=None,
                deadline=0,
                partition=0,
            )
        )
        call.draft.delete(precommits_of(editor.id), row.number)
    free = available(miner, editor.balance) + deposits
    if free < pledges:
        have, need = fil(free), fil(pledges)
        raise insufficient(
            f"insufficient funds for aggregate initial pledge requirement {need}, available: {have}"
        )
    editor.change(
        locked=miner.locked,
        vesting=miner.vesting,
        debt=miner.debt,
        deposits=miner.deposits - deposits,
        pledge=miner.pledge + pledges,
    )
    editor.pledge_change(pledges)
    return sectors_assign(editor, sectors, now)
