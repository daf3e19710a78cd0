"""Join tokens: what one host exchanges, once and within a day, for a token of its own.

What stands on a command line is seen by others on that machine and stays in its history; a join token is
worth nothing once its host has joined.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction

from apps.core import clock
from apps.core.errors import NotAllowed
from apps.core.marked_texts import gettext
from apps.users.errors import JoinTokenUsed, NoJoinToken
from apps.users.models import Tenant, Token
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import token_by_text, token_facts
from apps.users.services.audit import audit_record
from apps.users.services.tokens import token_issue, token_revoke
from apps.users.states import JOIN, JOINS, PART_PERMS, Perm

VALID_FOR: Final = timedelta(days=1)
"""How long a host may take until it joins."""


@transaction.atomic
def join_token_issue(*, tenant: Tenant, part: str, by: Principal) -> str:
    """Create a join token for a part of `JOINS` and return its text.  Raises NotAllowed."""
    if by.is_limited:
        raise NotAllowed(gettext("a limited token cannot create other tokens"))
    name, expires_at = f"join a {part}", clock.now() + VALID_FOR
    text = token_issue(tenant=tenant, name=name, perm=Perm.READ, scopes=[JOIN], expires_at=expires_at, by=by)
    row = _row(text)
    row.joins = part
    row.save(update_fields=["joins"])
    audit_record(principal=by, action="token.create", target=str(row), after=token_facts(row))
    return text


@transaction.atomic
def host_join(*, by: Principal, uid: str, name: str) -> str:
    """Return the text of the host's own token.  Raises NoJoinToken, JoinTokenUsed.

    A host that never heard the answer asks again with the same uid: what it got before is revoked.
    """
    rows = Token.objects.select_for_update(of=("self",)).select_related("tenant", "joined_token")
    row = rows.filter(joins__in=JOINS, pk=by.token_id).first() if by.token_id else None
    if row is None:
        raise NoJoinToken
    if row.joined_uid not in ("", uid):
        raise JoinTokenUsed
    if row.joined_token is not None:
        token_revoke(row.joined_token)
    text = token_issue(tenant=row.tenant, name=name, perm=PART_PERMS[row.joins], scopes=[row.joins], by=by)
    row.joined_uid, row.joined_token = uid, _row(text)
    row.save(update_fields=["joined_uid", "joined_token"])
    after = {"part": row.joins, "host": name, "uid": uid}
    audit_record(principal=by, action="token.join", target=f"{row.tenant.name}/{name}", after=after)
    return text


def host_token_revoke(*, tenant_id: int, uid: str) -> bool:
    """Revoke the token that a host got when it joined; gives whether it has one."""
    joins = Token.objects.filter(tenant_id=tenant_id, joined_uid=uid).exclude(joined_token=None)
    rows = [
        join.joined_token for join in joins.select_related("joined_token") if join.joined_token is not None
    ]
    for row in rows:
        token_revoke(row)
    return bool(rows)


def _row(text: str) -> Token:
    """Return the row of a token that was just made."""
    row = token_by_text(text)
    assert row is not None
    return row
