"""Reading fee rules of single methods, and the nodes that messages go to beside the pool's own."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.messages.models import ActorRules, ExtraNode


def method_rules() -> QuerySet[ActorRules]:
    """Return all rules, by code and method."""
    return ActorRules.objects.order_by("code", "method")


class MethodRules:
    """The rules of methods, by the receiver's code; where none has that, by its kind.

    Each network upgrade gives all actors other codes: a rule goes on for the kind that it was set for.
    """

    def __init__(self) -> None:
        rows = list(method_rules().order_by("updated_at"))
        self.by_code = {(row.code, row.method): row for row in rows}
        self.by_kind = {(row.kind, row.method): row for row in rows if row.kind}
        self.methods = {row.method for row in rows}

    def of(self, method: int, *, code: str, kind: str) -> ActorRules | None:
        """Return the rule of a method of an actor; `kind` is empty where it is not known."""
        return self.by_code.get((code, method)) or self.by_kind.get((kind, method))


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
