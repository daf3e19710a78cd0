"""Logs, filters and subscriptions.  Source: lotus node/impl/eth/events.go, subscriptions.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.filters import HEADS, LOGS, MESSAGES, TooManyFilters
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.errors import panic
from poolsite.devnet.rpc.eth import readers
from poolsite.devnet.rpc.eth.blocks import block_hash, block_json, by_hash
from poolsite.devnet.rpc.eth.messages import transaction_hash_text
from poolsite.devnet.rpc.params import MAX_INT64
from poolsite.filecoin.tipset import Tipset
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.rpc.dispatch import Callbacks
    from poolsite.devnet.rpc.eth.readers import FilterSpec
    from poolsite.filecoin.message import SignedMessage

MAX_RANGE: Final = 2880
"""Most epochs that one question about logs may span."""
AT_HEAD: Final = "cannot ask for events for a tipset at or greater than head"
NEW_HEADS: Final = "newHeads"
NEW_LOGS: Final = "logs"
NEW_PENDING: Final = "newPendingTransactions"
CALLBACK: Final = "eth_subscription"
"""Method of the notifications that a subscription sends."""


def _height(text: str | None, *, member: str, latest: int) -> int:
    """Raise RpcError."""
    if text is None or text in ("", "latest"):
        return latest
    if text == "earliest":
        return 0
    if not text.startswith("0x"):
        raise RpcError(f"{member} is not a hex")
    try:
        epoch = readers.go_uint(text.replace("0x", ""), 16)
    except BadParam:
        epoch = MAX_INT64 + 1
    if epoch > MAX_INT64:
        raise RpcError("invalid epoch")
    return epoch


def _range(node: Devnet, spec: FilterSpec) -> tuple[int, int]:
    """First and last epoch of a filter, -1 for no last one.  Raises RpcError."""
    heaviest = node.head.height - 1
    least = _height(spec.from_block, member="FromBlock", latest=heaviest)
    most = _height(spec.to_block, member="ToBlock", latest=-1)
    if least >= 0 and most == -1 and heaviest - least > MAX_RANGE:
        reason = f"from block is too far in the past (maximum: {MAX_RANGE})"
        raise RpcError(f"invalid epoch range: {reason}")
    if least >= 0 and most >= 0:
        if least > most:
            reason = f"to block ({most}) must be after from block ({least})"
            raise RpcError(f"invalid epoch range: {reason}")
        if most - least > MAX_RANGE:
            reason = f"range between to and from blocks is too large (maximum: {MAX_RANGE})"
            raise RpcError(f"invalid epoch range: {reason}")
    return least, most


def _checked(node: Devnet, spec: FilterSpec | None) -> tuple[int, int]:
    """Return what is wrong with a filter whoever asks.  Raises RpcError."""
    if spec is None:
        reason = "runtime error: invalid memory address or nil pointer dereference"
        raise panic("Filecoin.EthGetLogs", reason)
    if spec.block_hash is None:
        return _range(node, spec)
    if spec.from_block is not None or spec.to_block is not None:
        raise RpcError("must not specify block hash and from/to block")
    return 0, 0


def get_logs(node: Devnet, spec: FilterSpec | None) -> Any:
    """None: only contracts make logs, and built-in actors' events are not shown as logs."""
    prefix = "failed to get events for filter: "
    try:
        least, most = _checked(node, spec)
    except RpcError as error:
        if not error.code:
            raise
        raise RpcError(f"{prefix}failed to parse eth filter spec: {error.message}") from None
    if spec is not None and spec.block_hash is not None:
        try:
            least = by_hash(node, spec.block_hash).height
        except RpcError as error:
            reason = error.message.removeprefix("failed to get tipset by hash: ")
            raise RpcError(f"{prefix}failed to get tipset by cid: {reason}") from None
    if max(least, most) >= node.head.height:
        raise RpcError(f"{prefix}{AT_HEAD}")
    return []


def _install(node: Devnet, kind: str) -> str:
    try:
        return "0x" + node.filters.install(kind).hex()
    except TooManyFilters as error:
        raise RpcError(str(error)) from None


def new_block_filter(node: Devnet) -> Any:
    return _install(node, HEADS)


def new_pending_filter(node: Devnet) -> Any:
    return _install(node, MESSAGES)


def uninstall_filter(node: Devnet, name: bytes) -> Any:
    return node.filters.uninstall(name)


def filter_changes(node: Devnet, name: bytes) -> Any:
    """Hashes of the blocks or transactions that came since it was last asked."""
    if node.filters.kind_of(name) is None:
        raise RpcError("filter not found")
    return [_hash_of(node, what) for what in node.filters.poll(name)]


def _hash_of(node: Devnet, what: Tipset | SignedMessage) -> str:
    return block_hash(what) if isinstance(what, Tipset) else transaction_hash_text(node, what)


def subscribe(node: Devnet, callbacks: Callbacks, params: list[Any]) -> Any:
    """Send heads, logs or pending transactions to the caller as they come."""
    if not 1 <= len(params) <= 2:
        raise RpcError(f"decoding params: expected 1 or 2 params, got {len(params)}")
    try:
        kind = p.TEXT.decode(params[0])
        if len(params) == 2:
            readers.filter_read(params[1])
    except BadParam as error:
        raise RpcError(f"decoding params: {error}") from None
    kinds = {NEW_HEADS: HEADS, NEW_LOGS: LOGS, NEW_PENDING: MESSAGES}
    if kind not in kinds:
        raise RpcError(f"unsupported event type: {kind}")
    last_sent: list[bytes] = []

    def hear(what: Tipset | SignedMessage) -> None:
        result: Any
        if isinstance(what, Tipset):
            parents = bytes(what.parents)
            if what.height == 0 or parents in last_sent:
                return
            last_sent[:] = [parents]
            result = block_json(node, node.chain.link(what.parents).tipset, with_transactions=True)
        else:
            result = transaction_hash_text(node, what)
        callbacks.notify(CALLBACK, {"subscription": name, "result": result})

    subscription = node.filters.subscribe(kinds[kind], hear)
    name = "0x" + subscription.hex()
    callbacks.on_close(lambda: node.filters.unsubscribe(subscription))
    return name


def unsubscribe(node: Devnet, name: bytes) -> Any:
    return node.filters.unsubscribe(name)
