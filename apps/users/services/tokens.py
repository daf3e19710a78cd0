"""Tokens of programs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from apps.core import clock
from apps.core.addresses import address_fault
from apps.core.errors import BadValue, NotAllowed
from apps.core.marked_texts import gettext
from apps.users.errors import (
    BadPerm,
    TenantUnknown,
)
from apps.users.models import (
    MinerGrant,
    SignerGrant,
    Tenant,
    Token,
)
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import address_canonical
from apps.users.selectors.tokens import USE_NOTED_EVERY, token_by_text, token_digest, token_facts
from apps.users.services.access import access_change_publish
from apps.users.services.audit import audit_record
from apps.users.states import PART_PERMS, PERMS, Perm
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.jwt import Claims, token_sign

SECRET_BYTES: Final = 32
"""Every token has a secret of its own; it is forgotten once the text is made."""


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token is limited to within its level; nothing named is no limit."""

    methods: Sequence[str] = ()
    miners: Sequence[int] = ()
    signers: Sequence[str] = ()


NO_LIMITS: Final = TokenLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpec:
    """A token that somebody asks for."""

    name: str
    perm: str
    scopes: Sequence[str] = ()
    methods: Sequence[str] = ()
    miners: Sequence[int] = ()
    signers: Sequence[str] = ()
    expires_at: datetime | None = None
    is_operator: bool = False
    ext: str = ""


@transaction.atomic
def token_create(spec: TokenSpec, *, tenant: Tenant, principal: Principal) -> tuple[Token, str]:
    """Create a token of a tenant and return it with its text, which nobody can read again.

    Raises NotAllowed, TenantUnknown, BadPerm, BadValue naming the field.
    """
    if not principal.may(Perm.ADMIN):
        raise NotAllowed(gettext("this requires the level 'admin'"))
    if principal.is_limited:
        raise NotAllowed(gettext("a limited token cannot create other tokens"))
    if not principal.is_operator:
        if spec.is_operator:
            reason = gettext("only the operator can create tokens that see every tenant")
            raise NotAllowed(reason, field="operator")
        if tenant.pk != principal.own_id:
            raise TenantUnknown(tenant.name, field="tenant")
    _perm_check(spec)
    if spec.expires_at is not None and spec.expires_at <= clock.now():
        raise BadValue(gettext("must be in the future"), field="expires_at")
    try:
        signers = [address_canonical(text) for text in spec.signers]
    except BadAddress as error:
        raise BadValue(address_fault(error), field="signers") from None
    limits = TokenLimits(methods=spec.methods, miners=spec.miners, signers=signers)
    if not spec.is_operator:
        token_limits_check(tenant=tenant, limits=limits)
    text = token_issue(
        tenant=tenant, name=spec.name, perm=spec.perm, scopes=spec.scopes, expires_at=spec.expires_at,
        is_operator=spec.is_operator, ext=spec.ext, limits=limits, by=principal,
    )  # fmt: skip
    row = token_by_text(text)
    assert row is not None
    audit_record(principal=principal, action="token.create", target=str(row), after=token_facts(row))
    return row, text


def _perm_check(spec: TokenSpec) -> None:
    """Refuse a level with which a part of the token's could not work.  Raises BadPerm, BadValue."""
    if spec.perm not in PERMS:
        raise BadPerm(spec.perm)
    least = max((PART_PERMS.get(part, Perm.READ) for part in spec.scopes), key=PERMS.index, default=Perm.READ)
    if PERMS.index(spec.perm) < PERMS.index(least):
        reason = gettext("this component needs at least level {least}").format(least=least)
        raise BadValue(reason, field="perm")


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


@transaction.atomic
def token_revoke(token: Token, *, by: Principal | None = None) -> bool:
    """Revoke a token from the next request on; its open sockets are closed by their process.

    False if it was revoked before.  Without `by` it is a part of another act, whose line tells of it.
    """
    if not Token.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=clock.now()):
        return False
    access_change_publish()
    if by is not None:
        audit_record(principal=by, action="token.revoke", target=str(token), after={"uuid": str(token.pk)})
    return True


@transaction.atomic
def token_restore(token: Token, *, by: Principal) -> None:
    """Undo a revocation."""
    Token.objects.filter(pk=token.pk).update(revoked_at=None)
    audit_record(principal=by, action="token.restore", target=str(token), after={"uuid": str(token.pk)})


def token_use_record(token: Token, *, now: datetime, source: str) -> None:
    """Note a use, at most once in `USE_NOTED_EVERY`; after the transaction, which may yet lock others."""
    if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY:
        row = Token.objects.filter(pk=token.pk)
        transaction.on_commit(lambda: row.update(last_used_at=now, last_used_from=source[:64]))
