"""Tokens by which clients see their own deals."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.core import clock
from apps.core.errors import BadValue, NotAllowed
from apps.core.marked_texts import gettext
from apps.market.models import ClientToken
from apps.market.selectors.client_tokens import client_token_by_text, client_token_check
from apps.market.selectors.deals import client_get
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.tokens import USE_NOTED_EVERY, token_digest
from apps.users.services.audit import audit_record
from apps.users.services.people import can_manage_people

SECRET_BYTES: Final = 32
NAME_MAX: Final = 100
TOKENS_MAX: Final = 20
"""Good tokens of one client."""


@transaction.atomic
def client_token_create(
    *, client: str, name: str, expires_at: datetime | None, by: Principal
) -> tuple[ClientToken, str]:
    """Create a token of a client and return it with its text, which nobody can read again.

    Raises ClientUnknown, NotAllowed, BadValue naming the field.
    """
    _right_check(by)
    address = client_get(by, client)["client"]
    if not name or len(name) > NAME_MAX:
        raise BadValue(gettext("must have 1 to {most} characters").format(most=NAME_MAX), field="name")
    now = clock.now()
    if expires_at is not None and expires_at <= now:
        raise BadValue(gettext("must be in the future"), field="expires_at")
    tenant = None if by.is_operator else Tenant.objects.select_for_update(no_key=True).get(pk=by.own_id)
    open_rows = ClientToken.objects.filter(client=address, tenant=tenant, revoked_at=None)
    if open_rows.exclude(expires_at__lte=now).count() >= TOKENS_MAX:
        reason = gettext("the client has {most} tokens already: revoke one")
        raise BadValue(reason.format(most=TOKENS_MAX), field="name")
    text = secrets.token_urlsafe(SECRET_BYTES)
    row = ClientToken.objects.create(
        client=address,
        tenant=tenant,
        name=name,
        digest=token_digest(text),
        created_by=next(iter(by.people), ""),
        expires_at=expires_at,
    )
    after = {
        "uuid": str(row.uuid),
        "name": name,
        "miners": "all" if tenant is None else tenant.name,
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }
    audit_record(principal=by, action="client.token-create", target=address, after=after)
    return row, text


@transaction.atomic
def client_token_revoke(row: ClientToken, *, by: Principal) -> None:
    """Revoke a token from the next request on; once more is fine.  Raises NotAllowed."""
    _right_check(by)
    if ClientToken.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=clock.now()):
        values = {"uuid": str(row.uuid), "name": row.name}
        audit_record(principal=by, action="client.token-revoke", target=row.client, before=values)


@transaction.atomic
def client_token_login(text: str) -> ClientToken:
    """Return the token of this text and note its use.  Raises ClientTokenRefused."""
    return client_token_touch(client_token_check(client_token_by_text(text), now=clock.now()))


def client_token_touch(row: ClientToken) -> ClientToken:
    """Note that a token is used, now and then."""
    now = clock.now()
    if row.last_used_at is None or now - row.last_used_at >= USE_NOTED_EVERY:
        ClientToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def _right_check(by: Principal) -> None:
    if not can_manage_people(by):
        raise NotAllowed(gettext("this requires the level 'admin'"))
    if by.is_limited:
        raise NotAllowed(gettext("a limited token cannot create other tokens"))
