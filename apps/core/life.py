"""Signs of life: every process says every few seconds that it works; pages and /readyz read who does."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from django.conf import settings
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.stores import redis_client

LIFE_EVERY_S: Final = 2.0
"""How often a process gives a sign."""

LIFE_PATIENCE_S: Final = 10.0
"""Silence after which a process counts as not working: five missed signs."""

LIFE_KEPT: Final = timedelta(days=1)
"""How long a silent process is remembered."""

KEY: Final = "poolsite:life"


@dataclass(frozen=True, slots=True)
class Sign:
    """The last that was heard of a process."""

    name: str
    pid: int
    seen_at: datetime
    detail: str

    def is_fresh(self, at: datetime) -> bool:
        """Tell whether the process was heard recently enough to count as working."""
        return (at - self.seen_at).total_seconds() <= LIFE_PATIENCE_S


def life_sign(name: str = "", *, detail: str = "", pid: int | None = None) -> None:
    """Note that process `name` (this one by default) works now.

    Called for remote processes too, when their connection or heartbeat arrives.  Without Redis the
    sign is lost, which is what a reader then sees.
    """
    entry = {"pid": os.getpid() if pid is None else pid, "at": now().isoformat(), "detail": detail}
    try:
        redis_client().hset(KEY, name or settings.PROCESS_NAME, json.dumps(entry))
    except (RedisError, OSError):
        return


def ready_say() -> None:
    """Tell the supervisor, if one started this process, that it works from now on."""
    word = os.environ.pop("POOLSITE_READY_FD", "")
    if word:
        os.write(int(word), b"1")
        os.close(int(word))


def life_signs() -> dict[str, Sign]:
    """Give the last sign of each process, by name; forgets those silent for a day.  Raises RedisError."""
    client = redis_client()
    rows = cast("dict[str, str]", client.hgetall(KEY))
    signs, forgotten = {}, []
    for name, text in rows.items():
        entry = json.loads(text)
        sign = Sign(name, entry["pid"], datetime.fromisoformat(entry["at"]), entry["detail"])
        if now() - sign.seen_at > LIFE_KEPT:
            forgotten.append(name)
        else:
            signs[name] = sign
    if forgotten:
        client.hdel(KEY, *forgotten)
    return dict(sorted(signs.items()))
