"""What can go wrong when a node is asked."""

from __future__ import annotations

from typing import Any, ClassVar

from apps.core.errors import BadValue, Conflict, NotReachable
from apps.core.sanitize import sanitize_text
from poolsite.wire.jsonrpc.messages import CODE_NO_METHOD


class NodeUnavailable(NotReachable):
    """No node answered: unreachable, too slow, or it does not know our token."""

    code: ClassVar[str] = "node_unavailable"


class NodeAnswerTooLarge(NodeUnavailable):
    """A node's answer passed the limit and was not read on; another node may have a smaller one."""

    code: ClassVar[str] = "node_answer_too_large"


class NodeRefused(Conflict):
    """A node answered with an error; its text is passed on, in characters that a database keeps."""

    code: ClassVar[str] = "node_refused"

    def __init__(self, rpc_code: int, message: str, *, data: Any = None) -> None:
        self.rpc_code = rpc_code
        """The JSON-RPC error code: 1 for plain errors of Go nodes, -32601 for an unknown method."""
        self.data = data
        """What the node sent with its error, such as the bytes of a reverted call."""
        super().__init__(sanitize_text(message))

    @property
    def is_unknown_method(self) -> bool:
        """Return whether the node lacks the method, as lotus lacks venus' own."""
        return self.rpc_code == CODE_NO_METHOD

    @property
    def is_missing_object(self) -> bool:
        """Return whether the node lacks a tipset, a message, receipts or state: another one may have them."""
        return "ipld: could not find" in self.reason


class NetworkUnknown(NotReachable):
    """No node has told yet which network this pool is on."""

    code: ClassVar[str] = "network_unknown"


class NoDevnet(Conflict):
    """The node is not known to be a devnet's."""

    code: ClassVar[str] = "no_devnet"


class WrongNetwork(Conflict):
    """A node of another chain than the one this pool's rows speak of."""

    code: ClassVar[str] = "wrong_network"


class NodeNotServing(Conflict):
    """A node that was to be added does not serve this pool."""

    code: ClassVar[str] = "node_not_serving"


class BadNodeAddress(BadValue):
    """An API string that cannot be read."""

    code: ClassVar[str] = "bad_node_address"
