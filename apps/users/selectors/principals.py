"""Reading who holds a token and who a person is to the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.users.errors import TokenRefused
from apps.users.principals import Principal
from apps.users.states import ROLE_PERMS, Role

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.models import Token, User


def principal_of_token(row: Token, *, now: datetime, source: str = "") -> Principal:
    """Check a token's row and turn it into who holds it.  Raises TokenRefused."""
    if row.revoked_at is not None:
        raise TokenRefused(gettext("this token was revoked"))
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenRefused(gettext("this token has expired"))
    if not row.tenant.is_open:
        raise TokenRefused(gettext("this token's account is disabled"))
    return Principal(
        tenant_id=row.tenant_id,
        tenant_name=row.tenant.name,
        is_operator=row.is_operator,
        perm=row.perm,
        scopes=tuple(row.scopes),
        actor=f"token {row.tenant.name}/{row.name}",
        token_id=str(row.uuid),
        source=source,
        methods=tuple(row.methods),
        miners=tuple(row.miners),
        signers=tuple(row.signers),
    )


def principal_of(user: User, *, source: str = "") -> Principal:
    """Return who a person is to the pool; a person without a tenant who is no operator sees nothing.

    Raises TokenRefused if the person's tenant is disabled.
    """
    if user.tenant is not None and not user.tenant.is_open:
        raise TokenRefused(gettext("this account is disabled"))
    is_operator = user.role == Role.OPERATOR
    return Principal(
        tenant_id=user.tenant_id,
        tenant_name=user.tenant.name if user.tenant is not None else "",
        is_operator=is_operator,
        perm=ROLE_PERMS.get(user.role, ""),
        actor=user.get_username(),
        source=source,
    )
