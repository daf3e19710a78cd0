"""Reading the chain's rows: the newest head, the network, the clock of epochs, the nodes."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.utils.translation import gettext

from apps.chain.errors import NetworkUnknown
from apps.chain.models import Follower, Head, Network, Node
from apps.chain.states import READ_RANKS, STATE_RANKS, STATES_FOREIGN, STATES_SERVING, NodeRole, NodeState
from apps.core.compiled import Compiled
from apps.core.errors import NotFound
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.network_params import network_from_params
from poolsite.filecoin.policy import UnknownNetwork, network_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from poolsite.filecoin.policy import Network as NetworkRow

T = TypeVar("T")

NULL_EPOCHS_MAX: Final = 10
"""How far the clock runs ahead of the newest head: a chain that stands still has no new epochs."""
REPLACED_LOOKED: Final = 400
"""Newest tipsets no more on our chain, among which those are found that a reorganisation took back."""


HEAD_CURRENT: Final[Compiled[Head]] = Compiled(
    "head_current", lambda: Head.objects.filter(pk__in=Follower.objects.order_by("pk").values("head_id")[:1])
)
HEAD_BY_KEY: Final[Compiled[Head]] = Compiled(
    "head_by_key", lambda key: Head.objects.filter(key=key), key="text"
)
NETWORK_CURRENT: Final[Compiled[Network]] = Compiled(
    "network_current", lambda: Network.objects.order_by("pk")[:1]
)
NODES_ENABLED: Final[Compiled[Node]] = Compiled(
    "nodes_enabled",
    lambda: nodes_all().only("url", "token", "name", "position", "role", "weight", "is_enabled", "state"),
)
"""Without what probes write down, which is most of a row; other columns are read when they are asked for."""


READ: Final[ContextVar[dict[str, Any] | None]] = ContextVar("chain_read", default=None)


@contextmanager
def chain_read_once() -> Iterator[None]:
    """Read the network's rules and the list of nodes once for all that is done in here, not for each."""
    token = READ.set({})
    try:
        yield
    finally:
        READ.reset(token)


def read_once(name: str, read: Callable[[], T]) -> T:
    """Return what was read under a name within `chain_read_once`; outside of it read it."""
    known = READ.get()
    if known is None:
        return read()
    if name not in known:
        known[name] = read()
    found: T = known[name]
    return found


def read_again() -> None:
    """Forget what was read within `chain_read_once`, since it was written meanwhile."""
    known = READ.get()
    if known is not None:
        known.clear()


def head_current() -> Head | None:
    """Return the newest head of our chain; None before the first one."""
    return next(iter(HEAD_CURRENT.rows()), None)


def head_by_key(key: str) -> Head | None:
    """Return a tipset of our table, on our chain or not."""
    return next(iter(HEAD_BY_KEY.rows(key=key)), None)


def heads_recent(count: int = 60) -> list[Head]:
    """Return the newest heads of our chain, newest first."""
    return list(Head.objects.filter(is_canonical=True).order_by("-height")[:count])


def head_at(height: int) -> Head | None:
    """Return our chain's tipset at a height, or before it where the round was null; None if none is kept."""
    return Head.objects.filter(is_canonical=True, height__lte=height).order_by("-height").first()


def head_after(height: int) -> Head | None:
    """Return our chain's next tipset above a height; None at the head."""
    return Head.objects.filter(is_canonical=True, height__gt=height).order_by("height").first()


def network_bound() -> Network | None:
    """Return the network that the pool is bound to."""
    return read_once("bound", lambda: next(iter(NETWORK_CURRENT.rows()), None))


def head_exactly_at(height: int) -> Head | None:
    """Return our chain's tipset at a height; None if the round was null or is not kept."""
    return Head.objects.filter(is_canonical=True, height=height).first()


def head_above(head: Head) -> Head | None:
    """Return our chain's tipset that executed the messages of another one."""
    return Head.objects.filter(is_canonical=True, parent_key=head.key).first()


def heads_taken_back(count: int) -> list[Head]:
    """Return the tipsets that a reorganisation took back, newest first.

    A head that further blocks of its height joined was replaced by a tipset with all its blocks.
    """
    gone = Head.objects.filter(is_canonical=False).order_by("-height", "-arrived_at")[:REPLACED_LOOKED]
    blocks: defaultdict[int, list[set[str]]] = defaultdict(list)
    same = Head.objects.filter(height__in={head.height for head in gone})
    for height, cids in same.values_list("height", "cids"):
        blocks[height].append(set(cids))
    lost = (head for head in gone if not any(set(head.cids) < other for other in blocks[head.height]))
    return list(islice(lost, count))


def network_version() -> int | None:
    """Return the network version that runs; None until a node has told it."""
    row = network_bound()
    return None if row is None else row.version


def genesis_current() -> str:
    """Return the CID of the first block of the chain that the pool is bound to; empty before it is."""
    return Network.objects.values_list("genesis", flat=True).first() or ""


def network_current() -> NetworkRow:
    """Return the network's rules: our table's row with what the node says laid over it.

    Raises NetworkUnknown until a node has told them once.
    """
    return read_once("network", _network_read)


def _network_read() -> NetworkRow:
    row = network_bound()
    if row is None:
        raise NetworkUnknown(gettext("no node has answered yet"))
    try:
        rules = network_from_params(row.params) if row.params else network_by_name(row.name)
    except (UnknownNetwork, BadField) as error:
        raise NetworkUnknown(f"{error}") from None
    return replace(rules, network_version=row.version) if row.version else rules


