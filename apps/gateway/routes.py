"""Where a request must go: which process holds a connection for a key, kept in Redis.

`hub:route:<key>` is a hash: connection id → process and the accounts that it serves.  An entry counts while
`hub:process:<process>` lives, which that process renews; so idle connections cost nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.core.redis_clients import redis_client

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

BEAT_S: Final = 1.0
"""How often a process says that it lives."""
LIFE_S: Final = 4
"""A process that said nothing for so long is dead."""
BOX_S: Final = 120
"""The box of a dead process, and an answer that nobody fetches, go away after this time."""
PATIENCE_S: Final = 10.0
"""A signer that was here lately dials again within 5 s: its callers wait that long instead of failing."""
AWAY: Final = "send request must have channel"
"""sophon-gateway's words for nobody being connected."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One connection that can answer."""

    connection: str
    process: str
    accounts: frozenset[str]

    def serves(self, accounts: Collection[str] | None) -> bool:
        """Tell whether it answers for one of `accounts`; None asks for nobody in particular."""
        return accounts is None or not self.accounts.isdisjoint(accounts)


def wallet_route(address: str) -> str:
    """Give the key of a signing address."""
    return f"wallet:{address}"


def proof_route(actor_id: int) -> str:
    """Give the key of a miner's provers."""
    return f"proof:{actor_id}"


def market_route(actor_id: int) -> str:
    """Give the key of a miner's storage that unseals pieces."""
    return f"market:{actor_id}"


def route_name(key: str) -> str:
    """Give the Redis name of a route."""
    return f"hub:route:{key}"


def process_name(process: str) -> str:
    """Give the Redis name of a process' heartbeat."""
    return f"hub:process:{process}"


def box_name(process: str) -> str:
    """Give the Redis name of a process' list of incoming items."""
    return f"hub:box:{process}"


def entry_write(process: str, accounts: Iterable[str]) -> str:
    """Write one entry of a route."""
    return json.dumps([process, sorted(accounts)])


def holders_read(entries: dict[str, str]) -> list[Holder]:
    """Read the entries of a route, alive or not."""
    read: dict[str, tuple[str, list[str]]] = {key: json.loads(entry) for key, entry in entries.items()}
    return [Holder(key, process, frozenset(accounts)) for key, (process, accounts) in read.items()]


def holders_alive(key: str, accounts: Collection[str] | None) -> list[Holder]:
    """Give the connections that can answer for one of `accounts`; entries of dead processes are removed."""
    client = redis_client()
    entries: Any = client.hgetall(route_name(key))
    holders = holders_read(entries)
    if not holders:
        return []
    signs: Any = client.mget([process_name(holder.process) for holder in holders])
    dead = [holder.connection for holder, sign in zip(holders, signs, strict=True) if sign is None]
    if dead:
        client.hdel(route_name(key), *dead)
    alive = [holder for holder, sign in zip(holders, signs, strict=True) if sign is not None]
    return [holder for holder in alive if holder.serves(accounts)]
