"""JSON forms that several methods share, and how a tipset key or an actor is looked up for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolsite.devnet.actors.codes import CODES
from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.state.heads import actor_head
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.message import message_to_json, receipt_to_json
from poolsite.filecoin.tipset import Tipset, tipset_key_to_json, tipset_to_json
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.search import Lookup
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.message import SignedMessage


def tipset_get(node: Devnet, key: tuple[Cid, ...], *, prefix: str | None = None) -> Tipset:
    """Return the tipset of a key, the head for the empty one.  Raises RpcError with lotus' words."""
    try:
        return node.tipset(key)
    except NoTipset as error:
        named = "{" + ",".join(map(str, key)) + "}"
        head = f"loading tipset {named}: " if prefix is None else prefix
        raise RpcError(f"{head}get block {error.cid}: ipld: could not find {error.cid}") from None


def tipset_exact(node: Devnet, key: tuple[Cid, ...], *, prefix: str = "") -> Tipset:
    """Return the tipset of a key that must not be empty.  Raises RpcError."""
    if not key:
        raise RpcError(f"{prefix}NewTipSet called with zero length array of blocks")
    return tipset_get(node, key, prefix=prefix)


def state_get(node: Devnet, key: tuple[Cid, ...]) -> State:
    """Return the state of a key.  Raises RpcError."""
    return node.chain.state_before(tipset_get(node, key))


def actor_id_get(state: State, address: Address, *, prefix: str = "") -> int:
    """Return the id of an existing actor.  Raises RpcError with lotus' words."""
    actor_id = resolve(state, address)
    if actor_id is None:
        raise RpcError(
            f"{prefix}resolution lookup failed ({address}): resolve address {address}: actor not found"
        )
    if actor_get(state, actor_id) is None:
        raise RpcError(f"{prefix}actor not found")
    return actor_id


def actor_json(state: State, actor_id: int) -> dict[str, Any]:
    """ActorV5."""
    actor = actor_get(state, actor_id)
    if actor is None:
        raise RpcError("actor not found")
    return {
        "Code": cid_to_json(CODES.get(actor.kind)),
        "Head": cid_to_json(actor_head(state, actor_id)),
        "Nonce": actor.nonce,
        "Balance": str(actor.balance),
        "DelegatedAddress": None if actor.delegated is None else str(actor.delegated),
    }


def included_message_json(cid: Cid, signed: SignedMessage) -> dict[str, Any]:
    """MessageCID: a message under the CID it has on chain."""
    return {"Cid": cid_to_json(cid), "Message": message_to_json(signed.message)}


def lookup_json(lookup: Lookup) -> dict[str, Any]:
    """MsgLookup."""
    return {
        "Message": cid_to_json(lookup.cid),
        "Receipt": receipt_to_json(lookup.receipt),
        "ReturnDec": None,
        "TipSet": tipset_key_to_json(lookup.executed.key),
        "Height": lookup.executed.height,
    }


def head_change_json(kind: str, tipset: Tipset) -> dict[str, Any]:
    """HeadChange."""
    return {"Type": kind, "Val": tipset_to_json(tipset)}
