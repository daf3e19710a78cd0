"""The pool's nodes: rows from the settings and by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction

from apps.chain.errors import NodeNotServing
from apps.chain.models import Node
from apps.chain.node.addresses import node_address
from apps.chain.services.probes import node_probe, probe_store
from apps.chain.states import NodeCondition, NodeRole
from apps.core.errors import Conflict, NotFound
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


@transaction.atomic
def nodes_sync(texts: Iterable[str]) -> list[Node]:
    """Make the rows equal to the settings' list, in its order; a node that left it is switched off.

    What an operator switched off stays off, and nodes that an operator added stay as they are.
    """
    configured = []
    for position, text in enumerate(texts):
        address = node_address(text)
        node, _ = Node.objects.get_or_create(url=address.http_url)
        node.is_enabled = node.is_enabled or not node.is_configured
        node.token, node.position, node.is_configured = address.token, position, True
        node.save(update_fields=["is_enabled", "token", "position", "is_configured", "updated_at"])
        configured.append(node)
    removed = Node.objects.filter(is_configured=True).exclude(pk__in=[node.pk for node in configured])
    removed.update(is_enabled=False, is_configured=False)
    return configured


def node_test(text: str, *, now: datetime) -> Node:
    """Probe a node that is not in the pool yet; returns an unsaved row with what was found.

    Raises BadNodeAddress, or NodeNotServing with the reason: away, garbage, another network.
    """
    address = node_address(text, field="url")
    node = Node(url=address.http_url, token=address.token, is_configured=False)
    finding = node_probe(node, now=now)
    probe_store(node, finding=finding, now=now)
    if node.condition != NodeCondition.HEALTHY:
        raise NodeNotServing(node.error or gettext("the node cannot serve this pool"), field="url")
    return node


def node_add(*, principal: Principal, text: str, role: str, weight: int, name: str, now: datetime) -> Node:
    """Add a node to the pool after asking it.  Raises what `node_test` does, Conflict for a known one."""
    node = node_test(text, now=now)
    if Node.objects.filter(url=node.url).exists():
        raise Conflict(gettext("the pool already has this node"), field="url")
    node.role, node.weight, node.name = NodeRole(role), weight, name[:100]
    node.position = 1 + max(Node.objects.values_list("position", flat=True), default=0)
    try:
        with transaction.atomic():
            node.save()
            audit_record(
                principal=principal,
                action="node.add",
                target=node.url,
                before={},
                after={"role": role, "weight": weight},
            )
            publish(Change("node", node.pk, None))
    except IntegrityError:  # two added it at once
        raise Conflict(gettext("the pool already has this node"), field="url") from None
    return node


@transaction.atomic
def node_set(
    *,
    principal: Principal,
    node: Node,
    role: str | None = None,
    weight: int | None = None,
    name: str | None = None,
    is_enabled: bool | None = None,
) -> Node:
    """Change what a node is for.  Raises Conflict if it is the last one that could be read, NotFound.

    What is that way already is left alone, so that a request may be repeated.
    """
    values = {"role": role, "weight": weight, "name": name, "is_enabled": is_enabled}
    node, others = _nodes_lock(node)
    after = {key: value for key, value in values.items() if value is not None and value != getattr(node, key)}
    if not after:
        return node
    before = {key: getattr(node, key) for key in after}
    for key, value in after.items():
        setattr(node, key, value)
    if not node.is_enabled or node.role == NodeRole.PUSH_ONLY:
        _other_require(others)
    node.save(update_fields=[*after, "updated_at"])
    audit_record(principal=principal, action="node.set", target=node.url, before=before, after=after)
    publish(Change("node", node.pk, None))
    return node


def node_promote(*, principal: Principal, node: Node) -> Node:
    """Make a node the first that is read; one that is first already stays as it is."""
    heaviest = max(Node.objects.exclude(pk=node.pk).values_list("weight", flat=True), default=0)
    weight = max(node.weight, heaviest + 1)
    return node_set(principal=principal, node=node, role=NodeRole.MAIN, weight=weight)


@transaction.atomic
def node_remove(*, principal: Principal, node: Node) -> None:
    """Remove a node from the pool.

    Raises Conflict for the last one that could be read, and for one that CHAIN_URLS names; NotFound.
    """
    node, others = _nodes_lock(node)
    if node.is_configured:
        raise Conflict(gettext("this node is set in CHAIN_URLS: disable it, or remove it there"))
    if node.is_enabled:
        _other_require(others)
    pk = node.pk
    node.delete()
    audit_record(
        principal=principal,
        action="node.remove",
        target=node.url,
        before={"role": node.role, "weight": node.weight, "name": node.name},
    )
    publish(Change("node", pk, None))


def _nodes_lock(node: Node) -> tuple[Node, list[Node]]:
    """Lock all nodes, and return this one and the others as they are now.

    Two operators may be at the last two.  Raises NotFound if this one was removed meanwhile.
    """
    rows = {row.pk: row for row in Node.objects.select_for_update(no_key=True).order_by("pk")}
    current = rows.pop(node.pk, None)
    if current is None:
        raise NotFound(gettext("there is no such node"))
    return current, list(rows.values())


def _other_require(others: Iterable[Node]) -> None:
    """Keep one node that can be read.  Raises Conflict."""
    if not any(row.is_enabled and row.role != NodeRole.PUSH_ONLY for row in others):
        raise Conflict(gettext("this is the last node that the pool can read: add another one first"))
