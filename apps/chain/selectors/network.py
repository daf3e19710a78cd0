"""Reading which network the pool is bound to, and its rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from apps.chain.errors import NetworkUnknown
from apps.chain.models import Network
from apps.chain.selectors.nodes import nodes_all
from apps.chain.selectors.read_cache import read_once
from apps.chain.states import CONDITIONS_FOREIGN
from apps.core.compiled import Compiled
from apps.core.marked_texts import gettext
from apps.core.reasons import shown_text
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.network_params import network_from_params
from poolsite.filecoin.policy import Network as NetworkRow
from poolsite.filecoin.policy import UnknownNetwork, network_by_name

NETWORK_CURRENT: Final[Compiled[Network]] = Compiled(
    "network_current", lambda: Network.objects.order_by("pk")[:1]
)


def network_bound() -> Network | None:
    """Return the network that the pool is bound to."""
    return read_once("bound", lambda: next(iter(NETWORK_CURRENT.rows()), None))


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
    foreign = next((node for node in nodes if node.condition in CONDITIONS_FOREIGN), None)
    return NetworkState(
        "", gettext("no node of the pool has answered yet") if foreign is None else shown_text(foreign.error)
    )
