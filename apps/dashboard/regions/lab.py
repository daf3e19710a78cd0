"""Devnet lab: how a devnet's node stands and which of its knobs are turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.lab import LabState, lab_state
from apps.chain.selectors import nodes_devnet
from apps.dashboard import numbers
from apps.dashboard.lines.cards import Fact, Verdict, plural
from apps.dashboard.lines.lab import PARTS, knob_text
from apps.dashboard.regions.place import Place, Regions, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.chain.models import Node
    from apps.users.principals import Principal

GONE: Final = Verdict("The devnet's node does not answer.", "Its knobs are shown once it does.")


def lab_nodes(viewer: Principal) -> list[Node]:
    """Give the nodes that are a devnet's, for operators."""
    return list(nodes_devnet()) if viewer.is_operator else []


def lab_verdict_of(state: LabState | None) -> Verdict:
    """Say in one sentence whether the node behaves."""
    if state is None:
        return GONE
    if not state.turned:
        return Verdict("The node behaves.", "Nothing here costs money.")
    return Verdict(f"{plural(len(state.turned), 'knob')} turned.", "The node misbehaves on purpose.")


def lab_facts(state: LabState) -> list[Fact]:
    """Lay out how the node stands."""
    labels = {name: words[0] for knobs in PARTS.values() for name, words in knobs.items()}
    turned = ", ".join(f"{labels[name]}: {knob_text(state.knobs[name])}" for name in state.turned)
    return [
        Fact("Network", state.network, mono=True),
        Fact("Height", numbers.whole(state.height)),
        Fact("Null rounds so far", numbers.whole(state.null_rounds)),
        Fact("Pending messages", numbers.whole(state.pending)),
        Fact("Turned", turned or "no knob"),
    ]


def lab_look(node: Node) -> tuple[LabState | None, str]:
    """Ask a node; gives its state, or none and the reason."""
    try:
        return lab_state(node), ""
    except (NodeUnavailable, NodeRefused) as error:
        return None, error.reason


def stands(place: Place) -> Iterable[str]:
    """The sentence and the facts anew; the forms stay as they are, somebody may be typing."""
    found = [node for node in lab_nodes(place.viewer) if str(node.pk) == place.key]
    for node in found:
        state, _ = lab_look(node)
        yield fragment("dashboard/_verdict.html", verdict=lab_verdict_of(state))
        if state is not None:
            yield fragment("lab/_facts.html", facts=lab_facts(state))


REGIONS: Final[Regions] = {"head": (stands,), "node": (stands,)}
