"""Turning a devnet's knobs and moving its chain: for operators, each time with a line in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from apps.chain.lab import KNOBS, LAB_TIMEOUT_S, KnobValue, lab_state
from apps.chain.link import link_to
from apps.core.errors import BadValue, Conflict
from apps.core.live import Change, publish
from apps.users.services import audit_record
from poolsite.filecoin.address import BadAddress, address_parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apps.chain.models import Node
    from apps.users.principals import Principal

ACT_TIMEOUT_S: Final = 60.0
"""Hundreds of epochs take some seconds."""


class NoDevnet(Conflict):
    """The node is not known to be a devnet's."""

    code: ClassVar[str] = "no_devnet"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number that an act needs."""

    name: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class LabAct:
    """Something that happens to the chain at once."""

    method: str
    address: bool = False
    """Whether an address goes before the numbers; empty, it is one that the node knows itself."""
    numbers: tuple[Number, ...] = ()
    switch: str = ""
    """Name of a yes or no that follows the numbers."""


MOST_METHOD: Final = (1 << 32) - 1
"""Highest number of a method by a name's hash."""

ACTS: Final[dict[str, LabAct]] = {
    "mine": LabAct("Devnet.Mine", numbers=(Number("count", 1, 500),)),
    "advance": LabAct("Devnet.Advance", numbers=(Number("epochs", 1, 500),)),
    "reorg": LabAct(
        "Devnet.Reorg", numbers=(Number("depth", 1, 200), Number("nulls", 0, 20)), switch="messages"
    ),
    "back": LabAct("Devnet.SetHeadBack", numbers=(Number("depth", 1, 200),)),
    "foreign": LabAct("Devnet.ForeignMessage", address=True, numbers=(Number("messages", 1, 100),)),
    "fail-next": LabAct(
        "Devnet.FailNext",
        numbers=(Number("method", 0, MOST_METHOD), Number("code", 1, 999), Number("messages", 0, 1000)),
    ),
    "drain": LabAct("Devnet.Drain", address=True, numbers=(Number("fil", 0, 1_000_000),)),
    "drop-sockets": LabAct("Devnet.DropSockets"),
}
"""By the name that a page or a program uses."""


def lab_set(*, principal: Principal, node: Node, wish: Mapping[str, KnobValue]) -> dict[str, Any]:
    """Turn some knobs; gives those that changed with their new values.

    Raises NoDevnet, BadValue for an unknown knob, NodeRefused with the node's words, NodeUnavailable.
    """
    _devnet_require(node)
    unknown = sorted(set(wish) - set(KNOBS))
    if unknown:
        raise BadValue(f"there is no knob {unknown[0]}", field=unknown[0])
    old = lab_state(node).knobs
    new = _ask(node, "Devnet.SetFaults", [dict(wish)], timeout_s=LAB_TIMEOUT_S)
    return _noted(principal, node=node, action="lab.set", before=old, after=new)


def lab_reset(*, principal: Principal, node: Node) -> dict[str, Any]:
    """Turn every knob back; gives those that changed.  Raises as `lab_set`."""
    _devnet_require(node)
    old = lab_state(node).knobs
    new = _ask(node, "Devnet.ResetFaults", [], timeout_s=LAB_TIMEOUT_S)
    return _noted(principal, node=node, action="lab.reset", before=old, after=new)


def lab_act(
    *,
    principal: Principal,
    node: Node,
    act: str,
    numbers: Mapping[str, int],
    address: str = "",
    switch: bool = False,
) -> Any:
    """Do one of ACTS; gives the node's answer.  Raises BadValue, NoDevnet, NodeRefused, NodeUnavailable."""
    _devnet_require(node)
    what = ACTS.get(act)
    if what is None:
        raise BadValue(f"a devnet cannot {act}", field="act")
    params: list[int | bool | str] = [address_read(address)] if what.address else []
    for number in what.numbers:
        value = numbers.get(number.name)
        if value is None or not number.least <= value <= number.most:
            words = f"a whole number from {number.least} to {number.most}"
            raise BadValue(words, field=number.name)
        params.append(value)
    if what.switch:
        params.append(switch)
    answer = _ask(node, what.method, params, timeout_s=ACT_TIMEOUT_S)
    audit_record(principal=principal, action=f"lab.{act}", target=node.url, before=None, after=params)
    publish(Change("node", node.pk, None))
    return answer


def address_read(text: str) -> str:
    """Give an address as a node takes it, empty if none is meant.  Raises BadValue."""
    try:
        return str(address_parse(text)) if text else ""
    except BadAddress as error:
        raise BadValue(f"no address: {error}", field="address") from None


def _devnet_require(node: Node) -> None:
    if not node.is_devnet:
        raise NoDevnet(f"{node} does not say that it is a devnet")


def _ask(node: Node, method: str, params: list[Any], *, timeout_s: float) -> Any:
    return link_to(node.url, node.token).call(method, params, timeout_s=timeout_s)


def _noted(
    principal: Principal, *, node: Node, action: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """Write what changed into the audit log."""
    changed = {name: after[name] for name in before if after.get(name) != before[name]}
    if changed:
        was = {name: before[name] for name in changed}
        audit_record(principal=principal, action=action, target=node.url, before=was, after=changed)
        publish(Change("node", node.pk, None))
    return changed
