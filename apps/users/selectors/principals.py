"""Reading who holds a token and who a person is to the pool."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Final

from apps.core.marked_texts import gettext
from apps.users.errors import TokenRefused
from apps.users.models import Token, User
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.states import ROLE_PERMS, Role

TOKEN_ACTOR: Final = "token "  # noqa: S105  # what its holder is called
"""Begins the name of a token's holder; no username has a space."""


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
        actor=token_actor(row),
        people=(row.created_by,) if row.created_by else (),
        token_id=str(row.uuid),
        source=source,
        methods=tuple(row.methods),
        miners=tuple(row.miners),
        signers=tuple(row.signers),
    )


def token_actor(row: Token) -> str:
    """Return what the holder of a token is called."""
    return f"token {row.tenant.name}/{row.name}"


def actors_people(actors: Iterable[str]) -> tuple[str, ...]:
    """Return the people behind callers of whom only names were kept: themselves, or the tokens' creators.

    Several tokens may have one name; whoever created any of them counts.
    """
    found: set[str] = set()
    for actor in actors:
        if not actor.startswith(TOKEN_ACTOR):
            found.add(actor)
            continue
        tenant, _, name = actor.removeprefix(TOKEN_ACTOR).partition("/")
        rows = Token.objects.filter(tenant__name=tenant, name=name).exclude(created_by="")
        found |= set(rows.values_list("created_by", flat=True))
    return tuple(sorted(found))


@cache
def command_principal() -> Principal:
    """Return the principal of a command: the pool's own rights, with the account's name on this machine.

    Of one who became root by sudo, sudo tells the name; nobody else can set it for root's processes.
    """
    uid = os.geteuid()
    name = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    with contextlib.suppress(KeyError):  # an account that the machine does not know, as in containers
        name = name or pwd.getpwuid(uid).pw_name
    return replace(SYSTEM, actor=f"command of {name or uid} on {socket.gethostname()}")


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
        people=(user.get_username(),),
        source=source,
    )
