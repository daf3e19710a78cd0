"""`Filecoin.MinerAddresses` and its kin: a miner's owner, worker, control addresses and beneficiary.

Methods of our own: lotus-miner, damocles and venus-tool push raw messages for these changes.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from apps.api.address_bodies import addresses_body, priced_body, sent_body
from apps.api.rpc.dispatcher import Call
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core.errors import BadValue
from apps.miners.selectors.address_messages import address_messages
from apps.miners.selectors.addresses import addresses_read
from apps.miners.selectors.miners import miner_get
from apps.miners.services.address_change_messages import AddressRequest
from apps.miners.services.address_changes import change_plan, change_push
from poolsite.filecoin.address import Address
from poolsite.filecoin.amounts import BadAmount, amount_parse
from poolsite.wire.jsonrpc.messages import Json
from poolsite.wire.jsonrpc.parameters import ADDRESS, OBJECT, RpcMethod

if TYPE_CHECKING:
    from apps.chain.models import Head

KEY_MAX: Final = 64
MEMBERS: Final = frozenset({"change", "addresses", "quota", "expiration", "key"})


def addresses(call: Call, miner: Address) -> Json:
    """Show who may act for a miner, what is pending, and the messages that would change it."""
    row = miner_get(call.principal, str(miner))
    return addresses_body(addresses_read(row, client=chain_client()), address_messages(row))


def change_price(call: Call, miner: Address, body: dict[str, Json]) -> Json:
    """Show what a change would do and cost; nothing is sent."""
    row = miner_get(call.principal, str(miner))
    plan = change_plan(
        row, request=request_of(body), principal=call.principal, client=chain_client(), head=_head()
    )
    return priced_body(plan)


def change(call: Call, miner: Address, body: dict[str, Json]) -> Json:
    """Push a change's message; the same `key` again is the same message."""
    row = miner_get(call.principal, str(miner))
    request = request_of(body)
    sent = change_push(row, request=request, principal=call.principal, client=chain_client(), head=_head())
    return sent_body(sent)


def _head() -> Head:
    head = head_current()
    if head is None:
        raise NetworkUnknown("no node has answered yet")
    return head


def request_of(body: dict[str, Json]) -> AddressRequest:
    """Read a change, with the members of REST.  Raises BadValue."""
    unknown = sorted(set(body) - MEMBERS)
    if unknown:
        raise BadValue(f"unknown member; known: {', '.join(sorted(MEMBERS))}", field=unknown[0])
    addresses = body.get("addresses")
    if addresses is not None and not _is_texts(addresses):
        raise BadValue("must be a list of addresses", field="addresses")
    expiration = body.get("expiration") or 0
    if not isinstance(expiration, int) or isinstance(expiration, bool) or not 0 <= expiration < 1 << 63:
        raise BadValue("must be an epoch", field="expiration")
    try:
        quota = int(amount_parse(str(body.get("quota") or "0")))
    except BadAmount as error:
        raise BadValue(str(error), field="quota") from None
    key = str(body.get("key") or "")
    if len(key) > KEY_MAX:
        raise BadValue(f"at most {KEY_MAX} characters", field="key")
    return AddressRequest(
        change=str(body.get("change") or ""),
        addresses=tuple(addresses) if isinstance(addresses, list) else None,
        quota=quota,
        expiration=expiration,
        key=key or uuid.uuid4().hex,
    )


def _is_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


ADDRESS_METHODS: Final[dict[str, RpcMethod]] = {
    "Filecoin.MinerAddresses": RpcMethod("read", addresses, (ADDRESS,), asks_node=True),
    "Filecoin.MinerAddressChangePrice": RpcMethod("sign", change_price, (ADDRESS, OBJECT), asks_node=True),
    "Filecoin.MinerAddressChange": RpcMethod("sign", change, (ADDRESS, OBJECT), asks_node=True),
}
"""They stand beside a node's, none of which has these names."""
