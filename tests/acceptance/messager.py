"""What a program needs to push messages: a token of a tenant, and the address that signs."""

from __future__ import annotations

import json
from typing import Any

from tests.acceptance.pool import RunningPool


def token_for(pool: RunningPool, tenant: str, *, perm: str = "sign", **change: Any) -> str:
    """A fresh token of a tenant, made over REST."""
    body = {"tenant": tenant, "name": "program", "perm": perm, **change}
    answer = pool.ask("POST", "/api/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def worker_of(pool: RunningPool) -> str:
    """The address that signs for the pool's miner."""
    return str(json.loads((pool.var / "signer.json").read_text())["worker"])
