"""Filecoin.State* about the network and its actors; messages, miners and randomness have modules too."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.codes import CODES, KIND_BY_CODE
from poolsite.devnet.actors.economy import circulating_supply
from poolsite.devnet.actors.ledger import (
    BURNT,
    KIND_ACCOUNT,
    RESERVE,
    REWARD,
    VERIFREG_ROOT,
    actor_get,
    address_of,
    key_address,
    resolve,
    resolve_existing,
)
from poolsite.devnet.actors.verified.datacap import datacap_of
from poolsite.devnet.estimation import UnknownSender
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import ACTOR_NOT_FOUND
from poolsite.devnet.rpc.forms import actor_id_get, actor_json, state_get, tipset_get
from poolsite.devnet.rpc.invocation import compute_json, invocation_json, replay_json
from poolsite.devnet.rpc.message_search import message_unknown
from poolsite.devnet.search import UnknownMessage
from poolsite.devnet.state.rows import ACTORS, SYSTEM
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.decode import actor_kind, params_decode, params_encode
from poolsite.filecoin.address import ID, UNDEF, id_address
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_json
from poolsite.filecoin.network_params import network_to_params
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import Param

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.power_rows import PowerState
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import Message

Key = tuple["Cid", ...]
MESSAGE: Final = Param("*types.Message", message_from_json)
MESSAGES: Final = p.list_param(MESSAGE)


def state_network_name(node: Devnet) -> Any:
    return node.faults.settings.network_name or node.network.name


def state_network_version(node: Devnet, key: Key) -> Any:
    tipset_get(node, key)
    return node.network.network_version


def state_get_network_params(node: Devnet) -> Any:
    result = network_to_params(node.network, genesis_s=node.chain.genesis.tipset.min_timestamp)
    return result | {"NetworkName": state_network_name(node)}


def state_get_actor(node: Devnet, address: Address, key: Key) -> Any:
    state = state_get(node, key)
    return actor_json(state, actor_id_get(state, address))


def state_lookup_id(node: Devnet, address: Address, key: Key) -> Any:
    state = state_get(node, key)
    if address.protocol == ID:
        return str(address)
    actor_id = resolve(state, address)
    if actor_id is None:
        raise RpcError("actor not found", code=ACTOR_NOT_FOUND)
    return str(id_address(actor_id))


def state_account_key(node: Devnet, address: Address, key: Key) -> Any:
    state = state_get(node, key)
    if address.is_key:
        return str(address)
    actor_id = resolve_existing(state, address)
    if actor_id is None:
        raise RpcError(f"failed to find actor: {address}")
    found = key_address(state, actor_id)
    if found is not None:
        return str(found)
    actor = actor_get(state, actor_id)
    if actor is not None and actor.kind == KIND_ACCOUNT:
        return str(id_address(actor_id))
    raise RpcError(
        f"failed to get account actor state for {address}: actor code is not account: {actor and actor.kind}"
    )


def state_lookup_robust(node: Devnet, address: Address, key: Key) -> Any:
    if address.protocol != ID:
        raise RpcError("failed to decode provided address as id addr: cannot get id from non id address")
    state = state_get(node, key)
    actor_id = resolve_existing(state, address)
    robust = None if actor_id is None else address_of(state, actor_id)
    if robust is None or robust.protocol == ID:
        raise RpcError(f"Address {address} not found")
    return str(robust)


def state_list_actors(node: Devnet, key: Key) -> Any:
    return [str(id_address(actor_id)) for actor_id in state_get(node, key).keys(ACTORS)]


def state_actor_codes(_node: Devnet, _version: int) -> Any:
    return {kind: cid_to_json(code) for kind, code in CODES.items()}


def state_circulating(node: Devnet, key: Key) -> Any:
    return str(circulating_supply(state_get(node, key)))


def state_circulating_detail(node: Devnet, key: Key) -> Any:
    state = state_get(node, key)
    power: PowerState = state.get(SYSTEM, "power")
    reward = state.get(SYSTEM, "reward")
    balances = {actor_id: actor_get(state, actor_id) for actor_id in (BURNT, REWARD, RESERVE, VERIFREG_ROOT)}
    burnt = balances[BURNT]
    circulating = circulating_supply(state)
    return {
        "FilVested": str(circulating),
        "FilMined": str(reward.paid),
        "FilBurnt": str(burnt.balance if burnt else 0),
        "FilLocked": str(power.pledge),
        "FilCirculating": str(circulating),
        "FilReserveDisbursed": "0",
    }


def state_call(node: Devnet, message: Message, key: Key) -> Any:
    tipset = tipset_get(node, key)
    try:
        return invocation_json(node, message, tipset)
    except UnknownSender as error:
        raise RpcError(f"{error}: sender validation failed") from None


def state_decode_params(node: Devnet, to: Address, method: int, params: bytes, key: Key) -> Any:
    state = state_get(node, key)
    actor = actor_get(state, actor_id_get(state, to))
    kind = actor_kind(to, code_name="" if actor is None else actor.kind)
    try:
        return params_decode(kind, method, params)
    except KeyError:
        raise RpcError(f"unknown method {method} for actor {kind}") from None
    except BadCbor as error:
        raise RpcError(f"unmarshaling params: {error}") from None


def state_list_messages(node: Devnet, match: Any, key: Key, to_height: int) -> Any:
    """CIDs of messages between two parties, newest first; Go writes one that is not named as `<empty>`."""
    parties = match if isinstance(match, dict) else {}
    addresses = {name: p.ADDRESS.decode(parties.get(name) or "") for name in ("To", "From")}
    named = {name: address for name, address in addresses.items() if not address.is_undef}
    if not named:
        raise RpcError("must specify at least To or From in message filter")
    state = state_get(node, key)
    match_ids = {name: resolve(state, address) for name, address in named.items()}
    if None in match_ids.values():
        return None
    found = []
    for tipset in node.chain.ancestors(tipset_get(node, key)):
        if tipset.height < to_height:
            break
        for messages in node.chain.tipset_messages(tipset):
            for cid, signed in messages:
                ends = {"To": signed.message.to, "From": signed.message.from_}
                if all(resolve(state, ends[name]) == actor_id for name, actor_id in match_ids.items()):
                    found.append(cid_to_json(cid))
    return found or None


def state_encode_params(_node: Devnet, code: Cid, method: int, value: Any) -> Any:
    kind = actor_kind(UNDEF, code_name=KIND_BY_CODE.get(code, ""))
    try:
        return base64.b64encode(params_encode(kind, method, value)).decode()
    except KeyError:
        raise RpcError(f"unknown method {method} for actor {code}") from None
    except BadField as error:
        raise RpcError(f"json unmarshal: {error}") from None


def state_replay(node: Devnet, key: Key, cid: Cid) -> Any:
    """Execute a tipset again and show what became of one of its messages."""
    if key:
        tipset = tipset_get(node, key)
    else:
        try:
            found = node.search.find(cid, node.head.tipset)
        except UnknownMessage as error:
            raise RpcError(f"searching for msg {cid}: {message_unknown(error).message}") from None
        if found is None:
            raise RpcError(f"didn't find msg {cid} on-chain")
        tipset = found.included
    result = replay_json(node, tipset, cid)
    if result is None:
        raise RpcError("given message not found in tipset")
    return result


def state_compute(node: Devnet, epoch: int, messages: list[Message], key: Key) -> Any:
    """Execute a tipset again, and more messages after it."""
    try:
        return compute_json(node, tipset_get(node, key), messages, epoch=epoch)
    except UnknownSender as error:
        raise RpcError(str(error)) from None


def state_verified_status(node: Devnet, address: Address, key: Key) -> Any:
    """Return a client's data cap in bytes; null without any."""
    state = state_get(node, key)
    client = resolve(state, address)
    if client is None:
        raise RpcError("actor not found", code=ACTOR_NOT_FOUND)
    amount = datacap_of(state, client)
    return str(amount // DATACAP_PER_BYTE) if amount else None


def state_verifreg_root(_node: Devnet, _key: Key) -> Any:
    return str(id_address(VERIFREG_ROOT))


METHODS: Final = (
    Method("StateNetworkName", "read", (), state_network_name),
    Method("StateNetworkVersion", "read", (p.TIPSET_KEY,), state_network_version),
    Method("StateGetNetworkParams", "read", (), state_get_network_params),
    Method("StateGetActor", "read", (p.ADDRESS, p.TIPSET_KEY), state_get_actor),
    Method("StateLookupID", "read", (p.ADDRESS, p.TIPSET_KEY), state_lookup_id),
    Method("StateAccountKey", "read", (p.ADDRESS, p.TIPSET_KEY), state_account_key),
    Method("StateLookupRobustAddress", "read", (p.ADDRESS, p.TIPSET_KEY), state_lookup_robust),
    Method("StateListActors", "read", (p.TIPSET_KEY,), state_list_actors),
    Method("StateActorCodeCIDs", "read", (p.UINT,), state_actor_codes),
    Method("StateCirculatingSupply", "read", (p.TIPSET_KEY,), state_circulating),
    Method("StateVMCirculatingSupplyInternal", "read", (p.TIPSET_KEY,), state_circulating_detail),
    Method("StateCall", "read", (MESSAGE, p.TIPSET_KEY), state_call, slow=True),
    Method("StateDecodeParams", "read", (p.ADDRESS, p.UINT, p.BYTES, p.TIPSET_KEY), state_decode_params),
    Method("StateEncodeParams", "read", (p.CID, p.UINT, p.JSON), state_encode_params),
    Method("StateCompute", "read", (p.EPOCH, MESSAGES, p.TIPSET_KEY), state_compute, slow=True),
    Method("StateReplay", "read", (p.TIPSET_KEY, p.CID), state_replay, slow=True),
    Method("StateListMessages", "read", (p.JSON, p.TIPSET_KEY, p.EPOCH), state_list_messages, slow=True),
    Method("StateVerifiedClientStatus", "read", (p.ADDRESS, p.TIPSET_KEY), state_verified_status),
    Method("StateVerifiedRegistryRootKey", "read", (p.TIPSET_KEY,), state_verifreg_root),
)
