"""Who asks: a person, a token or the pool itself, reduced to what decides about access."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.users.states import PERMS, Perm


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a service or selector."""

    tenant_id: int | None
    """Whose rows it sees; None only for the pool itself."""
    tenant_name: str
    is_operator: bool
    """Sees the rows of all tenants."""
    perm: str
    """One of `PERMS`."""
    scopes: tuple[str, ...] = ()
    """Parts of the machine interface that it is limited to; empty: no limit."""
    actor: str = ""
    """Who it is, for the audit log and for names on pages."""
    token_id: str = ""
    """The token's id where it is one, so that a revocation finds its connections."""
    source: str = ""
    """Network address of the caller, where there is one."""

    @property
    def own_id(self) -> int:
        """The tenant whose rows it sees when it is no operator; 0, which no row has, if there is none."""
        return self.tenant_id or 0

    def may(self, perm: str) -> bool:
        """Tell whether its level allows `perm`."""
        return self.perm in PERMS and perm in PERMS[: PERMS.index(self.perm) + 1]

    def has_scope(self, scope: str) -> bool:
        """Tell whether it may use this part of the machine interface; the general part is the empty word."""
        return not self.scopes or scope in self.scopes


SYSTEM: Final = Principal(
    tenant_id=None, tenant_name="", is_operator=True, perm=Perm.ADMIN, actor="system", token_id="", source=""
)
"""The pool itself: tasks and management commands."""
