"""`Message.*`: the pool's fee rules, extra nodes, the libp2p host that is not there, the log.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.answers import actor_cfg_json, node_json, shared_json
from apps.api.rpc.services.messager.fee_parameters import Fees
from apps.api.rpc.services.messager.parameters import NodeParam
from apps.core.errors import BadValue, Conflict, DomainError
from apps.messages.errors import SenderNotFound
from apps.messages.selectors.fees import shared_rules_load
from apps.messages.selectors.rules import actor_rules_all, extra_nodes
from apps.messages.services.extra_nodes import extra_node_delete, extra_node_save
from apps.messages.services.fee_rules import shared_rules_set
from apps.messages.services.log_levels import LEVELS, SUBSYSTEMS, log_level_set
from apps.messages.services.method_rules import actor_rules_set


class NotServed(Conflict):
    """A method that needs what this messager does without."""

    code: ClassVar[str] = "not_served"


class BadLog(BadValue):
    """A part of the log or a level that there is none of."""

    code: ClassVar[str] = "bad_log"


VERSION: Final = "1.20.0"
"""The messager whose clients we answer."""


def get_shared_params(call: Call) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Return the pool's rules."""
    return shared_json(shared_rules_load())


def set_shared_params(call: Call, spec: Fees) -> None:
    """Set the pool's rules."""
    shared_rules_set(principal=call.principal, fees=spec.values, quota=spec.quota)


def save_actor_cfg(call: Call, spec: Fees) -> None:
    """Make the rules for one method of one kind of actor."""
    actor_rules_set(
        principal=call.principal,
        id=uuid.UUID(spec.id),
        fees=spec.values,
        code=spec.code,
        method=spec.method,
        actor_version=spec.version,
    )


def update_actor_cfg(call: Call, id_: str, spec: Fees) -> None:
    """Change such rules."""
    actor_rules_set(principal=call.principal, id=uuid.UUID(id_), fees=spec.values)


def list_actor_cfg(call: Call) -> list[dict[str, Any]]:  # noqa: ARG001  # handlers have one form
    """List such rules."""
    return [actor_cfg_json(row) for row in actor_rules_all()]


def get_actor_cfg_by_id(call: Call, id_: str) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Return one such rule."""
    row = actor_rules_all().filter(pk=id_).first()
    if row is None:
        raise SenderNotFound(field="id")
    return actor_cfg_json(row)


def save_node(call: Call, node: NodeParam) -> None:
    """Publish to one more node."""
    extra_node_save(
        principal=call.principal, name=node.name, url=node.url, token=node.token, node_type=node.node_type
    )


def get_node(call: Call, name: str) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Return one extra node."""
    row = extra_nodes().filter(name=name).first()
    if row is None:
        raise SenderNotFound(field="name")
    return node_json(row)


def has_node(call: Call, name: str) -> bool:  # noqa: ARG001  # handlers have one form
    """Return whether there is an extra node of this name."""
    return extra_nodes().filter(name=name).exists()


def list_node(call: Call) -> list[dict[str, Any]]:  # noqa: ARG001  # handlers have one form
    """List the extra nodes."""
    return [node_json(row) for row in extra_nodes()]


def delete_node(call: Call, name: str) -> None:
    """Stop publishing to an extra node."""
    extra_node_delete(principal=call.principal, name=name)


def net_peers(call: Call) -> list[Any]:  # noqa: ARG001  # handlers have one form
    """List libp2p peers: there are none, messages are published by RPC to every node."""
    return []


def net_addrs_listen(call: Call) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Refuse: there is no libp2p host."""
    raise _no_host()


def net_find_peer(call: Call, peer: str) -> dict[str, Any]:  # noqa: ARG001  # the wire's form
    """Refuse: there is no libp2p host."""
    raise _no_host()


def net_connect(call: Call, peer: Any) -> None:  # noqa: ARG001  # the wire's form
    """Refuse: there is no libp2p host."""
    raise _no_host()


def _no_host() -> DomainError:
    """Return the refusal of what needs a libp2p host."""
    return NotServed("there is no libp2p host: messages are published to every node by RPC")


def set_log_level(call: Call, subsystem: str, level: str) -> None:
    """Set how much a part of the log says, in the process that answers; `*` is all parts.

    Raises BadLog with go-log's words.
    """
    if level.lower() not in LEVELS:
        raise BadLog(f'unrecognized level: "{level}"', field="level")
    if subsystem not in ("*", *SUBSYSTEMS):
        raise BadLog("error: No such logger", field="subsystem")
    log_level_set(subsystem, level=level, by=call.principal)


def log_list(call: Call) -> list[str]:  # noqa: ARG001  # handlers have one form
    """List the log's parts."""
    return list(SUBSYSTEMS)


def version(call: Call) -> dict[str, Any]:  # noqa: ARG001  # handlers have one form
    """Return which messager we stand in for."""
    return {"Version": VERSION, "APIVersion": 0}
