"""Tokens that lose a miner: one that named others too keeps those, one that named only it is revoked.

An empty list of miners means all of the tenant's, so the last one is never taken out of it; and a token
that is brought back after it was revoked must not come back wider than it went.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.users.models import Tenant, Token
from apps.users.services.access import access_change_publish


@dataclass(frozen=True, slots=True)
class TokenScopeChange:
    """Names of the tokens that lost a miner and were valid until then."""

    limited: tuple[str, ...]
    """They are for other miners still."""
    revoked: tuple[str, ...]
    """They were for this one alone."""


def miner_tokens_list(*, tenant: Tenant, actor_id: int) -> QuerySet[Token]:
    """Return a tenant's tokens that are limited to miners, this one among them; not the operator's."""
    rows = Token.objects.filter(tenant=tenant, is_operator=False, miners__contains=[actor_id])
    return rows.order_by("created_at", "pk")


@transaction.atomic
def tokens_remove_miner(*, tenant: Tenant, actor_id: int) -> TokenScopeChange:
    """Remove a miner from the tokens of a tenant; their open sockets are closed by their process."""
    now = clock.now()
    limited: list[str] = []
    revoked: list[str] = []
    for token in (
        miner_tokens_list(tenant=tenant, actor_id=actor_id).select_for_update(no_key=True).order_by("pk")
    ):
        rest = [one for one in token.miners if one != actor_id]
        was_valid = token.revoked_at is None
        if rest:
            token.miners = rest
        elif was_valid:
            token.revoked_at = now
        token.save(update_fields=["miners", "revoked_at"])
        if was_valid:
            (limited if rest else revoked).append(token.name)
    access_change_publish()
    return TokenScopeChange(tuple(limited), tuple(revoked))
