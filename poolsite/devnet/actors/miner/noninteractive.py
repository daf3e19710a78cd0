"""ProveCommitSectorsNI: sectors are committed and proven in one message, without a seed from the chain.

Source: builtin-actors actors/miner/src/lib.rs prove_commit_sectors_ni, validate_ni_sectors; FIP-0092.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import ILLEGAL_ARGUMENT, bad_argument, fil, forbidden, insufficient
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.miner.assignment import deadline_fill
from poolsite.devnet.actors.miner.enrol import cron_enrol
from poolsite.devnet.actors.miner.funds import debt_repay_wholly, unlocked
from poolsite.devnet.actors.miner.numbers import numbers_allocate
from poolsite.devnet.actors.miner.prove import SIMPLE_QA_POWER
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open
from poolsite.devnet.state.sector_rows import Sector
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectorsNIParams
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import COMMR_PREFIX
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import is_mutable
from poolsite.filecoin.expiration import BadExpiration, expiration_check
from poolsite.filecoin.gas_model import FAIL_STATE, prove_commit_ni_gas, verify_ni_gas
from poolsite.filecoin.noninteractive import LOOKBACK, MAX_SECTORS, SEED
from poolsite.filecoin.proof_verifier import ProofVerifier, ProvenSeal
from poolsite.filecoin.randomness import Tag, miner_entropy
from poolsite.filecoin.sector import MAX_SECTOR_NUMBER, BadProofType, RegisteredAggregationProof, seal_proof
from poolsite.filecoin.sha254 import sha254_zero

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.miner_sectors import SectorNIActivationInfo


def prove_commit_sectors_ni(call: Call) -> bytes:
    """Handle ProveCommitSectorsNI."""
    params: ProveCommitSectorsNIParams = call.read(ProveCommitSectorsNIParams)
    _check_count(len(params.sectors))
    editor = editor_open(call)
    _check_call(call, editor, params)
    codes = _codes(call, params)
    call.charge_to(FAIL_STATE + verify_ni_gas(len(params.sectors)))
    _verify(call, editor, params)
    valid = [info for info, code in zip(params.sectors, codes, strict=True) if not code]
    _activate(call, editor, params, valid=valid)
    call.charge_to(prove_commit_ni_gas(len(params.sectors)))
    failures = tuple(FailCode(at, code) for at, code in enumerate(codes) if code)
    return to_cbor(BatchReturn(len(valid), failures))


def _check_count(count: int) -> None:
    if count > MAX_SECTORS:
        raise bad_argument(f"too many sectors addressed, addressed {count} want <= {MAX_SECTORS}")
    if not count:
        raise bad_argument("too few sectors addressed, addressed 0 want >= 1")


def _check_call(call: Call, editor: MinerStateEditor, params: ProveCommitSectorsNIParams) -> None:
    """Check what does not look at the sectors, in the actor's order.  Raises ActorError 16, 18."""
    if params.proving_deadline >= call.network.proving.deadlines:
        raise bad_argument(f"proving deadline index {params.proving_deadline} invalid")
    if not is_mutable(editor.deadline_at(params.proving_deadline, call.epoch)):
        raise forbidden(
            f"proving deadline {params.proving_deadline} must not be the current or next deadline "
        )
    if editor.miner.consensus_fault_elapsed >= call.epoch:
        raise forbidden("ProveCommitSectorsNI not allowed during active consensus fault")
    try:
        kind = seal_proof(params.seal_proof_type)
    except BadProofType as error:
        raise bad_argument(str(error)) from None
    if kind.is_interactive or kind not in call.network.seal_proofs:
        raise bad_argument(f"unsupported seal proof type {params.seal_proof_type}")
    if params.aggregate_proof_type != RegisteredAggregationProof.SNARK_PACK_V2:
        raise bad_argument("aggregate proof type must be SnarkPackV2")


