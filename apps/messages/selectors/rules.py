"""Reading fee rules of single methods, and the nodes that messages go to beside the pool's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.core.errors import NotFound
from apps.messages.models import ActorRules, ExtraNode

if TYPE_CHECKING:
    from uuid import UUID

    from django.db.models import QuerySet


def method_rules() -> QuerySet[ActorRules]:
    """Return all rules, by code and method."""
    return ActorRules.objects.order_by("code", "method")


def method_rule_get(key: UUID) -> ActorRules:
    """Return one rule.  Raises NotFound."""
    row = method_rules().filter(pk=key).first()
    if row is None:
        raise NotFound(gettext("there is no such rule"))
    return row


def actor_rules_all() -> QuerySet[ActorRules]:
    """Return the fee rules for methods of actors, the oldest first."""
    return ActorRules.objects.order_by("created_at")


def extra_nodes() -> QuerySet[ExtraNode]:
    """Return the nodes that messages are published to beside the pool's own, the oldest first."""
    return ExtraNode.objects.order_by("created_at")
