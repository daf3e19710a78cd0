"""Filecoin.GasEstimate*: what a message will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.estimation import ExecutionFailed, Spec, UnknownSender
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import EXECUTION_REVERTED, OUT_OF_GAS
from poolsite.devnet.rpc.forms import tipset_get
from poolsite.filecoin.actors.exitcodes import exit_code_name
from poolsite.filecoin.message import message_from_json, message_to_json
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, Param

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import Message
    from poolsite.filecoin.tipset import Tipset

Key = tuple["Cid", ...]


def _spec_read(value: Any) -> Spec:
    """MessageSendSpec of lotus or venus."""
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type types.MessageSendSpec")
    return Spec(
        max_fee=p.BIG.decode(value.get("MaxFee")),
        over_estimation=float(value.get("GasOverEstimation") or 0),
        over_premium=float(value.get("GasOverPremium") or 0),
        maximize_fee_cap=bool(value.get("MaximizeFeeCap")),
        uuid=str(value.get("MsgUuid") or ""),
    )


def _estimate_read(value: Any) -> tuple[Message, Spec]:
    if not isinstance(value, dict) or not isinstance(value.get("Msg"), dict):
        raise BadParam("json: cannot unmarshal into Go value of type types.EstimateMessage")
    spec = value.get("Spec")
    return message_from_json(value["Msg"]), _spec_read(spec) if spec else Spec()


MAX_BLOCKS: Final = 2880
"""Farthest look ahead of a fee cap."""
MESSAGE: Final = Param("*types.Message", message_from_json)
SPEC: Final = Param("*types.MessageSendSpec", _spec_read)
ESTIMATE: Final = Param("*types.EstimateMessage", _estimate_read)


def refusal(error: ExecutionFailed | UnknownSender) -> RpcError:
    """Lotus' answer to a message that cannot be estimated."""
    if isinstance(error, UnknownSender):
        return RpcError(f"gas estimation failed: CallWithGas failed: {error}: sender validation failed")
    code = error.applied.receipt.exit_code
    if code == 7:  # SysErrOutOfGas
        return RpcError("call ran out of gas", code=OUT_OF_GAS)
    text = f"message execution failed (exit=[{exit_code_name(code)}], vm error=[{error.applied.error}])"
    return RpcError(text, code=EXECUTION_REVERTED, data="0x")


def message_gas(node: Devnet, message: Message, spec: Spec | None, tipset: Tipset) -> Message:
    """Fill in a message's gas.  Raises RpcError."""
    try:
        return node.estimator.message_gas(message, spec or Spec(), tipset)
    except (ExecutionFailed, UnknownSender) as error:
        raise refusal(error) from None


def gas_estimate_message_gas(node: Devnet, message: Message, spec: Spec | None, key: Key) -> Any:
    return message_to_json(message_gas(node, message, spec, tipset_get(node, key)))


def gas_batch_estimate(node: Devnet, batch: list[tuple[Message, Spec]], first_nonce: int, key: Key) -> Any:
    """Estimate messages of one sender in a row; each sees those before it that succeeded."""
    tipset = tipset_get(node, key)
    prior: list[Message] = []
    results: list[dict[str, Any]] = []
    for message, spec in batch:
        try:
            filled = node.estimator.message_gas(message, spec, tipset, prior=prior)
        except (ExecutionFailed, UnknownSender) as error:
            results.append({"Msg": None, "Err": refusal(error).message})
            continue
        prior.append(filled)
        results.append({"Msg": message_to_json(filled), "Err": ""})
    del first_nonce
    return results


def gas_estimate_gas_limit(node: Devnet, message: Message, key: Key) -> Any:
    try:
        return node.estimator.gas_limit(message, tipset_get(node, key))
    except (ExecutionFailed, UnknownSender) as error:
        raise refusal(error) from None


def gas_estimate_premium(node: Devnet, blocks: int, _sender: Address, _limit: int, key: Key) -> Any:
    return str(node.estimator.premium(blocks, tipset_get(node, key)))


def gas_estimate_fee_cap(node: Devnet, message: Message, blocks: int, _key: Key) -> Any:
    if not 0 <= blocks <= MAX_BLOCKS:
        raise RpcError(f"cannot look {blocks} epochs ahead")
    return str(node.estimator.fee_cap(message.gas_premium, blocks=blocks))


METHODS: Final = (
    Method(
        "GasEstimateMessageGas",
        "read",
        (MESSAGE, p.optional(SPEC), p.TIPSET_KEY),
        gas_estimate_message_gas,
        slow=True,
    ),
    Method(
        "GasBatchEstimateMessageGas",
        "read",
        (p.list_param(ESTIMATE), p.UINT, p.TIPSET_KEY),
        gas_batch_estimate,
        slow=True,
    ),
    Method("GasEstimateGasLimit", "read", (MESSAGE, p.TIPSET_KEY), gas_estimate_gas_limit, slow=True),
    Method(
        "GasEstimateGasPremium",
        "read",
        (p.UINT, p.ADDRESS, p.INT, p.TIPSET_KEY),
        gas_estimate_premium,
        slow=True,
    ),
    Method("GasEstimateFeeCap", "read", (MESSAGE, p.INT, p.TIPSET_KEY), gas_estimate_fee_cap),
)
