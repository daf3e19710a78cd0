"""Setting faults of a devnet and moving its chain: for operators, each with an entry in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.chain.errors import NoDevnet
from apps.chain.models import Node
from apps.chain.node.devnet import FAULT_DEFAULTS, READ_TIMEOUT_S, FaultValue, devnet_state
from apps.chain.node.link import link_to
from apps.core.errors import BadValue
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.address import BadAddress, address_parse

ACTION_TIMEOUT_S: Final = 60.0
"""Hundreds of epochs take some seconds."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number that an action needs."""

    name: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class DevnetAction:
    """Something that happens to the chain at once."""

    method: str
    address: bool = False
    """Whether an address goes before the numbers; empty, it is one that the node knows itself."""
    numbers: tuple[Number, ...] = ()
    switch: str = ""
    """Name of a yes or no that follows the numbers."""


MOST_METHOD: Final = (1 << 32) - 1
"""Highest number of a method by a name's hash."""

ACTIONS: Final[dict[str, DevnetAction]] = {
    "mine": DevnetAction("Devnet.Mine", numbers=(Number("count", 1, 500),)),
    "advance": DevnetAction("Devnet.Advance", numbers=(Number("epochs", 1, 500),)),
    "reorg": DevnetAction(
        "Devnet.Reorg", numbers=(Number("depth", 1, 200), Number("nulls", 0, 20)), switch="messages"
    ),
    "back": DevnetAction("Devnet.SetHeadBack", numbers=(Number("depth", 1, 200),)),
    "foreign": DevnetAction("Devnet.ForeignMessage", address=True, numbers=(Number("messages", 1, 100),)),
    "fail-next": DevnetAction(
        "Devnet.FailNext",
        numbers=(Number("method", 0, MOST_METHOD), Number("code", 1, 999), Number("messages", 0, 1000)),
    ),
    "drain": DevnetAction("Devnet.Drain", address=True, numbers=(Number("fil", 0, 1_000_000),)),
    "drop-sockets": DevnetAction("Devnet.DropSockets"),
}
"""By the name that a page or a program uses."""


def faults_set(*, principal: Principal, node: Node, faults: Mapping[str, FaultValue]) -> dict[str, Any]:
    """Set some faults; return those that changed with their new values.

    Raises NoDevnet, BadValue for an unknown fault, NodeRefused with the node's reason, NodeUnavailable.
    """
    _devnet_require(node)
    unknown = sorted(set(faults) - set(FAULT_DEFAULTS))
    if unknown:
        raise BadValue(gettext("unknown fault {unknown}").format(unknown=unknown[0]), field=unknown[0])
    old = devnet_state(node).faults
    new = _call(node, "Devnet.SetFaults", [dict(faults)], timeout_s=READ_TIMEOUT_S)
    return _audit(principal, node=node, action="devnet.set_faults", before=old, after=new)


def faults_reset(*, principal: Principal, node: Node) -> dict[str, Any]:
    """Reset every fault; return those that changed.  Raises as `faults_set`."""
    _devnet_require(node)
    old = devnet_state(node).faults
    new = _call(node, "Devnet.ResetFaults", [], timeout_s=READ_TIMEOUT_S)
    return _audit(principal, node=node, action="devnet.reset_faults", before=old, after=new)


def devnet_action_run(
    *,
    principal: Principal,
    node: Node,
    act: str,
    numbers: Mapping[str, int],
    address: str = "",
    switch: bool = False,
) -> Any:
    """Do one of ACTIONS; return the answer.  Raises BadValue, NoDevnet, NodeRefused, NodeUnavailable."""
    _devnet_require(node)
    what = ACTIONS.get(act)
    if what is None:
        raise BadValue(gettext("a devnet has no action {act}").format(act=act), field="act")
    params: list[int | bool | str] = [address_read(address)] if what.address else []
    for number in what.numbers:
        value = numbers.get(number.name)
        if value is None or not number.least <= value <= number.most:
            reason = gettext("must be a whole number from {least} to {most}").format(
                least=number.least, most=number.most
            )
            raise BadValue(reason, field=number.name)
        params.append(value)
    if what.switch:
        params.append(switch)
    answer = _call(node, what.method, params, timeout_s=ACTION_TIMEOUT_S)
    audit_record(principal=principal, action=f"devnet.{act}", target=node.url, before=None, after=params)
    publish(Change("node", node.pk, None))
    return answer


def address_read(text: str) -> str:
    """Return an address as a node takes it, empty if none is meant.  Raises BadValue."""
    try:
        return str(address_parse(text)) if text else ""
    except BadAddress as error:
        raise BadValue(gettext("not an address: {error}").format(error=error), field="address") from None


def _devnet_require(node: Node) -> None:
    if not node.is_devnet:
        raise NoDevnet(gettext("{node} does not identify itself as a devnet").format(node=node))


def _call(node: Node, method: str, params: list[Any], *, timeout_s: float) -> Any:
    return link_to(node.url, node.token).call(method, params, timeout_s=timeout_s)


def _audit(
    principal: Principal, *, node: Node, action: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """Write what changed into the audit log."""
    changed = {name: after[name] for name in before if after.get(name) != before[name]}
    if changed:
        was = {name: before[name] for name in changed}
        audit_record(principal=principal, action=action, target=node.url, before=was, after=changed)
        publish(Change("node", node.pk, None))
    return changed
