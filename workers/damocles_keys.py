"""What each key of a damocles-worker's file takes: a check returns what to write instead, or nothing.

Source: ipfs-force-community/damocles damocles-worker/src/config.rs, sealing/processor/external/config.rs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from poolsite.wire.sealing_rule_values import DURATION, READERS
from poolsite.wire.sealing_rule_values import PLANS as THREAD_PLANS
from workers.storage.bucket_settings import endpoint_fault, url_fault

PLANS: Final = (*THREAD_PLANS, "wdpost")
CPUSET: Final = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*")


def text(value: Any) -> str:
    """Check a text."""
    return "" if isinstance(value, str) and value else "use a quoted string"


def place(value: Any) -> str:
    """Check a path; a relative one begins in the file's folder."""
    return "" if isinstance(value, str) and value else 'use a path such as "/mnt/nvme1"'


def texts(value: Any) -> str:
    """Check a list of texts."""
    is_good = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return "" if is_good else 'use a list of strings such as ["a", "b"]'


def flag(value: Any) -> str:
    """Check a yes or no."""
    return "" if isinstance(value, bool) else "use true or false"


def count(value: Any) -> str:
    """Check a number of at least 1."""
    is_good = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 10_000
    return "" if is_good else "use a whole number from 1 to 10000"


def number(value: Any) -> str:
    """Check a whole number."""
    is_good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if is_good else "use a whole number"


def niceness(value: Any) -> str:
    """Check a priority."""
    is_good = isinstance(value, int) and not isinstance(value, bool) and -20 <= value <= 19
    return "" if is_good else "use a whole number from -20 to 19"


def duration(value: Any) -> str:
    """Check a time."""
    return (
        ""
        if isinstance(value, str) and DURATION.fullmatch(value)
        else 'use a duration such as "30s" or "5min"'
    )


def cpuset(value: Any) -> str:
    """Check a set of cores."""
    is_good = isinstance(value, str) and CPUSET.fullmatch(value) is not None
    pairs = [part.partition("-") for part in value.split(",")] if is_good else []
    is_good &= all(int(first) <= int(last or first) for first, _, last in pairs)
    return "" if is_good else 'use cores such as "0-7" or "0-3,8"'


def environment(value: Any) -> str:
    """Check variables."""
    is_good = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return "" if is_good else 'use string values, for example { FIL_PROOFS_USE_GPU = "1" }'


def plan(value: Any) -> str:
    """Check a plan."""
    return "" if value in PLANS else f"use one of {', '.join(PLANS)}"


def bucket_url(value: Any) -> str:
    """Check a bucket's url."""
    return url_fault(value) if isinstance(value, str) else 'use a URL such as "s3://sectors/pool1"'


def endpoint(value: Any) -> str:
    """Check the address of a bucket's server."""
    return endpoint_fault(value if isinstance(value, str) else "")


def table(value: Any) -> str:
    """Check a table."""
    return "" if isinstance(value, dict) else "use a table"


def is_tables(value: Any) -> bool:
    """Return whether a value is an array with tables."""
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def miners(value: Any) -> str:
    """Check miners by their ids."""
    remedy = "use a list of actor IDs such as [1000, 1001]"
    if not isinstance(value, list) or any(isinstance(one, bool) for one in value):
        return remedy
    try:
        READERS["allowed_miners"](value)
    except ValueError:
        return remedy
    return ""


def anything(_value: Any) -> str:
    """Check nothing."""
    return ""


SEALING: Final = {
    "allowed_miners": miners,
    "allowed_sizes": texts,
    "enable_deals": flag,
    "disable_cc": flag,
    "max_deals": anything,
    "min_deal_space": anything,
    "max_retries": number,
    "seal_interval": duration,
    "recover_interval": duration,
    "rpc_polling_interval": duration,
    "ignore_proof_check": flag,
    "request_task_max_retries": number,
    "verify_after_pc2": flag,
}
PACE: Final = "the console sets how often the host asks for work"
SEALING_HERE: Final = {
    **dict.fromkeys(("rpc_polling_interval", "request_task_max_retries"), PACE),
    "ignore_proof_check": "a sector is done once its proof has landed",
}
"""Keys of [sealing] that are not obeyed, and what stands for them."""
THREAD: Final = {"location": place, "plan": plan, "sealing": table}
ATTACHED: Final = {
    "name": text,
    "location": place,
    "readonly": flag,
    "url": bucket_url,
    "endpoint": endpoint,
    "region": text,
    "credentials": place,
}
"""Of a store; those of a bucket, from `url` on, are our own."""
BUCKET: Final = ("endpoint", "region", "credentials")
"""Keys of a store that only a bucket has."""
SECRETS: Final = ("access_key", "secret_key", "aws_access_key_id", "aws_secret_access_key", "secret")
"""What does not stand in the file."""
LIMITATION: Final = {"concurrent": table, "staggered": table}
CGROUP: Final = {"group_name": text, "cpuset": cpuset}
PROCESSOR: Final = {
    "bin": text,
    "args": texts,
    "stable_wait": duration,
    "cgroup": table,
    "envs": environment,
    "numa_preferred": number,
    "nice": niceness,
    "concurrent": count,
    "sectors": count,
    "wait_minutes": count,
    "locks": texts,
    "weight": count,
    "auto_restart": flag,
    "inherit_envs": flag,
}
PLAIN_TABLES: Final[dict[str, dict[str, Callable[[Any], str]]]] = {
    "worker": {
        "name": text,
        "rpc_server": table,
        "ping_interval": duration,
        "local_pieces_dir": place,
        "local_pieces_dirs": texts,
        "scan_persist_stores": texts,
        "ScanPersistStores": texts,
    },
    "metrics": {"enable": flag, "http_listen": text},
    "sector_manager": {"rpc_client": table, "piece_token": text},
    "sealing": SEALING,
}
