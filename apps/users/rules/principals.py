"""Who asks: a person, a token or the pool itself, reduced to what decides about access."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
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
    """Scopes of the machine interface that it is limited to; empty: no limit."""
    actor: str = ""
    """Who it is, for the audit log and for names on pages."""
    people: tuple[str, ...] = ()
    """Usernames of the people behind it: who is signed in, who created the token, or who had the pool act;
    empty where nobody is known."""
    token_id: str = ""
    """The token's id where it is one, so that a revocation finds its connections."""
    source: str = ""
    """Network address of the caller, where there is one."""

    methods: tuple[str, ...] = ()
    """Patterns of what it may call; empty: no limit."""
    miners: tuple[int, ...] = ()
    """Actor ids of the miners that it sees and addresses; empty: no limit."""
    signers: tuple[str, ...] = ()
    """Addresses for which it may have something signed; empty: no limit."""

    @property
    def own_id(self) -> int:
        """The tenant whose rows it sees when it is no operator; 0, which no row has, if there is none."""
        return self.tenant_id or 0

    def may(self, perm: str) -> bool:
        """Return whether its level allows `perm`."""
        return self.perm in PERMS and perm in PERMS[: PERMS.index(self.perm) + 1]

    def has_scope(self, scope: str) -> bool:
        """Return whether it has this scope of the machine interface; the general scope is the empty word."""
        return not self.scopes or scope in self.scopes

    @property
    def is_limited(self) -> bool:
        """Return whether it is a token that does less than its level says; such a one makes no tokens."""
        return bool(self.scopes or self.methods or self.miners or self.signers)

    @property
    def is_partial(self) -> bool:
        """Return whether it sees a part of its tenant; what concerns the whole tenant it does not change."""
        return bool(self.miners or self.signers)

    @property
    def sees_pool(self) -> bool:
        """Return whether it sees what belongs to no miner or signer, such as hosts, of all tenants."""
        return self.is_operator and not self.is_partial

    def may_call(self, method: str) -> bool:
        """Return whether it may call this: a JSON-RPC method by its name, a view as `rest.<name>`."""
        return not self.methods or any(fnmatchcase(method, pattern) for pattern in self.methods)

    def may_address(self, to: str) -> bool:
        """Return whether its messages may go to this address: one limited to miners reaches only those."""
        return not self.miners or to[1:] in {f"0{actor_id}" for actor_id in self.miners}

    def may_mine(self, actor_id: int) -> bool:
        """Return whether it may deal with this miner."""
        return not self.miners or actor_id in self.miners

    def may_sign_with(self, address: str) -> bool:
        """Return whether it may have something signed for this address."""
        return not self.signers or address in self.signers

    def may_see_signer(self, address: str) -> bool:
        """Return whether it sees this address among its tenant's: one for miners alone sees none."""
        return not self.is_partial or address in self.signers


SYSTEM: Final = Principal(
    tenant_id=None, tenant_name="", is_operator=True, perm=Perm.ADMIN, actor="system", token_id="", source=""
)
"""The pool itself: tasks and management commands."""
