"""Where a request must go: which process holds a connection for a key, kept in Redis.

`hub:route:<key>` is a hash: connection id → process and the accounts that it serves.  An entry counts while
`hub:process:<process>` lives, which that process renews; so idle connections cost nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from apps.core.redis_clients import redis_client

HEARTBEAT_S: Final = 1.0
"""How often a process renews its heartbeat."""
PROCESS_TTL_S: Final = 4
"""A process without a heartbeat for so long is dead."""
INBOX_TTL_S: Final = 120
"""The inbox of a dead process, and an answer that nobody fetches, expire after this time."""
RECONNECT_WAIT_S: Final = 10.0
"""A signer that was here lately dials again within 5 s: its callers wait that long instead of failing."""
NOT_CONNECTED: Final = "send request must have channel"
"""sophon-gateway's words for nobody being connected."""
END: Final = "poolsite.End"
"""Asked of the process that holds a connection, not of its program: the pool wants the channel closed."""
PROVE: Final = "poolsite.Prove"
"""The pool wants the key in the payload proved once more."""


@dataclass(frozen=True, slots=True)
class ConnectionRef:
    """A connection, and the process that holds it."""

    connection: str
    process: str
    accounts: frozenset[str]

    def serves(self, accounts: Collection[str] | None) -> bool:
        """Return whether it answers for one of `accounts`; None asks for nobody in particular."""
        return accounts is None or not self.accounts.isdisjoint(accounts)


WALLET: Final = "wallet:"
"""How the keys of signing addresses begin."""


def wallet_route(address: str) -> str:
    """Return the key of a signing address."""
    return WALLET + address


def wallet_addresses(routes: Iterable[str]) -> set[str]:
    """Return the signing addresses among routes."""
    return {route.removeprefix(WALLET) for route in routes if route.startswith(WALLET)}


HOST_MARK: Final = "\n"
"""Between a tenant and one of its hosts; no tenant's name has a line end."""


def host_account(tenant: str, host: str) -> str:
    """Return the account under which one host of a tenant is asked, and no other."""
    return f"{tenant}{HOST_MARK}{host}"


def proof_route(actor_id: int) -> str:
    """Return the key of a miner's provers."""
    return f"proof:{actor_id}"


def market_route(actor_id: int) -> str:
    """Return the key of a miner's storage that unseals pieces."""
    return f"market:{actor_id}"


def route_name(key: str) -> str:
    """Return the Redis name of a route."""
    return f"hub:route:{key}"


def process_name(process: str) -> str:
    """Return the Redis name of a process' heartbeat."""
    return f"hub:process:{process}"


def inbox_name(process: str) -> str:
    """Return the Redis name of a process' list of incoming items."""
    return f"hub:inbox:{process}"


def entry_write(process: str, accounts: Iterable[str]) -> str:
    """Return the JSON of one entry of a route."""
    return json.dumps([process, sorted(accounts)])


def entries_read(entries: dict[str, str]) -> list[ConnectionRef]:
    """Return the connections of a route, of live and dead processes."""
    read: dict[str, tuple[str, list[str]]] = {key: json.loads(entry) for key, entry in entries.items()}
    return [ConnectionRef(key, process, frozenset(accounts)) for key, (process, accounts) in read.items()]


def connections_alive(key: str, accounts: Collection[str] | None) -> list[ConnectionRef]:
    """Return the connections that can answer for one of `accounts`; remove entries of dead processes."""
    client = redis_client()
    entries: Any = client.hgetall(route_name(key))
    found = entries_read(entries)
    if not found:
        return []
    heartbeats: Any = client.mget([process_name(one.process) for one in found])
    dead = [one.connection for one, alive in zip(found, heartbeats, strict=True) if alive is None]
    if dead:
        client.hdel(route_name(key), *dead)
    alive = [one for one, heartbeat in zip(found, heartbeats, strict=True) if heartbeat is not None]
    return [one for one in alive if one.serves(accounts)]
