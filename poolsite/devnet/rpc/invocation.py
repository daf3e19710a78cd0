"""StateCall, StateReplay and StateCompute: what running messages gives, in lotus' InvocResult."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.actor_errors import OK, UNHANDLED
from poolsite.devnet.actors.call import Frame
from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.consensus import machine_at, tipset_execute
from poolsite.devnet.estimation import UnknownSender
from poolsite.devnet.execution import message_simulate
from poolsite.devnet.rpc.forms import actor_json
from poolsite.devnet.state.heads import actor_object
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.gas_estimates import inclusion_gas
from poolsite.filecoin.gas_model import VALUE_TO_SELF, VALUE_TRANSFER
from poolsite.filecoin.message import METHOD_SEND, Message, Receipt, message_to_json, receipt_to_json

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.consensus import Executed
    from poolsite.devnet.execution import Applied
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.tipset import Tipset

CALL_GAS: Final = (1 << 62) - 1
"""Gas limit that lotus gives a call."""
CALL_TRACE_GAS: Final = 9_223_372_036_854_776
"""Gas limit that traces of calls show: as much as the machine's thousandths of gas can hold."""
IMPLICIT_GAS: Final = 1 << 30
"""Gas limit of the messages that lotus makes for rewards and cron."""
CBOR_CODEC: Final = 0x51
"""Codec of parameters and of what is returned."""
ON_CHAIN_COMPUTE: Final = 38_863
"""Part of a message's inclusion that is computing; the rest is storage."""
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
    return _run_json(node.estimator.machine_on(tipset), message)


def _run_json(machine: Machine, message: Message) -> dict[str, Any]:
    sender = resolve(machine.draft, message.from_)
    actor = None if sender is None else actor_get(machine.draft, sender)
    if sender is None or actor is None:
        raise UnknownSender(message.from_)
    called = replace(message, nonce=actor.nonce, gas_limit=CALL_GAS)
    receipt, error, frame = message_simulate(machine, called, from_id=sender)
    trace = Tracer(machine.draft.base, CALL_TRACE_GAS).trace_json(frame)
    trace["GasCharges"] = charges_json(frame, inclusion=0, used=receipt.gas_used)
    return {
        "MsgCid": cid_to_json(called.cid),
        "Msg": message_to_json(called),
        "MsgRct": receipt_to_json(receipt),
        "GasCost": NO_COST,
        "ExecutionTrace": trace,
        "Error": error,
        "Duration": 0,
    }


def replay_json(node: Devnet, tipset: Tipset, cid: Cid) -> dict[str, Any] | None:
    """Execute a tipset again; what became of one of its messages, None if it is not there."""
    executed = tipset_execute(node.chain, tipset, node.rules)
    if cid not in executed.cids:
        return None
    return _applied_json(node, executed, executed.cids.index(cid))


def compute_json(node: Devnet, tipset: Tipset, messages: Sequence[Message], *, epoch: int) -> dict[str, Any]:
    """Execute a tipset again, then more messages at an epoch; the state's root, and what became of each.

    Raises UnknownSender.
    """
    executed = tipset_execute(node.chain, tipset, node.rules)
    traces = [_applied_json(node, executed, at) for at in range(len(executed.cids))]
    traces += [_implicit_json(executed, frame, tipset.height) for frame in executed.implicit]
    machine = machine_at(
        node.chain, tipset, executed.state, epoch=max(epoch, tipset.height), rules=node.rules
    )
    traces += [_run_json(machine, message) for message in messages]
    root = machine.draft.seal()[0].root() if messages else executed.state.root()
    return {"Root": cid_to_json(root), "Trace": [trace for trace in traces if trace]}


def _implicit_json(executed: Executed, frame: Frame, epoch: int) -> dict[str, Any]:
    """Return what became of a call of the chain itself, as the message that lotus makes for it."""
    message = Message(
        to=frame.to,
        from_=id_address(frame.caller),
        nonce=epoch,
        gas_limit=IMPLICIT_GAS,
        method=frame.method,
        params=frame.params,
    )
    return {
        "MsgCid": cid_to_json(message.cid),
        "Msg": message_to_json(message),
        "MsgRct": receipt_to_json(Receipt(frame.code, frame.returned, 0, None)),
        "GasCost": NO_COST,
        "ExecutionTrace": Tracer(executed.state, IMPLICIT_GAS).trace_json(frame),
        "Error": "",
        "Duration": 0,
    }


