"""Asking the chain: typed calls named after the RPC, over all nodes of the pool with failover.

Every call is safe to repeat, so a node that is away, too slow (`rules`), answers what nobody can read, or
lacks the method is simply followed by the next one within the same call.
Results are `poolsite.filecoin` dataclasses, plain values, or the node's JSON where that is the contract.
Source: filecoin-project/venus venus-shared/api/chain/v1; filecoin-project/lotus api/api_full.go.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.utils.translation import gettext

from apps.chain.call_timeouts import call_timeouts
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.link import NodeLink, link_to
from apps.chain.selectors import nodes_for_reading
from apps.chain.tipsets import TipsetFacts, key_to_json, tipset_from_json
from apps.core.sanitize import sanitize_text
from poolsite.filecoin.cids import Cid, cid_from_json, cid_to_json
from poolsite.filecoin.message import (
    Message,
    Receipt,
    SignedMessage,
    message_from_json,
    message_to_json,
    receipt_from_json,
    signed_message_from_json,
    signed_message_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


T = TypeVar("T")
UNREADABLE: Final = (KeyError, TypeError, IndexError, ValueError, AttributeError)
"""What reading an answer of another form raises."""
NO_NODE: Final = "the pool has no readable node: set CHAIN_URLS or add one"


@dataclass(frozen=True, slots=True)
class Actor:
    """What the chain keeps of an actor."""

    code: Cid
    nonce: int
    balance: int
    """attoFIL, without what the actor locks elsewhere."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Gas values of one message, or why there are none."""

    message: Message | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class GasSpec:
    """Wishes for an estimation; zero means the node's own rule."""

    max_fee: int = 0
    gas_over_estimation: float = 0.0
    gas_over_premium: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the wire form of MessageSendSpec."""
        return {
            "MaxFee": str(self.max_fee),
            "GasOverEstimation": self.gas_over_estimation,
            "GasOverPremium": self.gas_over_premium,
        }


class ChainClient:
    """The pool's nodes as one; the first link that answers wins."""

    def __init__(self, links: Sequence[NodeLink], *, limit_s: float | None = None) -> None:
        self.links = tuple(links)
        self.limit_s = limit_s
        """Time for every single try, instead of the method's own."""

    def call(self, method: str, *params: Any, timeout_s: float | None = None) -> Any:
        """Call `Filecoin.<method>` on the best node that answers.

        Raises NodeRefused with that node's words, NodeUnavailable if no node answers.
        """
        return self.ask(_as_it_is, method, *params, timeout_s=timeout_s)

    def ask(self, read: Callable[[Any], T], method: str, *params: Any, timeout_s: float | None = None) -> T:
        """Call and read the answer; a node whose answer cannot be read counts as one that did not answer."""
        failure: NodeUnavailable | None = None
        unknown: NodeRefused | None = None
        links = self._in_order()
        for left, link in zip(range(len(links) - 1, -1, -1), links, strict=True):
            limit_s = timeout_s or self.limit_s or call_timeouts(method).limit_s(has_other=left > 0)
            try:
                answer = link.call(method, params, timeout_s=limit_s)
            except NodeUnavailable as error:
                failure = error
                continue
            except NodeRefused as refusal:
                if not refusal.is_unknown_method:
                    raise
                unknown = refusal
                continue
            try:
                return read(answer)
            except (NodeRefused, *UNREADABLE) as error:
                failure = link.failed(
                    gettext("the response to {method} could not be parsed: {error!r}").format(
                        method=method, error=error
                    )[:300]
                )
        raise unknown or failure or NodeUnavailable(NO_NODE)

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Send many calls to one node in one request; a refused one stands as its NodeRefused."""
        if not calls:
            return []
        failure: NodeUnavailable | None = None
        for link in self._in_order():
            try:
                return link.call_many(calls, timeout_s=self.limit_s)
            except NodeUnavailable as error:
                failure = error
        raise failure or NodeUnavailable(NO_NODE)

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
                    return _text(name), genesis.key, head[0] if head else None
                except UNREADABLE as error:
                    raise link.failed(
                        gettext("its network and chain could not be parsed: {error!r}").format(error=error)[
                            :300
                        ]
                    ) from error
            except NodeUnavailable as error:
                failure = error
        raise failure or NodeUnavailable(NO_NODE)

    def knows(self, method: str) -> bool:
        """Return whether the node that answers next is not yet known to lack `method`."""
        return all(method not in link.lacks for link in self._in_order()[:1])

    def _in_order(self) -> list[NodeLink]:
        moment = time.monotonic()
        return sorted(self.links, key=lambda link: link.tired_until > moment)

    # The chain itself

    def chain_head(self) -> TipsetFacts:
        """Return the node's head."""
        return self.ask(tipset_from_json, "ChainHead")

    def chain_get_tipset(self, key: str) -> TipsetFacts:
        """Return the tipset with this key.  Raises NodeRefused if the node does not have it."""
        return self.ask(tipset_from_json, "ChainGetTipSet", key_to_json(key))

    def chain_get_tipset_by_height(self, height: int, key: str) -> TipsetFacts:
        """Return the tipset at `height`, or below it where that epoch was null, on the chain of `key`."""
        return self.ask(tipset_from_json, "ChainGetTipSetByHeight", height, key_to_json(key))

    def chain_get_genesis(self) -> TipsetFacts:
        """Return the first tipset."""
        return self.ask(tipset_from_json, "ChainGetGenesis")

    def chain_get_parent_messages(self, block: str) -> list[tuple[Cid, Message]]:
        """Return the messages that the parents of `block` include, each once, in order of execution."""
        return self.ask(_messages, "ChainGetParentMessages", {"/": block})

    def chain_get_block_messages(self, block: str) -> list[tuple[Cid, Message, SignedMessage | None]]:
        """Return what `block` itself includes; a message with a BLS key has no signature of its own."""
        return self.ask(_block_messages, "ChainGetBlockMessages", {"/": block})

    def chain_get_parent_receipts(self, block: str) -> list[Receipt]:
        """Return the receipts of those messages, in the same order."""
        return self.ask(_receipts, "ChainGetParentReceipts", {"/": block})

    def chain_get_message(self, cid: Cid) -> Message:
        """Return a message by its CID.  Raises NodeRefused if the node does not have it."""
        return self.ask(message_from_json, "ChainGetMessage", cid_to_json(cid))

    # State

    def state_network_name(self) -> str:
        """Return the network's name."""
        return self.ask(_text, "StateNetworkName")

    def state_network_version(self, key: str | None = None) -> int:
        """Return the protocol version."""
        return self.ask(int, "StateNetworkVersion", key_to_json(key))

    def state_get_network_params(self) -> dict[str, Any]:
        """Return what the network says about its times and sizes."""
        return self.ask(_row, "StateGetNetworkParams")

    def state_get_actor(self, address: str, key: str | None = None) -> Actor:
        """Return an actor.  Raises NodeRefused, `actor not found` among its words, if there is none."""
        return self.ask(_actor, "StateGetActor", address, key_to_json(key))

    def state_account_key(self, address: str, key: str | None = None) -> str:
        """Return the key address behind an ID address."""
        return self.ask(_text, "StateAccountKey", address, key_to_json(key))

    def state_lookup_id(self, address: str, key: str | None = None) -> str:
        """Return the ID address of any address."""
        return self.ask(_text, "StateLookupID", address, key_to_json(key))

    def state_call(self, message: Message, key: str | None = None) -> dict[str, Any]:
        """Run a message without putting it on chain; returns the node's InvocResult."""
        return self.ask(_row, "StateCall", message_to_json(message), key_to_json(key))

    def state_replay(self, cid: str, key: str) -> dict[str, Any]:
        """Run a message of a tipset again; returns the node's InvocResult."""
        return self.ask(_row, "StateReplay", key_to_json(key), {"/": cid})

    def wallet_balance(self, address: str) -> int:
        """Return an account's balance in attoFIL; 0 if there is no such account."""
        return self.ask(int, "WalletBalance", address)

    def state_get_randomness_from_tickets(self, tag: int, epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Draw randomness from the chain's tickets."""
        return self._randomness("StateGetRandomnessFromTickets", tag, epoch, entropy=entropy, key=key)

    def state_get_randomness_from_beacon(self, tag: int, epoch: int, *, entropy: bytes, key: str) -> bytes:
        """Draw randomness from the beacon."""
        return self._randomness("StateGetRandomnessFromBeacon", tag, epoch, entropy=entropy, key=key)

    def _randomness(self, method: str, tag: int, epoch: int, *, entropy: bytes, key: str) -> bytes:
        words = base64.b64encode(entropy).decode()
        return self.ask(base64.b64decode, method, tag, epoch, words, key_to_json(key))

    # Miners: the node's JSON, read by the apps that own the matter

    def state_miner_info(self, miner: str, key: str | None = None) -> dict[str, Any]:
        """Return owner, worker, control addresses, proof type and sizes."""
        return self.ask(_row, "StateMinerInfo", miner, key_to_json(key))

    def state_miner_proving_deadline(self, miner: str, key: str | None = None) -> dict[str, Any]:
        """Return the current deadline (dline.Info)."""
        return self.ask(_row, "StateMinerProvingDeadline", miner, key_to_json(key))

    def state_miner_deadlines(self, miner: str, key: str | None = None) -> list[dict[str, Any]]:
        """Return the deadlines with what was submitted in them."""
        return self.ask(_rows, "StateMinerDeadlines", miner, key_to_json(key))

    def state_miner_sectors(
        self, miner: str, numbers: Any = None, key: str | None = None
    ) -> list[dict[str, Any]]:
        """Return sectors; `numbers` is a bit field in JSON form, None means all."""
        return self.ask(_rows, "StateMinerSectors", miner, numbers, key_to_json(key))

    # Messages

    def mpool_get_nonce(self, address: str) -> int:
        """Return the first nonce after the node's contiguous run, chain and pool together."""
        return self.ask(int, "MpoolGetNonce", address)

    def mpool_push(self, signed: SignedMessage) -> Cid:
        """Return one signed message to one node.  Raises NodeRefused with the pool's words."""
        return self.ask(_cid, "MpoolPush", signed_message_to_json(signed))

    def mpool_pending(self) -> list[SignedMessage]:
        """Return the messages that wait in the node's pool, by sender and nonce."""
        pending = self.ask(_signed_messages, "MpoolPending", [])
        return sorted(pending, key=lambda signed: (str(signed.message.from_), signed.message.nonce))

    def mpool_get_config(self) -> dict[str, Any]:
        """Return the pool's settings; `ReplaceByFeeRatio` is among them."""
        return self.ask(_row, "MpoolGetConfig")

    def gas_estimate_message(self, message: Message, spec: GasSpec, key: str) -> Message:
        """Fill in gas limit, premium and fee cap.  Raises NodeRefused with the reason."""
        wishes = (message_to_json(message), spec.as_json(), key_to_json(key))
        return self.ask(message_from_json, "GasEstimateMessageGas", *wishes)

    def gas_batch_estimate(
        self, messages: Sequence[tuple[Message, GasSpec]], *, nonce: int, key: str
    ) -> list[Estimate]:
        """Estimate a sender's next messages in one call, each on top of those before it.

        lotus lacks the batch method: there each is asked for by itself, in one request.
        """
        if self.knows("GasBatchEstimateMessageGas"):
            rows = [{"Msg": message_to_json(message), "Spec": spec.as_json()} for message, spec in messages]
            try:
                return self.ask(_estimates, "GasBatchEstimateMessageGas", rows, nonce, key_to_json(key))
            except NodeRefused as refusal:
                if not refusal.is_unknown_method:
                    raise
        calls = [
            ("GasEstimateMessageGas", [message_to_json(message), spec.as_json(), key_to_json(key)])
            for message, spec in messages
        ]
        return [
            Estimate(None, answer.reason)
            if isinstance(answer, NodeRefused)
            else Estimate(message_from_json(answer))
            for answer in self.call_many(calls)
        ]


def chain_client() -> ChainClient:
    """Return the client over the nodes that may be read, the best first."""
    return ChainClient([link_to(node.url, node.token) for node in nodes_for_reading()])


def _as_it_is(value: Any) -> Any:
    return value


def _signed_messages(value: Any) -> list[SignedMessage]:
    return [signed_message_from_json(row) for row in value or ()]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _row(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _rows(value: Any) -> list[dict[str, Any]]:
    return [_row(row) for row in value or ()]


def _messages(value: Any) -> list[tuple[Cid, Message]]:
    return [(_cid(row["Cid"]), message_from_json(row["Message"])) for row in value or ()]


def _block_messages(value: Any) -> list[tuple[Cid, Message, SignedMessage | None]]:
    plain = [message_from_json(row) for row in value["BlsMessages"] or ()]
    signed = _signed_messages(value["SecpkMessages"])
    found: list[tuple[Cid, Message, SignedMessage | None]] = [(one.cid, one, None) for one in plain]
    return [*found, *((one.cid, one.message, one) for one in signed)]


def _receipts(value: Any) -> list[Receipt]:
    return [receipt_from_json(row) for row in value or ()]


def _actor(row: Any) -> Actor:
    return Actor(code=_cid(row["Code"]), nonce=int(row["Nonce"]), balance=int(row["Balance"]))


def _place(row: Any) -> tuple[int, int]:
    return int(row["Deadline"]), int(row["Partition"])


def _estimates(value: Any) -> list[Estimate]:
    return [_estimate(row) for row in value]


def _cid(value: Any) -> Cid:
    cid = cid_from_json(value)
    if cid is None:
        raise NodeRefused(0, "the node sent null for a CID")
    return cid


def _estimate(row: Any) -> Estimate:
    if row.get("Err"):
        return Estimate(None, sanitize_text(str(row["Err"])))
    return Estimate(message_from_json(row["Msg"]))
