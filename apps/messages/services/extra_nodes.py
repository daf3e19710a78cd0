"""Nodes that messages are published to beside the pool's own."""

from __future__ import annotations

from django.db import transaction

from apps.chain.errors import BadNodeAddress
from apps.chain.node.addresses import node_address
from apps.messages.errors import BadMessage, RuleNotFound
from apps.messages.models import ExtraNode
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record


@transaction.atomic
def extra_node_save(
    *, principal: Principal, name: str, url: str, token: str, node_type: int = 0
) -> ExtraNode:
    """Add a node to publish to, or change the one of this name.  Raises BadMessage naming the field."""
    try:
        node_address(url, token=token)
    except BadNodeAddress as error:
        raise BadMessage(error.reason, field="token" if error.field == "token" else "url") from None
    old = ExtraNode.objects.select_for_update().filter(name=name).first()
    before = None if old is None else {"url": old.url, "type": old.node_type}
    after = {"url": url, "type": node_type}
    defaults = {"url": url, "token": token, "node_type": node_type}
    row, _ = ExtraNode.objects.update_or_create(name=name, defaults=defaults)
    audit_record(principal=principal, action="node.extra", target=name, before=before, after=after)
    return row


@transaction.atomic
def extra_node_delete(*, principal: Principal, name: str) -> None:
    """Stop publishing to a node.  Raises SenderNotFound if there is none of this name."""
    row = ExtraNode.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise RuleNotFound(field="name")
    row.delete()
    before = {"url": row.url, "type": row.node_type}
    audit_record(principal=principal, action="node.extra.remove", target=name, before=before)