def _applied_json(node: Devnet, executed: Executed, at: int) -> dict[str, Any] | None:
    applied, cid = executed.applied[at], executed.cids[at]
    signed = node.chain.message(cid)
    if signed is None:
        return None
    message, outputs = signed.message, applied.outputs
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
        "ExecutionTrace": _trace_of(executed, applied, signed),
        "Error": applied.error,
        "Duration": 0,
    }


def _trace_of(executed: Executed, applied: Applied, signed: SignedMessage) -> dict[str, Any]:
    """Return the trace of a message; one that never ran has only itself in it."""
    message = signed.message
    inclusion = inclusion_gas(signed.chain_length)
    frame = applied.frame
    if frame is None:
        sender = resolve(executed.state, message.from_)
        frame = Frame(
            -1 if sender is None else sender, message.to, message.value, message.method, message.params
        )
        frame.code = applied.receipt.exit_code
    trace = Tracer(executed.state, max(message.gas_limit - inclusion, 0)).trace_json(frame)
    trace["GasCharges"] = charges_json(frame, inclusion=inclusion, used=applied.receipt.gas_used)
    return trace


def charges_json(frame: Frame, *, inclusion: int, used: int) -> list[dict[str, Any]]:
    """Return what the gas of a message was for; all that its actors took is in one item."""
    charges = [
        _charge("OnChainMessage" if inclusion else "none", ON_CHAIN_COMPUTE if inclusion else 0, inclusion)
    ]
    if frame.value:
        charges.append(_charge("OnValueTransfer", VALUE_TO_SELF, VALUE_TO_SELF))
        if frame.code == OK and frame.caller != frame.receiver:
            charges.append(_charge("OnActorUpdate", 0, VALUE_TRANSFER - VALUE_TO_SELF))
    uncharged = used - sum(charge["tg"] for charge in charges)
    if uncharged > 0:
        charges.append(_charge("OnMethodInvocation", uncharged, uncharged))
    return charges


def _charge(name: str, compute: int, total: int) -> dict[str, Any]:
    return {"Name": name, "tg": total, "cg": compute, "sg": total - compute, "tt": 0}


class Tracer:
    """Writes frames as lotus' execution traces."""

    def __init__(self, state: State, gas_limit: int) -> None:
        """`state`: where the actors' heads are read; `gas_limit`: what all calls of the message share."""
        self.state = state
        self.gas_limit = gas_limit

    def trace_json(self, frame: Frame) -> dict[str, Any]:
        """Return a call with those inside it; charges are known of the outermost only."""
        trace: dict[str, Any] = {
            "Msg": {
                "From": str(id_address(max(frame.caller, 0))),
                "To": str(frame.to),
                "Value": str(frame.value),
                "Method": frame.method,
                "Params": base64.b64encode(frame.params).decode() if frame.params else None,
                "ParamsCodec": CBOR_CODEC if frame.params else 0,
                "GasLimit": self.gas_limit,
                "ReadOnly": False,
            },
            "MsgRct": {
                "ExitCode": frame.code,
                "Return": base64.b64encode(frame.returned).decode() if frame.returned else None,
                "ReturnCodec": CBOR_CODEC if frame.returned else 0,
            },
            "InvokedActor": self._actor_json(frame),
            "GasCharges": [],
            "Subcalls": [self.trace_json(inner) for inner in frame.inner] or None,
        }
        return trace | self._reads_json(frame, trace["InvokedActor"])

    def _actor_json(self, frame: Frame) -> dict[str, Any] | None:
        """Return the actor with the balance and nonce that it had when it was called."""
        if frame.actor is None or actor_get(self.state, frame.receiver) is None:
            return None
        then = {"Nonce": frame.actor.nonce, "Balance": str(frame.actor.balance)}
        return {"Id": frame.receiver, "State": actor_json(self.state, frame.receiver) | then}

    def _reads_json(self, frame: Frame, invoked: dict[str, Any] | None) -> dict[str, Any]:
        """Return the actor's own state, which a method reads first; lotus leaves it out without any."""
        if invoked is None or frame.method == METHOD_SEND or frame.code == UNHANDLED:
            return {}
        size = len(actor_object(self.state, invoked["Id"]))
        return {"IpldOps": [{"Op": "Get", "Cid": invoked["State"]["Head"], "Size": size}]}
