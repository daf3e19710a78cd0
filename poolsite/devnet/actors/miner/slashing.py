"""ReportConsensusFault: a miner that signed two blocks that exclude each other pays and is barred.

Source: lotus chain/vm/fvm.go VerifyConsensusFault; builtin-actors actors/miner/src/lib.rs
report_consensus_fault.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden
from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.ledger import KIND_ACCOUNT, actor_get, key_address
from poolsite.devnet.actors.miner.funds import available, penalty_apply
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin.actors.miner_proving import ReportConsensusFaultParams
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.gas_model import FAIL_STATE, VERIFY_CONSENSUS_FAULT
from poolsite.filecoin.pledge import EXPECTED_LEADERS, consensus_fault_penalty
from poolsite.filecoin.signature import BadSignature, signature_verify

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.power_rows import RewardState

REPORTER_SHARE: Final = 4
"""The reporter gets a quarter of one win's reward."""


def report_consensus_fault(call: Call) -> bytes:
    """Handle ReportConsensusFault."""
    params = call.read(ReportConsensusFaultParams)
    reporter = actor_get(call.draft, call.caller)
    if reporter is None or reporter.kind != KIND_ACCOUNT:
        raise forbidden(f"caller f0{call.caller} is not one of supported")
    call.charge_to(FAIL_STATE + VERIFY_CONSENSUS_FAULT)
    first, second = (_header(data) for data in (params.block_header1, params.block_header2))
    extra = _header(params.block_header_extra) if params.block_header_extra else None
    editor = MinerStateEditor(call.machine, call.receiver)
    _fault_check(call, editor, first, second, extra=extra)
    miner = editor.miner
    if second.height < miner.consensus_fault_elapsed:
        raise forbidden(
            f"fault epoch {second.height} is too old, last exclusion period ended at "
            f"{miner.consensus_fault_elapsed}"
        )
    _punish(call, editor)
    return b""


def _header(data: bytes) -> BlockHeader:
    try:
        return from_cbor(BlockHeader, data)
    except BadCbor as error:
        raise bad_argument(f"fault not verified: cannot decode a block header: {error}") from None


def _fault_check(
    call: Call,
    editor: MinerStateEditor,
    first: BlockHeader,
    second: BlockHeader,
    *,
    extra: BlockHeader | None,
) -> None:
    """Refuse what is no fault of this miner.  Raises ActorError 16."""
    if first.cid == second.cid or first.miner != second.miner or first.height > second.height:
        raise bad_argument("fault not verified: no consensus fault: the blocks do not exclude each other")
    if first.miner.actor_id != call.receiver:
        raise bad_argument(f"fault by {first.miner} reported to miner f0{call.receiver}")
    if second.height > call.epoch:
        raise bad_argument(f"invalid fault epoch {second.height} ahead of current {call.epoch}")
    is_double = first.height == second.height
    is_time_offset = first.parents == second.parents and first.height != second.height
    is_grinding = (
        extra is not None
        and extra.height == first.height
        and extra.parents == first.parents
        and extra.cid in second.parents
        and first.cid not in second.parents
    )
    if not (is_double or is_time_offset or is_grinding):
        raise bad_argument("fault not verified: no consensus fault: the blocks do not exclude each other")
    for header in (first, second):
        _signature_check(call, editor, header)


def _signature_check(call: Call, editor: MinerStateEditor, header: BlockHeader) -> None:
    worker = key_address(call.draft, editor.miner.worker)
    if header.block_sig is None or worker is None:
        raise bad_argument("fault not verified: no consensus fault: a block has no signature")
    try:
        signature_verify(header.block_sig, worker, header.signing_bytes)
    except BadSignature as error:
        raise bad_argument(f"fault not verified: no consensus fault: {error}") from None


def _punish(call: Call, editor: MinerStateEditor) -> None:
    """Charge the penalty, reward the reporter out of it, and bar the miner for a finality."""
    reward: RewardState = call.draft.get(SYSTEM, "reward")
    penalty = consensus_fault_penalty(reward.epoch_reward)
    share = min(
        reward.epoch_reward // EXPECTED_LEADERS // REPORTER_SHARE,
        penalty,
        max(available(editor.miner, editor.balance), 0),
    )
    pay(call.machine, editor.id, call.caller, share)
    miner = penalty_apply(call.machine, editor.id, editor.miner, penalty - share)
    miner = replace(miner, consensus_fault_elapsed=call.epoch + call.network.chain_finality)
    editor.save(vesting_unlock(miner, now=call.epoch))
