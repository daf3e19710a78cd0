"""A store as a host's heartbeat tells of it."""

from __future__ import annotations

from poolsite.wire.stores import AttachedStore, StoreCondition


def told(name: str, condition: StoreCondition = StoreCondition.READY) -> AttachedStore:
    return AttachedStore(
        uid=f"uid-{name}",
        name=name,
        path=f"/mnt/{name}",
        condition=condition,
        total_bytes=1 << 40,
        free_bytes=1 << 39,
    )