@dataclass(frozen=True, slots=True)
class NetworkState:
    """Which network the pool is bound to, or why to none: no address of a node is in it."""

    name: str
    """Empty while it is bound to none."""
    reason: str


def network_state() -> NetworkState:
    """Return the network that the pool is bound to, or what stands in the way of the first contact."""
    row = network_bound()
    if row is not None:
        return NetworkState(row.name, "")
    nodes = list(nodes_all())
    if not nodes:
        return NetworkState("", gettext("the pool has no node: set CHAIN_URLS or add one on the Chain page"))
    told = next((node for node in nodes if node.state in STATES_FOREIGN), None)
    return NetworkState("", gettext("no node of the pool has answered yet") if told is None else told.error)


def epoch_now(now: datetime) -> int:
    """Return the epoch that runs at `now`, counted from the newest head; -1 before the first head.

    Epochs without a block pass too, but no more than `NULL_EPOCHS_MAX`: the clock stands still with
    the chain.  It never asks the genesis time, which means nothing on a chain that was paused.
    """
    head = head_current()
    return -1 if head is None else epoch_at(head, now=now, epoch_s=network_current().epoch_s)


def epoch_at(head: Head, *, now: datetime, epoch_s: int) -> int:
    """Return the epoch that runs at `now` if `head` is the newest."""
    arrived = head.arrived_at.timestamp()
    # A head that came late (we were away, or the chain was) starts its epoch with its arrival.
    start = head.timestamp if 0 <= arrived - head.timestamp <= epoch_s else arrived
    passed = int((now.timestamp() - start) // epoch_s)
    return head.height + min(max(passed, 0), NULL_EPOCHS_MAX)


def heads_late_s(count: int, *, epoch_s: int) -> float | None:
    """Return how long after its time the quickest of the newest heads came, in seconds.

    None while there are fewer, and while nodes catch up: then heads come faster than epochs pass.
    """
    rows = Head.objects.filter(is_canonical=True).order_by("-height").values_list("timestamp", "arrived_at")
    found = [(bears, at.timestamp()) for bears, at in rows[:count]]
    if len(found) < count:
        return None
    (last, last_at), (first, first_at) = found[0], found[-1]
    if abs((last_at - first_at) - (last - first)) > epoch_s:
        return None
    return min(at - bears for bears, at in found)


def nodes_all() -> QuerySet[Node]:
    """Return the enabled nodes in the order of the settings."""
    return Node.objects.filter(is_enabled=True)


def nodes_pool() -> QuerySet[Node]:
    """Return all nodes, those that are switched off last."""
    return Node.objects.order_by("-is_enabled", "position", "pk")


def node_get(key: str) -> Node:
    """Return one node by its number.  Raises NotFound."""
    is_number = key.isascii() and key.isdigit() and len(key) < 10
    node = Node.objects.filter(pk=int(key)).first() if is_number else None
    if node is None:
        raise NotFound(gettext("the pool has no such node"))
    return node


def nodes_enabled() -> list[Node]:
    """Return the enabled nodes in the order of the settings, by a query that is written out."""
    return read_once("nodes", NODES_ENABLED.rows)


def nodes_for_reading(nodes: Iterable[Node] | None = None) -> list[Node]:
    """Return the nodes that may be read, the best first: not behind, by role, then weight, then the list.

    Nodes of another network and push-only ones are left out.
    """
    rows = nodes_enabled() if nodes is None else nodes
    return sorted(
        (node for node in rows if node.state in STATE_RANKS and node.role in READ_RANKS), key=_read_order
    )


def nodes_serve(nodes: Iterable[Node]) -> bool:
    """Return whether one of these nodes can be read now, or was not asked yet."""
    return any(node.role in READ_RANKS and node.state in STATES_SERVING for node in nodes)


def nodes_devnet() -> QuerySet[Node]:
    """Return the enabled nodes that say they are a devnet's."""
    return nodes_all().filter(is_devnet=True)


def _read_order(node: Node) -> tuple[int, int, int, int]:
    return (
        STATE_RANKS[NodeState(node.state)],
        READ_RANKS[NodeRole(node.role)],
        -node.weight,
        node.position,
    )


@dataclass(frozen=True, slots=True)
class ChainPath:
    """The way between two tipsets of our table."""

    reverted: tuple[Head, ...]
    """Newest first."""
    applied: tuple[Head, ...]
    """Oldest first."""
    is_complete: bool
    """False if the two do not meet within the table: what lies between must be asked of the node."""
    common: Head | None = None
    """Where the two meet."""


def path_between(old_key: str, head: Head) -> ChainPath:
    """Return what left and what joined the chain between a reader's last tipset and `head`."""
    old = head_by_key(old_key)
    reverted: list[Head] = []
    applied: list[Head] = []
    above: Head | None = head
    while above is not None:
        if old is not None and old.key == above.key:
            return ChainPath(tuple(reverted), tuple(applied[::-1]), is_complete=True, common=old)
        if old is not None and old.height >= above.height:
            reverted.append(old)
            old = head_by_key(old.parent_key)
            continue
        applied.append(above)
        if above.is_after_gap:
            break
        below = old if old is not None and old.key == above.parent_key else None
        above = below or head_by_key(above.parent_key)
    return ChainPath(tuple(reverted), tuple(applied[::-1]), is_complete=False)
