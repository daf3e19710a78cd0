"""A fresh token of a tenant, made over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.acceptance.pool import RunningPool


def token_for(pool: RunningPool, tenant: str, *, perm: str = "sign", **change: Any) -> str:
    """A fresh token of a tenant, made over REST."""
    body = {"tenant": tenant, "name": "program", "perm": perm, **change}
    answer = pool.ask("POST", "/api/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])
