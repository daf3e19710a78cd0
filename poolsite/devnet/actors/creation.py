"""CreateMiner: how a miner comes to be, by way of the init actor and the miner's constructor.

Source: builtin-actors actors/power/src/lib.rs create_miner, actors/miner/src/lib.rs constructor; FIP-0077.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import ActorError, bad_argument, forbidden, insufficient
from poolsite.devnet.actors.call import Frame
from poolsite.devnet.actors.codes import CODES
from poolsite.devnet.actors.frames import call_note, framed
from poolsite.devnet.actors.getters import economy_queries_note
from poolsite.devnet.actors.ledger import (
    INIT,
    KIND_ACCOUNT,
    KIND_MINER,
    POWER,
    actor_create,
    actor_get,
    key_address,
    resolve_existing,
    transfer,
)
from poolsite.devnet.actors.vesting import vesting_add
from poolsite.devnet.state.miner_rows import MINERS, BeneficiaryTerm, Miner
from poolsite.devnet.state.power_rows import CLAIMS, Claim, PowerState
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin.actors.account import Method as AccountMethod
from poolsite.filecoin.actors.init import ExecParams, ExecReturn
from poolsite.filecoin.actors.miner_control import ConstructorParams
from poolsite.filecoin.actors.power import CreateMinerParams, CreateMinerReturn
from poolsite.filecoin.address import (
    BLS,
    INIT_ACTOR,
    address_to_bytes,
    created_actor_address,
    id_address,
)
from poolsite.filecoin.cbor import bytes_write
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import current_deadline, proving_period_offset
from poolsite.filecoin.sector import BadProofType, post_proof

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address

MAX_PEER_ID_BYTES: Final = 128
EXEC_METHOD: Final = 2
CONSTRUCT_METHOD: Final = 1


def create_miner(call: Call) -> bytes:
    """Handle CreateMiner: the deposit is locked in the new miner and vests like a reward."""
    params: CreateMinerParams = call.read(CreateMinerParams)
    caller = actor_get(call.draft, call.caller)
    if caller is None or caller.kind not in (KIND_ACCOUNT, "multisig"):
        raise forbidden(f"caller f0{call.caller} is not one of supported")
    origin = key_address(call.draft, call.origin) or id_address(call.origin)
    robust = created_actor_address(origin, call.nonce, created_before=call.meter.created)
    call.meter.created += 1
    new_id = call.draft.get(SYSTEM, "init").next_id
    constructor = _constructor_params(params)
    exec_params = to_cbor(ExecParams(CODES[KIND_MINER], constructor))
    with _creation_frame(call, INIT_ACTOR, EXEC_METHOD, params=exec_params) as exec_frame:
        exec_frame.received(call.machine.draft, INIT)
        try:
            with _creation_frame(
                call, id_address(new_id), CONSTRUCT_METHOD, params=constructor
            ) as inner_frame:
                inner_frame.receiver = new_id
                owner, worker = _construct_check(call, params)
        except ActorError as error:
            raise _constructor_failed(error, new_id) from None
        exec_frame.returned = to_cbor(ExecReturn(id_address(new_id), robust))
    miner_id = actor_create(call.draft, kind=KIND_MINER, address=robust)
    inner_frame.received(call.machine.draft, miner_id)
    miner = miner_new(call, miner_id, owner=owner, worker=worker, params=params)
    call.draft.put(MINERS, miner_id, miner)
    call.draft.put(CLAIMS, miner_id, Claim(0, 0))
    transfer(call.draft, POWER, miner_id, call.value)
    state: PowerState = call.draft.get(SYSTEM, "power")
    call.draft.put(SYSTEM, "power", replace(state, miner_count=state.miner_count + 1))
    return to_cbor(CreateMinerReturn(id_address(miner_id), robust))


def _creation_frame(call: Call, to: Address, method: int, *, params: bytes) -> AbstractContextManager[Frame]:
    """Note one of the calls by which a miner is made; all carry the value on."""
    caller = call.machine.frame.receiver if call.machine.frame is not None else call.receiver
    return framed(call.machine, Frame(caller, to, call.value, method, params))


def _constructor_params(params: CreateMinerParams) -> bytes:
    constructor = ConstructorParams(
        params.owner, params.worker, (), params.window_post_proof_type, params.peer, params.multiaddrs
    )
    return to_cbor(constructor)


def _construct_check(call: Call, params: CreateMinerParams) -> tuple[int, int]:
    """Check as the miner's constructor does; return the ids of owner and worker.  Raises ActorError."""
    _proof_check(params)
    deposit = call.network.creation_deposit_read
    economy_queries_note(call.machine)
    if call.value < deposit:
        raise insufficient(
            "not enough balance to lock for create miner deposit: "
            f"sent balance {call.value} < deposit {deposit}"
        )
    if len(params.peer) > MAX_PEER_ID_BYTES:
        raise bad_argument(f"peer ID size of {len(params.peer)} exceeds maximum size of {MAX_PEER_ID_BYTES}")
    return _account(call, params.owner), _worker(call, params)


