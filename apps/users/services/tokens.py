"""Tokens of programs."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.core import clock
from apps.core.errors import BadValue
from apps.users.errors import (
    BadPerm,
)
from apps.users.models import (
    MinerGrant,
    SignerGrant,
    Tenant,
    Token,
)
from apps.users.selectors.tokens import USE_NOTED_EVERY, token_digest
from apps.users.services.access import access_change_publish
from apps.users.states import PERMS, Perm
from poolsite.filecoin.jwt import Claims, token_sign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from apps.users.rules.principals import Principal

SECRET_BYTES: Final = 32
"""Every token has a secret of its own; it is forgotten once the text is made."""


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token is limited to within its level; nothing named is no limit."""

    methods: Sequence[str] = ()
    miners: Sequence[int] = ()
    signers: Sequence[str] = ()


NO_LIMITS: Final = TokenLimits()


def token_limits_check(*, tenant: Tenant, limits: TokenLimits) -> None:
    """Refuse limits to what belongs to another tenant: such a token could do nothing.  Raises BadValue."""
    others = MinerGrant.objects.filter(actor_id__in=limits.miners, deleted_at=None).exclude(tenant=tenant)
    if (miner := others.first()) is not None:
        reason = gettext("{miner} is not a miner of {tenant}").format(miner=miner, tenant=tenant.name)
        raise BadValue(reason, field="miners")
    grants = SignerGrant.objects.filter(address__in=limits.signers, deleted_at=None)
    own = grants.filter(tenant=tenant).values("address")
    if (grant := grants.exclude(address__in=own).first()) is not None:
        reason = gettext("{address} is not granted to {tenant}").format(
            address=grant.address, tenant=tenant.name
        )
        raise BadValue(reason, field="signers")


@transaction.atomic
def token_issue(  # noqa: PLR0913  # a token has that many fields
    *,
    tenant: Tenant,
    name: str,
    perm: str,
    scopes: Sequence[str] = (),
    expires_at: datetime | None = None,
    is_operator: bool = False,
    ext: str = "",
    limits: TokenLimits = NO_LIMITS,
    by: Principal | None = None,
) -> str:
    """Create a token and return its text, which nobody can read again.  Raises BadPerm.

    The text is a JWT with the claims of sophon-auth (`name` is the tenant's), signed with a secret
    that is thrown away: a token is good because its row is there.
    """
    if perm not in PERMS:
        raise BadPerm(perm)
    secret = secrets.token_bytes(SECRET_BYTES)
    text = token_sign(Claims(name=tenant.name, perm=perm, ext=ext), secret)
    token_record(
        text, tenant=tenant, name=name, perm=perm, scopes=scopes, expires_at=expires_at,
        is_operator=is_operator, ext=ext, methods=list(limits.methods), miners=list(limits.miners),
        signers=list(limits.signers), created_by=token_creator_find(by),
    )  # fmt: skip
    return text


def token_creator_find(by: Principal | None) -> str:
    """Return the person who answers for a token that this caller creates; empty where nobody is known."""
    return next(iter(by.people), "") if by is not None else ""


def token_record(text: str, *, tenant: Tenant, perm: str, **data: Any) -> Token:
    """Create the row of a token whose text exists: issued here, or imported."""
    data["scopes"] = list(data.get("scopes") or ())
    return Token.objects.create(tenant=tenant, perm=perm, digest=token_digest(text), hint=text[-8:], **data)


@contextmanager
def token_lend(*, tenant: Tenant, name: str, scope: str, lasts: timedelta) -> Iterator[str]:
    """Return the text of a token that another program is shown to know us by; it is gone afterwards.

    Should we be killed, it lasts no longer than `lasts`.
    """
    expires_at = clock.now() + lasts
    text = token_issue(tenant=tenant, name=name, perm=Perm.WRITE, scopes=[scope], expires_at=expires_at)
    try:
        yield text
    finally:
        Token.objects.filter(digest=token_digest(text)).delete()
        access_change_publish()


def token_revoke(token: Token) -> None:
    """Revoke a token from the next request on; its open sockets are closed by their process."""
    Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now())
    access_change_publish()


def token_restore(token: Token) -> None:
    """Undo a revocation."""
    Token.objects.filter(pk=token.pk).update(revoked_at=None)


def token_use_record(token: Token, *, now: datetime, source: str) -> None:
    """Note a use, at most once in `USE_NOTED_EVERY`."""
    if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY:
        Token.objects.filter(pk=token.pk).update(last_used_at=now, last_used_from=source[:64])
