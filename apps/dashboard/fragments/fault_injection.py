"""Fault injection: status of a devnet's node and its active faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.fault_injection import DevnetState, devnet_state
from apps.chain.selectors import nodes_devnet
from apps.core import formatting
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.rows.cards import Fact, Verdict, plural
from apps.dashboard.rows.fault_injection import PARTS, fault_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.chain.models import Node
    from apps.users.principals import Principal

GONE: Final = Verdict("The devnet's node does not answer.", "Its faults are shown once it does.")


def devnet_nodes(viewer: Principal) -> list[Node]:
    """Return the nodes that are a devnet's; none for tenants."""
    return list(nodes_devnet()) if viewer.is_operator else []


def devnet_verdict(state: DevnetState | None) -> Verdict:
    """Return whether the node behaves, in one sentence."""
    if state is None:
        return GONE
    if not state.active:
        return Verdict("Node running normally.", "Devnet only: no real funds.")
    return Verdict(f"{plural(len(state.active), 'fault')} active.", "The node misbehaves on purpose.")


def devnet_facts(state: DevnetState) -> list[Fact]:
    """Lay out the status of the node."""
    labels = {name: words[0] for faults in PARTS.values() for name, words in faults.items()}
    active = ", ".join(f"{labels[name]}: {fault_text(state.faults[name])}" for name in state.active)
    return [
        Fact("Network", state.network, mono=True),
        Fact("Height", formatting.whole(state.height)),
        Fact("Null rounds so far", formatting.whole(state.null_rounds)),
        Fact("Pending messages", formatting.whole(state.pending)),
        Fact("Active faults", active or "none"),
    ]


def devnet_state_or_reason(node: Node) -> tuple[DevnetState | None, str]:
    """Return the state of a node, or None and the reason."""
    try:
        return devnet_state(node), ""
    except (NodeUnavailable, NodeRefused) as error:
        return None, error.reason


def status(context: FragmentContext) -> Iterable[str]:
    """The sentence and the facts anew; the forms stay as they are, somebody may be typing."""
    found = [node for node in devnet_nodes(context.viewer) if str(node.pk) == context.key]
    for node in found:
        state, _ = devnet_state_or_reason(node)
        yield fragment("dashboard/_verdict.html", verdict=devnet_verdict(state))
        if state is not None:
            yield fragment("fault_injection/_facts.html", facts=devnet_facts(state))


FRAGMENTS: Final[FragmentsByKind] = {"head": (status,), "node": (status,)}
