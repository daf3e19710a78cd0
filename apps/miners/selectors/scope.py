"""Who sees what of a caller's is in a scope: of one tenant, one miner, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from apps.core.errors import DomainError
from apps.miners.selectors.miners import miner_alone
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible

SCOPE: Final = ("tenant", "miner")
"""Parameters of an address that say it; a page or a list that has no such filter takes them along."""


def viewer_in(viewer: Principal, chosen: Mapping[str, str]) -> Principal:
    """Return who sees what of the viewer's is in a scope, and nothing else; the viewer itself without one.

    The tenant's own people see the same, so both share what the checks found.  A tenant that the viewer does
    not see, or whose miner that is not, has nothing.  Raises MinerUnknown.
    """
    name, address = chosen.get("tenant", ""), chosen.get("miner", "")
    if not address:
        if not name or (name == viewer.tenant_name and not viewer.is_operator):
            return viewer
        tenant = tenants_visible(viewer).filter(name=name).first()
        return _limited(viewer, None if tenant is None else tenant.pk, name)
    miner = miner_alone(viewer, address)
    is_its = name in ("", miner.tenant.name)
    # One that is not on the chain yet has nothing: no actor has the number 0 but the system's.
    seen = _limited(viewer, miner.tenant_id if is_its else None, miner.tenant.name)
    return replace(seen, miners=(miner.actor_id or 0,))


def _limited(viewer: Principal, tenant_id: int | None, name: str) -> Principal:
    """Return the viewer as one of a tenant; `None`: of none."""
    shown = "" if tenant_id is None else name
    return replace(viewer, tenant_id=tenant_id or 0, tenant_name=shown, is_operator=False)


def viewer_in_or_whole(viewer: Principal, chosen: Mapping[str, str]) -> Principal:
    """Return the same for the frame of a page that does not use the scope: of a wrong one the viewer."""
    try:
        return viewer_in(viewer, chosen)
    except DomainError:
        return viewer
