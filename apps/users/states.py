"""The levels of access and the roles of people."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class Perm(models.TextChoices):
    """What a token may do; each level holds those before it."""

    READ = "read"
    WRITE = "write"
    SIGN = "sign"
    ADMIN = "admin"


POOL: Final = "pool"
"""The tenant that the embedded programs and the first operator belong to."""
PERMS: Final[tuple[str, ...]] = tuple(Perm.values)
"""In order: a level allows itself and everything before it."""
PART_PERMS: Final[dict[str, str]] = {"signer": Perm.READ, "sealer": Perm.WRITE, "prover": Perm.WRITE}
"""What the programs of a scope need to do their work: less shuts them out."""
JOIN: Final = "join"
"""Scope of a token that one host exchanges, once, for a token of its own."""
JOINS: Final = ("sealer", "prover")
"""Parts for which there are join tokens."""
CONSOLE: Final = "console"
"""What a join token of a console machine joins; no host exchanges such a token."""
JOIN_CONSOLE: Final = "join-console"
"""Scope of a token that one console machine exchanges, once, for what the pool's consoles share."""


class Role(models.TextChoices):
    """What a person is to the pool."""

    OPERATOR = "OPERATOR", _("Operator")
    TENANT_ADMIN = "TENANT_ADMIN", _("Tenant admin")
    TENANT = "TENANT", _("Tenant operator")
    AUDITOR = "AUDITOR", _("Auditor")


class Factor(models.TextChoices):
    """How a person proved who they are."""

    PASSWORD = "PASSWORD", _("Password")
    TOTP = "TOTP", _("Password and authenticator app")
    RECOVERY = "RECOVERY", _("Password and recovery code")
    PASSKEY = "PASSKEY", _("Passkey")
    COMPANY = "COMPANY", _("Company sign-in")


ROLE_PERMS: Final[dict[str, str]] = {
    Role.OPERATOR: Perm.ADMIN,
    Role.TENANT_ADMIN: Perm.ADMIN,
    Role.TENANT: Perm.SIGN,
    Role.AUDITOR: Perm.READ,
}
"""The level that a person of this role has within what it sees."""


def perms_up_to(perm: str) -> list[str]:
    """Return the levels that `perm` allows, as sophon-auth lists them: admin first needs all others."""
    return list(PERMS[: PERMS.index(perm) + 1]) if perm in PERMS else []
