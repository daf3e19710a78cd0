"""Asking the chain: typed calls named after the RPC, over all nodes of the pool with failover.

Results are `poolsite.filecoin` dataclasses, plain values, or the node's JSON where that is the contract.
Source: filecoin-project/venus venus-shared/api/chain/v1; filecoin-project/lotus api/api_full.go.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.answers import (
    Actor,
    actor_read,
    address_read,
    block_messages_read,
    cid_read,
    estimates_read,
    messages_read,
    object_read,
    objects_read,
    pool_nonces_read,
    receipts_read,
    signed_messages_read,
    text_read,
)
from apps.chain.node.calls import (
    BEACON,
    TICKETS,
    Call,
    deadlines_call,
    randomness_call,
    sectors_call,
    tipset_by_height_call,
)
from apps.chain.node.failover import NO_NODE, UNREADABLE, FailoverCalls
from apps.chain.node.gas_estimates import Estimate, GasSpec
from apps.chain.node.link import link_to
from apps.chain.node.tipsets import TipsetFacts, key_to_json, tipset_from_json
from apps.chain.selectors.landing_forms import landing_form
from apps.chain.selectors.nodes import nodes_for_reading, nodes_serve
from apps.core.marked_texts import gettext
from poolsite.filecoin.cids import Cid, cid_to_json
from poolsite.filecoin.message import (
    Message,
    Receipt,
    SignedMessage,
    message_from_json,
    message_to_json,
    signed_message_to_json,
)

T = TypeVar("T")
PAGE_S: Final = 6.0
"""Longest that a page waits without an answer of a node, and"""
AWAY_PAGE_S: Final = 1.5
"""while no node answers the probes: one that is back is read all the same."""


class ChainClient(FailoverCalls):
    """The pool's nodes as one, with a method for each RPC."""

    def _read(self, read: Callable[[Any], T], call: Call) -> T:
        method, params = call
        return self.ask(read, method, *params)

    def chain_head(self) -> TipsetFacts:
        """Return the node's head."""
        return self.ask(tipset_from_json, "ChainHead")

    def chain_known(self, *, with_head: bool = False) -> tuple[str, str, TipsetFacts | None]:
        """Return the network's name, the genesis' key and, if wanted, the head, asked for in one request.

        Raises NodeRefused, NodeUnavailable.
        """
        methods = ["StateNetworkName", "ChainGetGenesis", *(["ChainHead"] if with_head else [])]
        failure: NodeUnavailable | None = None
        for link in self._in_order():
            try:
                name, *tipsets = link.call_many([(method, ()) for method in methods], timeout_s=self.limit_s)
                for answer in (name, *tipsets):
                    if isinstance(answer, NodeRefused):
                        raise answer
                try:
                    genesis, *head = map(tipset_from_json, tipsets)
                    return text_read(name), genesis.key, head[0] if head else None
                except UNREADABLE as error:
                    raise link.failed(
                        gettext("its network and chain could not be parsed: {error!r}").format(error=error)[
                            :300
                        ]
                    ) from error
            except NodeUnavailable as error:
                failure = error
        raise failure or NodeUnavailable(gettext(NO_NODE))

    def chain_get_tipset(self, key: str) -> TipsetFacts:
        """Return the tipset with this key.  Raises NodeRefused if the node does not have it."""
        return self.ask(tipset_from_json, "ChainGetTipSet", key_to_json(key))

    def chain_get_tipset_by_height(self, height: int, key: str) -> TipsetFacts:
        """Return the tipset at `height`, or below it where that epoch was null, on the chain of `key`."""
        return self._read(tipset_from_json, tipset_by_height_call(height, key))

    def chain_get_genesis(self) -> TipsetFacts:
        """Return the first tipset."""
        return self.ask(tipset_from_json, "ChainGetGenesis")

    def chain_get_parent_messages(self, block: str) -> list[tuple[Cid, Message]]:
        """Return the messages that the parents of `block` include, each once, in order of execution."""
        return self.ask(messages_read, "ChainGetParentMessages", {"/": block})

    def chain_get_block_messages(self, block: str) -> list[tuple[Cid, Message, SignedMessage | None]]:
        """Return what `block` itself includes; a message with a BLS key has no signature of its own."""
        return self.ask(block_messages_read, "ChainGetBlockMessages", {"/": block})

    def chain_get_parent_receipts(self, block: str) -> list[Receipt]:
        """Return the receipts of those messages, in the same order."""
        return self.ask(receipts_read, "ChainGetParentReceipts", {"/": block})

    def chain_get_message(self, cid: Cid) -> Message:
        """Return a message by its CID.  Raises NodeRefused if the node does not have it."""
        return self.ask(message_from_json, "ChainGetMessage", cid_to_json(cid))

    def state_network_name(self) -> str:
        """Return the network's name."""
        return self.ask(text_read, "StateNetworkName")

    def state_network_version(self) -> int:
        """Return the protocol version."""
        return self.ask(int, "StateNetworkVersion", key_to_json(None))

    def state_get_network_params(self) -> dict[str, Any]:
        """Return what the network says about its times and sizes."""
        return self.ask(object_read, "StateGetNetworkParams")

    def state_get_actor(self, address: str, key: str | None = None) -> Actor:
        """Return an actor.  Raises NodeRefused, `actor not found` among its words, if there is none."""
        return self.ask(actor_read, "StateGetActor", address, key_to_json(key))

    def state_account_key(self, address: str, key: str | None = None) -> str:
        """Return the key address behind an ID address."""
        return self.ask(address_read, "StateAccountKey", address, key_to_json(key))

    def state_lookup_id(self, address: str) -> str:
        """Return the ID address of any address."""
        return self.ask(address_read, "StateLookupID", address, key_to_json(None))

    def state_call(self, message: Message, key: str | None = None) -> dict[str, Any]:
        """Run a message without putting it on chain; returns the node's InvocResult."""
        return self.ask(object_read, "StateCall", message_to_json(message), key_to_json(key))

    @staticmethod
    def landing_form(message: Message) -> Message:
        """Return a message of the pool's own with its parameters as the next epoch takes them."""
        return landing_form(message)

    def state_replay(self, cid: str, key: str) -> dict[str, Any]:
        """Run a message of a tipset again; returns the node's InvocResult."""
        return self.ask(object_read, "StateReplay", key_to_json(key), {"/": cid})

    def wallet_balance(self, address: str) -> int:
        """Return an account's balance in attoFIL; 0 if there is no such account."""
        return self.ask(int, "WalletBalance", address)

    def state_get_randomness_from_tickets(self, tag: int, epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Draw randomness from the chain's tickets."""
        return self._read(base64.b64decode, randomness_call(TICKETS, tag, epoch, entropy=entropy, key=key))

    def state_get_randomness_from_beacon(self, tag: int, epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Draw randomness from the beacon."""
        return self._read(base64.b64decode, randomness_call(BEACON, tag, epoch, entropy=entropy, key=key))

    def state_miner_info(self, miner: str) -> dict[str, Any]:
        """Return owner, worker, control addresses, proof type and sizes."""
        return self.ask(object_read, "StateMinerInfo", miner, key_to_json(None))

    def state_miner_proving_deadline(self, miner: str, key: str | None = None) -> dict[str, Any]:
        """Return the current deadline (dline.Info)."""
        return self.ask(object_read, "StateMinerProvingDeadline", miner, key_to_json(key))

    def state_miner_deadlines(self, miner: str, key: str | None = None) -> list[dict[str, Any]]:
        """Return the deadlines with what was submitted in them."""
        return self._read(objects_read, deadlines_call(miner, key))

    def state_miner_sectors(
        self, miner: str, numbers: Any = None, key: str | None = None
    ) -> list[dict[str, Any]]:
        """Return sectors; `numbers` is a bit field in JSON form, None means all."""
        return self._read(objects_read, sectors_call(miner, numbers, key))

    def mpool_get_nonce(self, address: str) -> int:
        """Return the first nonce after the node's contiguous run, chain and pool together."""
        return self.ask(int, "MpoolGetNonce", address)

    def mpool_push(self, signed: SignedMessage) -> Cid:
        """Return one signed message to one node.  Raises NodeRefused with the pool's words."""
        return self.ask(cid_read, "MpoolPush", signed_message_to_json(signed))

    def mpool_pending(self) -> list[SignedMessage]:
        """Return the messages that wait in the node's pool, by sender and nonce."""
        pending = self.ask(signed_messages_read, "MpoolPending", [])
        return sorted(pending, key=lambda signed: (str(signed.message.from_), signed.message.nonce))

    def mpool_nonces(self) -> dict[str, frozenset[int]]:
        """Return the nonces that each sender's messages in the node's pool have."""
        return self.ask(pool_nonces_read, "MpoolPending", [])

    def mpool_get_config(self) -> dict[str, Any]:
        """Return the pool's settings; `ReplaceByFeeRatio` is among them."""
        return self.ask(object_read, "MpoolGetConfig")

    def gas_estimate_message(self, message: Message, spec: GasSpec, key: str) -> Message:
        """Fill in gas limit, premium and fee cap.  Raises NodeRefused with the reason."""
        params = (message_to_json(message), spec.as_lotus_json(), key_to_json(key))
        estimate = self.ask(message_from_json, "GasEstimateMessageGas", *params)
        return spec.factors_apply(estimate, message=message)

    def gas_batch_estimate(
        self, messages: Sequence[tuple[Message, GasSpec]], *, nonce: int, key: str
    ) -> list[Estimate]:
        """Estimate a sender's next messages in one call, each on top of those before it.

        lotus lacks the batch method and the factors of a spec: there each is asked for by itself, and the
        factors are applied here.
        """
        if self.knows("GasBatchEstimateMessageGas"):
            rows = [{"Msg": message_to_json(message), "Spec": spec.as_json()} for message, spec in messages]
            try:
                return self.ask(estimates_read, "GasBatchEstimateMessageGas", rows, nonce, key_to_json(key))
            except NodeRefused as refusal:
                if not refusal.is_unknown_method:
                    raise
        calls = [
            ("GasEstimateMessageGas", [message_to_json(message), spec.as_lotus_json(), key_to_json(key)])
            for message, spec in messages
        ]
        return [
            Estimate(None, answer.reason)
            if isinstance(answer, NodeRefused)
            else Estimate(spec.factors_apply(message_from_json(answer), message=message))
            for (message, spec), answer in zip(messages, self.call_many(calls), strict=True)
        ]


def chain_client() -> ChainClient:
    """Return the client over the nodes that may be read, the best first."""
    return ChainClient([link_to(node.url, node.token) for node in nodes_for_reading()])


def page_client() -> ChainClient:
    """Return the same for what somebody waits to see: a node that hangs is given up after a few seconds.

    Sooner where the last probes found that no node answers.  Raises NodeUnavailable then with each call.
    """
    nodes = nodes_for_reading()
    within_s = PAGE_S if nodes_serve(nodes) else AWAY_PAGE_S
    return ChainClient([link_to(node.url, node.token) for node in nodes], within_s=within_s)
