"""Heartbeats: every process says every few seconds that it works; pages and /readyz read who does."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from django.conf import settings
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.redis_clients import redis_client

HEARTBEAT_EVERY_S: Final = 2.0
"""How often a process gives a beat."""

HEARTBEAT_TIMEOUT_S: Final = 10.0
"""Silence after which a process counts as not working: five missed beats."""

HEARTBEAT_KEPT: Final = timedelta(days=1)
"""How long a silent process is remembered."""

KEY: Final = "poolsite:life"
POOL_KEY: Final = "poolsite:pool"
"""Redis key with the id of the pool that uses this Redis."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last that was heard of a process."""

    name: str
    """Of this machine's or a host's; another console machine's is `name@machine`."""
    pid: int
    seen_at: datetime
    detail: str

    def is_fresh(self, at: datetime) -> bool:
        """Return whether the process was heard recently enough to count as working."""
        return (at - self.seen_at).total_seconds() <= HEARTBEAT_TIMEOUT_S


def heartbeat_send(name: str = "", *, detail: str = "", pid: int | None = None) -> None:
    """Note that process `name` (this one by default) works now.

    Called for remote processes too, when their connection or heartbeat arrives.  Without Redis the
    beat is lost, which is what a reader then sees.
    """
    entry = {"pid": os.getpid() if pid is None else pid, "at": now().isoformat(), "detail": detail}
    if not name:
        systemd_notify()
    try:
        redis_client().hset(KEY, name or own_field(), json.dumps(entry))
    except (RedisError, OSError):
        return


def systemd_notify() -> None:
    """Notify systemd, if it started this process, that it works: ready from now on, and not hanging.

    As sd_notify(3) describes: a datagram to the socket in NOTIFY_SOCKET.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            name = f"\0{address[1:]}" if address.startswith("@") else address
            link.sendto(b"READY=1\nWATCHDOG=1", name)


def own_field() -> str:
    """Return under which name this process's heartbeats are kept, beside those of other machines."""
    return f"{settings.PROCESS_NAME}@{settings.MACHINE_NAME}"


def heartbeat_forget() -> None:
    """Forget this process, which ends by itself: nobody has to miss it."""
    try:
        redis_client().hdel(KEY, own_field())
    except (RedisError, OSError):
        return


def notify_ready() -> None:
    """Notify the supervisor, if one started this process, that it works from now on."""
    word = os.environ.pop("POOLSITE_READY_FD", "")
    if word:
        os.write(int(word), b"1")
        os.close(int(word))


def heartbeats() -> dict[str, Heartbeat]:
    """Return the last beat of each process, by name; forgets those silent for a day.  Raises RedisError."""
    client = redis_client()
    rows = cast("dict[str, str]", client.hgetall(KEY))
    beats, forgotten = {}, []
    own = f"@{settings.MACHINE_NAME}"
    # Versions from before machines had names left beats without one: those of this machine go before them.
    for field, text in sorted(rows.items(), key=lambda row: row[0].endswith(own)):
        entry, name = json.loads(text), field.removesuffix(own)
        beat = Heartbeat(name, entry["pid"], datetime.fromisoformat(entry["at"]), entry["detail"])
        if now() - beat.seen_at > HEARTBEAT_KEPT:
            forgotten.append(field)
        else:
            beats[name] = beat
    if forgotten:
        client.hdel(KEY, *forgotten)
    return dict(sorted(beats.items()))


def redis_claim(pool: str) -> bool:
    """Note which pool this Redis serves; False if processes of another pool work with it.  Raises RedisError.

    They would take each other's tasks.  One whose processes have been silent needs it no more.
    """
    client = redis_client()
    owner = client.get(POOL_KEY)
    if owner and owner != pool and any(beat.is_fresh(now()) for beat in heartbeats().values()):
        return False
    client.set(POOL_KEY, pool)
    return True
