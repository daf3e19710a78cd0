"""What can go wrong when a node is asked."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from apps.core.errors import BadValue, Conflict, NotReachable
from apps.core.sanitize import sanitize_text
from poolsite.wire.jsonrpc.messages import CODE_NO_METHOD

MISSING_OBJECT: Final = re.compile(
    r"ipld: could not find|Key for header not found|tipset at epoch \d+ not found"
    r"|Required tipset missing from database|Invalid tipset: |No state tree exists for the root"
    r"|Entry not found in (block|cbor) store|did not match any in database"
    r"|can't find (object|block header) with"
)
"""Words by which a node says that it lacks a tipset, a message, receipts or state.

Source: go-ipld-format ErrNotFound for lotus and venus, the first; the others are forest's: src/chain/store,
src/shim/state_tree.rs, src/utils/db, src/rpc/methods/chain.rs, fvm_ipld_hamt.
"""

NO_ACTOR: Final = "actor not found"
"""Words by which a node says that the chain has no actor at an address; forest begins with a capital."""


NO_PERMISSION: Final = "missing permission to invoke"
"""Words by which a node refuses what our token is not good for, as those of hosted nodes that may only read.

Source: go-jsonrpc auth/auth.go for lotus and venus; forest src/rpc/auth_layer.rs.
"""


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
        return MISSING_OBJECT.search(self.reason) is not None

    @property
    def is_not_permitted(self) -> bool:
        """Return whether our token at this node is not good for the method; nothing was done then."""
        return NO_PERMISSION in self.reason

    @property
    def is_missing_actor(self) -> bool:
        """Return whether the chain has no such actor: nobody has sent anything to the address yet."""
        return NO_ACTOR in self.reason.lower()


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
