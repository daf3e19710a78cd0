"""What a node without keys signs: `Filecoin.Wallet*` and blocks, by the pool's signers.

A tenant's program asks its node to sign, as it is used to; here the hub asks the signer that holds the key,
if the tenant was granted the sender.  An operator reaches the node's own wallet for addresses that nobody
was granted.  Source: filecoin-project/venus venus-shared/api/chain/v1 wallet.go, mining.go; lotus api.
"""

from __future__ import annotations

from typing import Any, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.node.proxy import ProxyMethod, node_call
from apps.messages.selectors.signature_checks import bytes_signature_check, message_signature_check
from apps.messages.services.senders import sender_other_note
from apps.users.selectors.grants import miner_granted, sender_known, signers_of
from apps.wallets.errors import SenderNotGranted
from apps.wallets.rules.limits import bytes_check, receiver_check, signer_check
from apps.wallets.selectors import sender_allowed
from apps.wallets.services.sign import bytes_sign, message_sign
from apps.wallets.services.sign_requests import META_MESSAGE
from poolsite.filecoin.address import Address, BadAddress, address_parse
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_json, signed_message_to_json
from poolsite.filecoin.signature import signature_to_json
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import ADDRESS, BYTES, OBJECT, Param, RpcMethod, params_decode

REQUESTED_BY: Final = "node interface"
SIGN: Final = RpcMethod("sign", ProxyMethod("WalletSign"), (ADDRESS, BYTES, OBJECT))
"""venus' form; lotus leaves the third parameter, what the bytes are, away."""


def wallet_sign(call: Call, *params: Json) -> Json:
    """Sign bytes.  Raises RpcError, SenderNotGranted, SignerAway, SignerRefused."""
    padded = [*params, {"Type": "unknown", "Extra": ""}] if len(params) == 2 else list(params)
    address, to_sign, meta = params_decode("Filecoin.WalletSign", SIGN, padded)
    extra, meta_type = BYTES.decode(meta.get("extra")), str(meta.get("type", ""))
    bytes_check(call.principal, address=str(address), to_sign=to_sign, meta_type=meta_type, extra=extra)
    bytes_signature_check(
        address=str(address),
        accounts=[call.principal.tenant_name],
        is_operator=call.principal.is_operator,
        to_sign=to_sign,
        meta_type=meta_type,
        extra=extra,
    )
    if node_holds(call, address):
        return node_call(call, "WalletSign", list(params))
    signature = bytes_sign(
        address=address,
        to_sign=to_sign,
        meta_type=meta_type,
        extra=extra,
        tenant_id=tenant_of(call),
        asked_by=REQUESTED_BY,
    )
    if meta_type == META_MESSAGE:
        sender_other_note(str(address))
    return signature_to_json(signature)


def wallet_sign_message(call: Call, *params: Json) -> Json:
    """Sign a message, as lotus does.  Raises as `wallet_sign`."""
    [address, _] = params_decode("Filecoin.WalletSignMessage", SIGN_MESSAGE, list(params))
    signer_check(call.principal, str(address))
    try:
        message = message_from_json(params[1])
    except (BadField, BadAddress) as error:
        raise RpcError(f"unmarshaling params for 'Filecoin.WalletSignMessage': {error}") from None
    receiver_check(call.principal, message)
    principal = call.principal
    message_signature_check(message, accounts=[principal.tenant_name], is_operator=principal.is_operator)
    if node_holds(call, address):
        return node_call(call, "WalletSignMessage", list(params))
    if message.from_ != address:
        raise RpcError(f"the message is from {message.from_}, not from {address}")
    signed = message_sign(message, tenant_id=tenant_of(call), asked_by=REQUESTED_BY)
    sender_other_note(str(address))
    return signed_message_to_json(signed)


def wallet_has(call: Call, *params: Json) -> Json:
    """Return whether something can be signed for an address."""
    [address] = params_decode("Filecoin.WalletHas", WALLET_HAS, list(params))
    if not call.principal.may_sign_with(str(address)):
        return False
    if node_holds(call, address):
        return node_call(call, "WalletHas", list(params))
    return call.principal.is_operator or sender_allowed(call.principal.tenant_id, str(address))


def wallet_list(call: Call, *params: Json) -> Any:
    """Return the addresses of which `wallet_has` is true; to an operator, those of the node's own wallet."""
    if call.principal.is_operator and not call.principal.is_partial:
        return node_call(call, "WalletList", list(params))
    granted = dict.fromkeys(row.address for row in signers_of(call.principal))
    return [address for address in granted if call.principal.may_see_signer(address)]


def wallet_default_address(call: Call, *params: Json) -> Json:
    """Return the first address of `wallet_list`; an operator's is the node's own.  Raises RpcError."""
    if call.principal.is_operator and not call.principal.is_partial:
        return node_call(call, "WalletDefaultAddress", list(params))
    addresses = wallet_list(call)
    if not addresses:
        raise RpcError("failed to get default key: key not found")
    return addresses[0]


def miner_create_block(call: Call, *params: Json) -> Json:
    """Make a block of the tenant's own miner at the node.  Raises RpcError."""
    [template] = params_decode("Filecoin.MinerCreateBlock", CREATE_BLOCK, list(params))
    principal = call.principal
    if principal.is_operator and not principal.miners:
        return node_call(call, "MinerCreateBlock", list(params))
    miner = miner_read(template.get("miner"))
    if not principal.may_mine(miner):
        raise RpcError(f"the token may not use the miner f0{miner}")
    if not principal.is_operator and not miner_granted(tenant_id=principal.own_id, actor_id=miner):
        raise RpcError(f"the miner f0{miner} does not belong to this account")
    return node_call(call, "MinerCreateBlock", list(params))


def miner_read(value: Json) -> int:
    """Read a miner's number.  Raises RpcError."""
    try:
        return address_parse(str(value)).actor_id
    except (BadAddress, ValueError) as error:
        raise RpcError(f"the template names no miner: {error}") from None


def node_holds(call: Call, address: Address) -> bool:
    """Return whether the node's own wallet is meant: an operator's, for an address that is nobody's here."""
    return call.principal.is_operator and not sender_known(address)


def tenant_of(call: Call) -> int | None:
    """Return whose grants count; the pool itself, for its operators, has all.  Raises SenderNotGranted."""
    if call.principal.is_operator:
        return None
    if call.principal.tenant_id is None:
        raise SenderNotGranted("")
    return call.principal.tenant_id


MESSAGE: Final = Param("*types.Message", OBJECT.decode)
SIGN_MESSAGE: Final = RpcMethod("sign", wallet_sign_message, (ADDRESS, MESSAGE))
WALLET_HAS: Final = RpcMethod("write", wallet_has, (ADDRESS,))
CREATE_BLOCK: Final = RpcMethod("write", miner_create_block, (OBJECT,))
HANDLERS: Final = {
    "WalletSign": wallet_sign,
    "WalletSignMessage": wallet_sign_message,
    "WalletHas": wallet_has,
    "WalletList": wallet_list,
    "WalletDefaultAddress": wallet_default_address,
    "MinerCreateBlock": miner_create_block,
}
"""By the name without its prefix."""
