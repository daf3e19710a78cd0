"""Filecoin.Wallet* and Auth*: the node's own keys and tokens."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import actor_get, key_address, resolve
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.wallet import NoKey
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.jwt import BadToken
from poolsite.filecoin.keys import (
    KEY_TYPES,
    BadKey,
    KeyInfo,
    key_from_json,
    key_generate,
    key_sign,
    key_to_json,
)
from poolsite.filecoin.message import message_from_json, signed_message_to_json
from poolsite.filecoin.signature import (
    BadSignature,
    Signature,
    signature_from_json,
    signature_to_json,
    signature_verify,
)
from poolsite.filecoin.signing import message_sign
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, Param

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import Message

SIGNATURE: Final = Param("crypto.Signature", signature_from_json)


def _key_read(value: Any) -> KeyInfo:
    try:
        return key_from_json(value)
    except BadKey as error:
        raise BadParam(str(error)) from None


KEY_INFO: Final = Param("types.KeyInfo", _key_read)
MESSAGE: Final = Param("*types.Message", message_from_json)


def wallet_list(node: Devnet) -> Any:
    return [str(address) for address in node.wallet.addresses()]


def wallet_default(node: Devnet) -> Any:
    return str(node.wallet.default)


def wallet_has(node: Devnet, address: Address) -> Any:
    return node.wallet.has(_key_name(node, address))


def _key_name(node: Devnet, address: Address) -> Address:
    if address.protocol != ID:
        return address
    return key_address(node.state(), address.actor_id) or address


def _key(node: Devnet, address: Address) -> KeyInfo:
    try:
        return node.wallet.key(_key_name(node, address))
    except NoKey as error:
        raise RpcError(str(error)) from None


def wallet_balance(node: Devnet, address: Address) -> Any:
    state = node.state()
    actor_id = resolve(state, address)
    actor = None if actor_id is None else actor_get(state, actor_id)
    return str(0 if actor is None else actor.balance)


def wallet_new(node: Devnet, key_type: str) -> Any:
    if key_type not in KEY_TYPES:
        raise RpcError(f"unknown sig type: {key_type}")
    return str(node.wallet.add(key_generate(key_type)))


def wallet_import(node: Devnet, info: KeyInfo) -> Any:
    return str(node.wallet.add(info))


def wallet_export(node: Devnet, address: Address, _password: str = "") -> Any:
    return key_to_json(_key(node, address))


def wallet_delete(node: Devnet, address: Address) -> Any:
    try:
        node.wallet.delete(address)
    except NoKey as error:
        raise RpcError(str(error)) from None


def wallet_sign(node: Devnet, address: Address, data: bytes, _meta: Any = None) -> Any:
    return signature_to_json(key_sign(_key(node, address), data))


def wallet_sign_message(node: Devnet, address: Address, message: Message) -> Any:
    key = _key(node, address)
    return signed_message_to_json(message_sign(key, message, chain_id=node.network.eth_chain_id))


def wallet_verify(_node: Devnet, address: Address, data: bytes, signature: Signature) -> Any:
    try:
        signature_verify(signature, address, data)
    except BadSignature:
        return False
    return True


def wallet_validate(_node: Devnet, text: str) -> Any:
    try:
        return str(address_parse(text))
    except BadAddress as error:
        raise RpcError(str(error)) from None


def auth_verify(node: Devnet, token: str) -> Any:
    try:
        return node.access.allowed(token)
    except BadToken as error:
        raise RpcError(f"JWT Verification failed: {error}") from None


def auth_new(node: Devnet, perms: list[str]) -> Any:
    return base64.b64encode(node.access.token_new(perms).encode()).decode()


METHODS: Final = (
    Method("WalletList", "write", (), wallet_list),
    Method("WalletAddresses", "write", (), wallet_list),
    Method("WalletDefaultAddress", "write", (), wallet_default),
    Method("WalletHas", "write", (p.ADDRESS,), wallet_has),
    Method("WalletBalance", "read", (p.ADDRESS,), wallet_balance),
    Method("WalletNew", "write", (p.TEXT,), wallet_new),
    Method("WalletImport", "admin", (KEY_INFO,), wallet_import),
    Method("WalletExport", "admin", (p.ADDRESS, p.TEXT), wallet_export, optional=1),
    Method("WalletDelete", "admin", (p.ADDRESS,), wallet_delete),
    Method("WalletSign", "sign", (p.ADDRESS, p.BYTES, p.JSON), wallet_sign, optional=1),
    Method("WalletSignMessage", "sign", (p.ADDRESS, MESSAGE), wallet_sign_message),
    Method("WalletVerify", "read", (p.ADDRESS, p.BYTES, SIGNATURE), wallet_verify),
    Method("WalletValidateAddress", "read", (p.TEXT,), wallet_validate),
    Method("AuthVerify", "read", (p.TEXT,), auth_verify),
    Method("AuthNew", "admin", (p.list_param(p.TEXT),), auth_new),
)
