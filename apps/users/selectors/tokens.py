"""Reading API tokens: by their text, who holds one, which are valid."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core.filters import TEXT_MAX, ListFilters, Words
from apps.users.models import Tenant, Token
from apps.users.rules.principals import Principal
from apps.users.states import perms_up_to

USE_NOTED_EVERY: Final = timedelta(minutes=1)
"""How exact a token's last use is; a write per request would cost more than it is worth."""


def token_digest(token: str) -> str:
    """Return what we keep of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


TENANT_COLUMNS: Final = [field.attname for field in Tenant._meta.concrete_fields]
TOKEN_OF: Final = (
    "SELECT token.*, "  # noqa: S608
    + ", ".join(f"tenant.{name} AS tenant_{name}" for name in TENANT_COLUMNS)
    + f" FROM {Token._meta.db_table} token JOIN {Tenant._meta.db_table} tenant ON tenant.id = token.tenant_id"
    " WHERE token.digest = %s"
)
"""Written out: every request asks for it, and to compile the query takes longer than to run it."""


def token_by_text(token: str) -> Token | None:
    """Find the row of a token, good or not."""
    row = next(iter(Token.objects.raw(TOKEN_OF, [token_digest(token)])), None)
    if row is not None:
        values = [getattr(row, f"tenant_{name}") for name in TENANT_COLUMNS]
        row.tenant = Tenant.from_db("default", TENANT_COLUMNS, values)
    return row


def token_facts(row: Token) -> dict[str, Any]:
    """Return the audit log's values of a new token."""
    return {
        "uuid": str(row.uuid),
        "perm": row.perm,
        "scopes": row.scopes,
        "methods": row.methods,
        "miners": [f"f0{actor_id}" for actor_id in row.miners],
        "signers": row.signers,
        "operator": row.is_operator,
        "expires_at": None if row.expires_at is None else row.expires_at.isoformat(),
        "joins": row.joins,
    }


def _good_at(now: datetime) -> Q:
    """Return what holds of a token that lets its bearer in."""
    granted = Q(revoked_at=None, tenant__enabled=True, tenant__deleted_at=None)
    return granted & (Q(expires_at=None) | Q(expires_at__gt=now))


def tokens_refused(ids: Collection[str], *, now: datetime) -> set[str]:
    """Return those of these tokens that are no longer good."""
    good = Token.objects.filter(_good_at(now), pk__in=ids)
    return set(ids) - {str(pk) for pk in good.values_list("pk", flat=True)}


def tokens_outdated(
    held: Collection[tuple[str, tuple[int, ...]]], *, now: datetime
) -> set[tuple[str, tuple[int, ...]]]:
    """Return those of these tokens, each with its miners, that were changed since or are not valid."""
    refused = tokens_refused({key for key, _ in held}, now=now)
    miners = {str(row.pk): tuple(row.miners) for row in Token.objects.filter(pk__in={key for key, _ in held})}
    return {(key, limit) for key, limit in held if key in refused or miners.get(key) != limit}


def tokens_with_digests(digests: Collection[str]) -> list[str]:
    """Return the ids of the tokens with these digests, good or not."""
    return [str(pk) for pk in Token.objects.filter(digest__in=digests).values_list("pk", flat=True)]


def tokens_visible(viewer: Principal) -> QuerySet[Token]:
    """Return the tokens that this caller may know of, those never above its own level.

    A token for some miners or signers sees itself: others name what they are limited to.
    """
    tokens = Token.objects.select_related("tenant").order_by("created_at")
    if viewer.is_partial:
        return tokens.filter(pk=viewer.token_id) if viewer.token_id else tokens.none()
    if viewer.is_operator:
        return tokens
    return tokens.filter(tenant_id=viewer.own_id, perm__in=perms_up_to(viewer.perm), is_operator=False)


def _valid_at(now: datetime) -> Q:
    """Return what holds of a token that is of use: a join token is of none once a host has exchanged it."""
    return _good_at(now) & Q(joined_uid="")


def tokens_listed(viewer: Principal, *, now: datetime) -> QuerySet[Token]:
    """Return the tokens that this caller may know of: valid ones first, then the newest.

    Each row says in `is_valid` whether it is.
    """
    rows = tokens_visible(viewer).annotate(is_valid=_valid_at(now))
    return rows.order_by("-is_valid", "-created_at", "-pk")


def tokens_valid_of(viewer: Principal, *, tenant: Tenant, now: datetime) -> QuerySet[Token]:
    """Return a tenant's tokens of use that this caller may know of, the newest first."""
    return tokens_visible(viewer).filter(_valid_at(now), tenant=tenant).order_by("-created_at", "-pk")


class TokenFilters(ListFilters):
    """Filters of the list of tokens."""

    q = Words(
        label=_("Name, tenant or end of a token"),
        method="named",
        about="part of its or its tenant's name, or its end",
    )

    def named(self, rows: QuerySet[Token], _name: str, value: str) -> QuerySet[Token]:
        """Find by a part of its own name or its tenant's, or its last characters."""
        text = value[:TEXT_MAX]
        return rows.filter(
            Q(name__icontains=text) | Q(tenant__name__icontains=text) | Q(hint=text.strip("…"))
        )


def tokens_count(viewer: Principal, *, now: datetime) -> tuple[int, int]:
    """Count the valid tokens that this caller may know of, and those of them that were never used."""
    counts = (
        tokens_visible(viewer)
        .filter(_valid_at(now))
        .aggregate(valid=Count("pk"), unused=Count("pk", filter=Q(last_used_at=None)))
    )
    return counts["valid"], counts["unused"]


def tokens_valid() -> QuerySet[Token]:
    """Return the tokens that were not revoked, the oldest first."""
    return Token.objects.select_related("tenant").filter(revoked_at=None).order_by("created_at")


def tokens_of_tenant(name: str, *, up_to: str | None = None) -> QuerySet[Token]:
    """Return those of one tenant; with a level those alone that are a tenant's own and not above it."""
    tokens = tokens_valid().filter(tenant__name=name)
    return tokens if up_to is None else tokens.filter(perm__in=perms_up_to(up_to), is_operator=False)


def token_like(*, tenant: str, perm: str, hint: str) -> Token | None:
    """Find a token by what listings show of it; None unless it is the only one."""
    rows = Token.objects.select_related("tenant").filter(tenant__name=tenant, perm=perm, hint=hint)
    return rows.first() if rows.count() == 1 else None
