"""StateCall and StateReplay: what running a message gives, in lotus' InvocResult."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poolsite.devnet.actors.exits import UNHANDLED
from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.consensus import tipset_execute
from poolsite.devnet.estimation import UnknownSender
from poolsite.devnet.execution import message_simulate
from poolsite.devnet.rpc.forms import actor_json
from poolsite.devnet.state.heads import actor_object
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.message import METHOD_SEND, message_to_json, receipt_to_json

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.block import Tipset
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import Message, Receipt

CALL_GAS = (1 << 62) - 1
"""Gas limit that lotus gives a call."""
NO_COST = {
    "Message": None,
    "GasUsed": "0",
    "BaseFeeBurn": "0",
    "OverEstimationBurn": "0",
    "MinerPenalty": "0",
    "MinerTip": "0",
    "Refund": "0",
    "TotalCost": "0",
}


def invocation_json(node: Devnet, message: Message, tipset: Tipset) -> dict[str, Any]:
    """Run a message on a tipset without pay.  Raises UnknownSender."""
    machine = node.estimator.machine_on(tipset)
    sender = resolve(machine.draft, message.from_)
    actor = None if sender is None else actor_get(machine.draft, sender)
    if sender is None or actor is None:
        raise UnknownSender(message.from_)
    called = replace(message, nonce=actor.nonce, gas_limit=CALL_GAS)
    receipt, error, receiver = message_simulate(machine, called, from_id=sender)
    state = machine.draft.base
    invoked = None
    if receiver is not None and actor_get(state, receiver) is not None:
        invoked = {"Id": receiver, "State": actor_json(state, receiver)}
    return {
        "MsgCid": cid_to_json(called.cid),
        "Msg": message_to_json(called),
        "MsgRct": receipt_to_json(receipt),
        "GasCost": NO_COST,
        "ExecutionTrace": trace_json(called, receipt, state=state, sender=sender, invoked=invoked),
        "Error": error,
        "Duration": 0,
    }


def replay_json(node: Devnet, tipset: Tipset, cid: Cid) -> dict[str, Any] | None:
    """Execute a tipset again; what became of one of its messages, None if it is not there."""
    executed = tipset_execute(node.chain, tipset, node.rules)
    if cid not in executed.cids:
        return None
    applied = executed.applied[executed.cids.index(cid)]
    signed = node.chain.message(cid)
    sender = None if signed is None else resolve(executed.state, signed.message.from_)
    if signed is None or sender is None:
        return None
    message, outputs = signed.message, applied.outputs
    invoked = None
    if applied.receiver is not None:
        invoked = {"Id": applied.receiver, "State": actor_json(executed.state, applied.receiver)}
    total = message.required_funds - outputs.refund
    return {
        "MsgCid": cid_to_json(cid),
        "Msg": message_to_json(message),
        "MsgRct": receipt_to_json(applied.receipt),
        "GasCost": {
            "Message": cid_to_json(message.cid),
            "GasUsed": str(applied.receipt.gas_used),
            "BaseFeeBurn": str(outputs.base_fee_burn),
            "OverEstimationBurn": str(outputs.over_estimation_burn),
            "MinerPenalty": str(outputs.miner_penalty),
            "MinerTip": str(outputs.miner_tip),
            "Refund": str(outputs.refund),
            "TotalCost": str(total),
        },
        "ExecutionTrace": trace_json(
            message, applied.receipt, state=executed.state, sender=sender, invoked=invoked
        ),
        "Error": applied.error,
        "Duration": 0,
    }


def trace_json(
    message: Message, receipt: Receipt, *, state: State, sender: int, invoked: dict[str, Any] | None
) -> dict[str, Any]:
    """The trace of the outermost call; inner calls and charges are not recorded."""
    returned = receipt.return_
    return {
        "Msg": {
            "From": str(id_address(sender)),
            "To": str(message.to),
            "Value": str(message.value),
            "Method": message.method,
            "Params": base64.b64encode(message.params).decode() if message.params else None,
            "ParamsCodec": 81 if message.params else 0,
            "GasLimit": message.gas_limit,
            "ReadOnly": False,
        },
        "MsgRct": {
            "ExitCode": receipt.exit_code,
            "Return": base64.b64encode(returned).decode() if returned else None,
            "ReturnCodec": 81 if returned else 0,
        },
        "InvokedActor": invoked,
        "GasCharges": [],
        "Subcalls": None,
    } | _reads_json(state, message, receipt, invoked=invoked)


def _reads_json(
    state: State, message: Message, receipt: Receipt, *, invoked: dict[str, Any] | None
) -> dict[str, Any]:
    """The actor's own state, which a method of it reads first; lotus leaves the member out without any."""
    if invoked is None or message.method == METHOD_SEND or receipt.exit_code == UNHANDLED:
        return {}
    size = len(actor_object(state, invoked["Id"]))
    return {"IpldOps": [{"Op": "Get", "Cid": invoked["State"]["Head"], "Size": size}]}
