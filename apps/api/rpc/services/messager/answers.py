"""The messager's JSON: how its rows are written, member by member.

Source: filecoin-project/venus venus-shared/types/messager/{message,address,spec,actor_cfg,node}.go.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from apps.messages.states import SENDER_WIRE_CODES, WIRE_CODES, MessageState
from poolsite.filecoin.message import signed_message_from_cbor

if TYPE_CHECKING:
    from apps.messages.models import ActorRules, ExtraNode, FeeRules, Message, Sender, SharedRules

EXIT_UNKNOWN: Final = -1
"""Exit code of a receipt that is not there yet."""


def time_text(value: datetime) -> str:
    """Write RFC 3339 in UTC as Go does: no zeros at the end of the fraction."""
    # By hand: strftime takes ten times as long.
    words, _, fraction = value.replace(tzinfo=None).isoformat().partition(".")
    fraction = fraction.rstrip("0")
    return f"{words}.{fraction}Z" if fraction else f"{words}Z"


def _link(text_: str) -> dict[str, str] | None:
    return {"/": text_} if text_ else None


def _base64(data: bytes) -> str | None:
    return base64.b64encode(data).decode() if data else None


def message_json(row: Message, *, head_height: int) -> dict[str, Any]:
    """Return a message flat, in the messager's order.

    A message that another one displaced carries the tipset of that one, by which callers count its depth, but
    no receipt: it was not carried out.
    """
    signature = None
    if row.signed:
        found = signed_message_from_cbor(bytes(row.signed)).signature
        signature = {"Type": found.type, "Data": _base64(found.data)}
    is_on_chain = row.state in (MessageState.LANDED, MessageState.REPLACED) and bool(row.tipset_key)
    return {
        "ID": row.push_id,
        "UnsignedCid": _link(row.unsigned_cid),
        "SignedCid": _link(row.cid),
        "Version": 0,
        "To": row.to,
        "From": row.from_addr,
        "Nonce": row.nonce or 0,
        "Value": str(row.value),
        "GasLimit": row.gas_limit,
        "GasFeeCap": str(row.gas_fee_cap),
        "GasPremium": str(row.gas_premium),
        "Method": row.method,
        "Params": _base64(bytes(row.params)),
        "Signature": signature,
        "Height": row.height,
        "Confidence": max(head_height - row.height, 0) if is_on_chain else 0,
        "Receipt": {
            "ExitCode": row.exit_code if is_on_chain else EXIT_UNKNOWN,
            "Return": _base64(bytes(row.return_data)),
            "GasUsed": row.gas_used,
            "EventsRoot": None,
        },
        "TipSetKey": [{"/": one} for one in row.tipset_key.split()],
        "Meta": {
            "expireEpoch": row.expire_epoch,
            "gasOverEstimation": row.gas_over_estimation,
            "maxFee": str(row.max_fee),
            "gasOverPremium": row.gas_over_premium,
        },
        "WalletName": row.tenant.name if row.tenant else row.pushed_by,
        "State": WIRE_CODES[row.state],
        "ErrorMsg": row.error,
        "CreatedAt": time_text(row.created_at),
        "UpdatedAt": time_text(row.updated_at),
    }


def _fee_json(row: FeeRules) -> dict[str, Any]:
    return {
        "gasOverEstimation": row.gas_over_estimation,
        "maxFee": str(row.max_fee),
        "gasFeeCap": str(row.gas_fee_cap),
        "gasOverPremium": row.gas_over_premium,
        "baseFee": str(row.base_fee),
    }


def sender_json(row: Sender) -> dict[str, Any]:
    """Return an Address as JSON."""
    return {
        "id": str(row.uuid),
        "addr": row.address,
        "nonce": row.next_nonce,
        "weight": 0,
        "state": SENDER_WIRE_CODES[row.state],
        "selMsgNum": row.quota,
        **_fee_json(row),
        "isDeleted": -1,
        "createAt": time_text(row.created_at),
        "updateAt": time_text(row.updated_at),
    }


def shared_json(row: SharedRules) -> dict[str, Any]:
    """Return a SharedSpec as JSON."""
    return {"id": 1, "selMsgNum": row.quota, **_fee_json(row)}


def actor_cfg_json(row: ActorRules) -> dict[str, Any]:
    """Return an ActorCfg as JSON."""
    return {
        "id": str(row.pk),
        "version": row.actor_version,
        "code": _link(row.code),
        "method": row.method,
        **_fee_json(row),
        "createAt": time_text(row.created_at),
        "updateAt": time_text(row.updated_at),
    }


def node_json(row: ExtraNode) -> dict[str, Any]:
    """Return a Node as JSON."""
    return {
        "ID": str(row.pk),
        "Name": row.name,
        "URL": row.url,
        "Token": row.token,
        "Type": row.node_type,
        "CreatedAt": time_text(row.created_at),
        "UpdatedAt": time_text(row.updated_at),
    }
