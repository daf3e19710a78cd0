"""Fee rules of single methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.core.errors import NotFound
from apps.messages.models import ActorRules

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
