"""The init actor: Exec makes multisigs.  Source: builtin-actors actors/init/src/lib.rs exec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors import multisig
from poolsite.devnet.actors.actor_errors import forbidden
from poolsite.devnet.actors.call import Frame
from poolsite.devnet.actors.codes import KIND_BY_CODE
from poolsite.devnet.actors.creation import CONSTRUCT_METHOD
from poolsite.devnet.actors.frames import framed
from poolsite.devnet.actors.ledger import (
    INIT,
    KIND_MULTISIG,
    actor_create,
    key_address,
    transfer,
)
from poolsite.filecoin.actors.init import ExecParams, ExecReturn
from poolsite.filecoin.address import created_actor_address, id_address
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def exec_actor(call: Call) -> bytes:
    """Handle Exec."""
    params = call.read(ExecParams)
    if KIND_BY_CODE.get(params.code_cid) != KIND_MULTISIG:
        raise forbidden("called type storage cannot be instantiated by this caller")
    origin = key_address(call.draft, call.origin) or id_address(call.origin)
    robust = created_actor_address(origin, call.nonce, created_before=call.meter.created)
    call.meter.created += 1
    actor_id = actor_create(call.draft, kind=KIND_MULTISIG, address=robust)
    machine = call.machine
    making = Frame(INIT, id_address(actor_id), call.value, CONSTRUCT_METHOD, params.constructor_params)
    making.received(machine.draft, actor_id)
    with framed(machine, making):
        multisig.construct(call, actor_id, params.constructor_params)
    transfer(call.draft, INIT, actor_id, call.value)
    return to_cbor(ExecReturn(id_address(actor_id), robust))