def _codes(call: Call, params: ProveCommitSectorsNIParams) -> list[int]:
    """0 for each sector that may be committed.  Raises ActorError 16 if none may, or if all must."""
    seen: set[int] = set()
    codes = []
    for at, info in enumerate(params.sectors):
        is_valid = info.sector_number not in seen and _is_valid(call, info)
        seen.add(info.sector_number)
        if not is_valid and params.require_activation_success:
            raise bad_argument(f"invalid NI commit {at} while requiring activation success: {info}")
        codes.append(0 if is_valid else ILLEGAL_ARGUMENT)
    if all(codes):
        raise bad_argument("no valid NI commits specified")
    return codes


def _is_valid(call: Call, info: SectorNIActivationInfo) -> bool:
    try:
        expiration_check(info.expiration, activation=call.epoch, now=call.epoch, network=call.network)
    except BadExpiration:
        return False
    return (
        info.sector_number <= MAX_SECTOR_NUMBER
        and (info.sealer_id, info.sealing_number) == (call.receiver, info.sector_number)
        and info.sealed_cid.data.startswith(COMMR_PREFIX)
        and call.epoch - LOOKBACK <= info.seal_rand_epoch < call.epoch
    )


def _verify(call: Call, editor: MinerStateEditor, params: ProveCommitSectorsNIParams) -> None:
    """Check the proof of all sectors, those that are left out included.  Raises ActorError 16."""
    entropy = miner_entropy(id_address(call.receiver))
    comm_d = sha254_zero(editor.miner.sector_size)
    seals = [
        ProvenSeal(
            number=info.sealing_number,
            comm_r=info.sealed_cid.digest,
            comm_d=comm_d,
            ticket=call.machine.randomness.tickets(
                Tag.SEAL_RANDOMNESS, min(info.seal_rand_epoch, call.epoch - 1), entropy
            ),
            seed=SEED,
        )
        for info in params.sectors
    ]
    if not call.machine.proofs.is_proven(
        ProofVerifier.porep_aggregate,
        params.aggregate_proof,
        seal_proof=params.seal_proof_type,
        miner_id=call.receiver,
        sectors=seals,
    ):
        raise bad_argument("aggregate seal verify failed: invalid aggregate")


def _activate(
    call: Call,
    editor: MinerStateEditor,
    params: ProveCommitSectorsNIParams,
    *,
    valid: list[SectorNIActivationInfo],
) -> None:
    """Lock the pledge, use up the numbers, put the sectors into their deadline.  Raises ActorError 16, 19."""
    miner, money = editor.miner, economy(call.machine)
    pledge = money.initial_pledge(miner.sector_size)
    fee = money.daily_fee(miner.sector_size)
    total = pledge * len(valid)
    free = unlocked(miner, editor.balance)
    if free < total:
        raise insufficient(
            f"insufficient funds for aggregate initial pledge requirement {fil(total)}, "
            f"available: {fil(free)}"
        )
    numbers = [info.sector_number for info in params.sectors if info.sector_number <= MAX_SECTOR_NUMBER]
    editor.change(allocated=numbers_allocate(miner.allocated, numbers))
    sectors = [
        Sector(
            number=info.sector_number,
            seal_proof=params.seal_proof_type,
            sealed_cid=info.sealed_cid,
            activation=call.epoch,
            expiration=info.expiration,
            deal_weight=0,
            verified_weight=0,
            pledge=pledge,
            power_base_epoch=call.epoch,
            flags=SIMPLE_QA_POWER,
            daily_fee=fee,
            sector_key=None,
            deadline=0,
            partition=0,
        )
        for info in valid
    ]
    deadline_fill(editor, params.proving_deadline, sectors, call.epoch)
    editor.change(pledge=miner.pledge + total)
    editor.save(debt_repay_wholly(call.machine, editor.id, editor.miner))
    editor.pledge_change(total)
    if not miner.cron_active:
        cron_enrol(editor, call.epoch)