def _constructor_failed(error: ActorError, new_id: int) -> ActorError:
    """Return the refusal as the power actor passes it on."""
    aborted = f"send aborted with code {error.code}"
    return ActorError(
        error.code,
        aborted,
        frames=(
            (INIT, EXEC_METHOD, f"constructor failed: {aborted}"),
            (new_id, CONSTRUCT_METHOD, error.text),
        ),
    )


def miner_new(call: Call, miner_id: int, *, owner: int, worker: int, params: CreateMinerParams) -> Miner:
    """Return the state of a miner that was just constructed, its deposit locked."""
    from_epoch = call.epoch
    proof = post_proof(params.window_post_proof_type)
    miner = miner_blank(
        owner=owner,
        worker=worker,
        post_proof_type=int(proof),
        sector_size=proof.sector_size,
        partition_sectors=proof.partition_sectors,
    )
    offset = proving_period_offset(id_address(miner_id), from_epoch, call.network.proving)
    info = current_deadline(offset, from_epoch, call.network.proving)
    miner = replace(
        miner,
        peer=params.peer,
        multiaddrs=tuple(params.multiaddrs),
        period_start=info.period_start,
        deadline=info.index,
    )
    return vesting_add(miner, call.network.creation_deposit_read, now=from_epoch)


def miner_blank(
    *, owner: int, worker: int, post_proof_type: int, sector_size: int, partition_sectors: int
) -> Miner:
    """Return a miner without sectors, funds or times."""
    return Miner(
        owner=owner,
        worker=worker,
        control=(),
        new_worker=None,
        worker_change_epoch=-1,
        pending_owner=None,
        beneficiary=owner,
        term=BeneficiaryTerm(0, 0, 0),
        pending_beneficiary=None,
        peer=b"",
        multiaddrs=(),
        post_proof=post_proof_type,
        sector_size=sector_size,
        partition_sectors=partition_sectors,
        consensus_fault_elapsed=-1,
        deposits=0,
        locked=0,
        vesting=(),
        debt=0,
        pledge=0,
        period_start=0,
        deadline=0,
        cron_active=False,
        allocated=b"",
    )


def _account(call: Call, address: Address) -> int:
    actor_id = resolve_existing(call.draft, address)
    if actor_id is None:
        raise bad_argument(f"unable to resolve address: {address}")
    return actor_id


def _worker(call: Call, params: CreateMinerParams) -> int:
    """Return the worker's id; it must be an account with a BLS key, since it signs tickets."""
    actor_id = _account(call, params.worker)
    worker_check(call, actor_id)
    return actor_id


def worker_check(call: Call, actor_id: int) -> None:
    """Refuse a worker that is no BLS account.  Raises ActorError 16."""
    actor = actor_get(call.draft, actor_id)
    if actor is None or actor.kind != KIND_ACCOUNT or actor.address is None:
        raise bad_argument(f"worker actor type must be an account, was {actor and actor.kind}")
    if actor.address.protocol != BLS:
        raise bad_argument(f"worker account {actor_id} must have BLS pubkey, was {actor.address.protocol}")
    call_note(
        call.machine,
        id_address(actor_id),
        AccountMethod.PUBKEY_ADDRESS,
        returned=bytes_write(address_to_bytes(actor.address)),
    )


def _proof_check(params: CreateMinerParams) -> None:
    number = params.window_post_proof_type
    try:
        proof = post_proof(number)
    except BadProofType:
        raise bad_argument(f"proof type {number} not allowed for new miner actors") from None
    if not proof.is_window or int(proof) < 10:
        raise bad_argument(f"proof type {number} not allowed for new miner actors")
