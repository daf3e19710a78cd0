"""The role that the company's groups give a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from apps.core.languages import list_text
from apps.core.marked_texts import gettext
from apps.users.errors import CompanyRefused
from apps.users.states import POOL, Role

RANKS: Final = (Role.OPERATOR, Role.TENANT_ADMIN, Role.TENANT, Role.AUDITOR)
"""Highest first: of several groups the highest role counts."""


@dataclass(frozen=True, slots=True)
class GroupRole:
    """The role that members of a group have."""

    role: Role
    tenant: str


def group_role_read(text: str) -> GroupRole:
    """Read a value of `OIDC_GROUPS`, checked by the settings: `OPERATOR`, or a role and its tenant."""
    role, _, tenant = text.partition(" ")
    return GroupRole(Role(role), tenant or POOL)


def group_role_find(groups: Collection[str], *, rules: Mapping[str, str], provider: str) -> GroupRole:
    """Return the highest role of these groups.  Raises CompanyRefused if it is none, or of two tenants."""
    found = [group_role_read(text) for name, text in rules.items() if name in groups]
    if not found:
        text = gettext("none of the groups that {provider} names for you may sign in here: ask an operator")
        raise CompanyRefused(text.format(provider=provider))
    if any(one.role == Role.OPERATOR for one in found):
        return GroupRole(Role.OPERATOR, POOL)
    tenants = sorted({one.tenant for one in found})
    if len(tenants) > 1:
        text = gettext("your groups at {provider} belong to several tenants ({tenants}): ask an operator")
        raise CompanyRefused(text.format(provider=provider, tenants=list_text(tenants)))
    return min(found, key=lambda one: RANKS.index(one.role))
