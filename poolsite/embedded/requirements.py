"""What the pool needs of PostgreSQL, Redis and this machine: each line with its check, made at every start.

docs/requirements.md has the same lines and why; a test compares them.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg2

from poolsite.embedded.children import LIBC
from poolsite.embedded.errors import RequirementMissing
from poolsite.embedded.postgres import POSTGRES_MIN, nearest

REDIS_MIN: Final = (6, 2)
FILES_MIN: Final = 1024
POOLER_TRIES: Final = 30
"""More than the sessions that PgBouncer keeps for a user by default."""
PR_GET_CHILD_SUBREAPER: Final = 37

FACTS: Final = """
select current_setting('server_version_num')::int / 10000 as major,
       current_setting('server_version') as version,
       current_setting('server_encoding') as encoding,
       current_setting('default_transaction_isolation') as isolation,
       current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as synchronous_commit,
       has_function_privilege('pg_control_system()', 'execute') as may_identify
"""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of docs/requirements.md."""

    needs: str
    """First words of its line in docs/requirements.md."""
    unmet: Callable[[Any], str]
    """Returns what the server or machine has instead; empty if it is met."""


def _file_locks(folder: Path) -> str:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return "" if error.errno == errno.EWOULDBLOCK else f"locks in {folder} fail: {error.strerror}"
    finally:
        os.close(handle)
    return ""


def _children_listed(_folder: Path) -> str:
    path = f"/proc/self/task/{os.getpid()}/children"
    return "" if os.path.exists(path) else f"{path} does not exist"


def _orphans_adopted(_folder: Path) -> str:
    is_known = LIBC.prctl(PR_GET_CHILD_SUBREAPER, ctypes.create_string_buffer(8)) == 0
    return "" if is_known else "prctl does not know it"


def _files_open(_folder: Path) -> str:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_enough = hard == resource.RLIM_INFINITY or hard >= FILES_MIN
    return "" if is_enough else f"the limit (ulimit -Hn) is {hard}"


MACHINE: Final = (
    Requirement("file locks (flock) in `POOLSITE_VAR`", _file_locks),
    Requirement("`/proc` with lists of children (CONFIG_PROC_CHILDREN)", _children_listed),
    Requirement("orphans given to the supervisor (PR_SET_CHILD_SUBREAPER)", _orphans_adopted),
    Requirement(f"{FILES_MIN} open files for a process", _files_open),
)
"""Requirements of the machine; each check gets an existing folder."""


def _durable(setting: str, facts: Mapping[str, Any]) -> str:
    return "it is off: a crash would lose what was committed" if facts[setting] == "off" else ""


DURABLE: Final = ("fsync", "synchronous_commit")

POSTGRES: Final = (
    Requirement(
        f"PostgreSQL {POSTGRES_MIN} or newer",
        lambda facts: f"it is {facts['version']}" if facts["major"] < POSTGRES_MIN else "",
    ),
    Requirement(
        "encoding UTF8",
        lambda facts: "" if facts["encoding"] == "UTF8" else f"the database has {facts['encoding']}",
    ),
    Requirement(
        "`default_transaction_isolation` = read committed",
        lambda facts: "" if facts["isolation"] == "read committed" else f"it is {facts['isolation']}",
    ),
    *(Requirement(f"`{name}` not off", partial(_durable, name)) for name in DURABLE),
    Requirement(
        "the right to call `pg_control_system()`",
        lambda facts: "" if facts["may_identify"] else "the user lacks it",
    ),
    Requirement(
        "a session of its own for each connection",
        lambda facts: (
            ""
            if facts["is_session"]
            else "a pooler in front of it (such as PgBouncer) is in "
            "transaction or statement mode: use pool_mode = session, or connect to PostgreSQL itself"
        ),
    ),
)
"""Requirements of PostgreSQL, embedded or named by DATABASE_URL."""


def _redis_version(info: Mapping[str, Any]) -> str:
    if "valkey_version" in info:
        return ""
    version = str(info.get("redis_version", "unknown"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return f"it is {version}" if numbers < REDIS_MIN else ""


def _keeps_queues(info: Mapping[str, Any]) -> str:
    policy = str(info.get("maxmemory_policy", ""))
    is_evicting = bool(info.get("maxmemory")) and policy.startswith("allkeys")
    return f"maxmemory-policy is {policy}" if is_evicting else ""


REDIS: Final = (
    Requirement("Valkey, or Redis 6.2 or newer", _redis_version),
    Requirement(
        "a server that takes writes",
        lambda info: "" if info.get("role", "master") == "master" else f"its role is {info['role']}",
    ),
    Requirement(
        "a server that is no cluster",
        lambda info: "cluster mode is on" if info.get("cluster_enabled") else "",
    ),
    Requirement("queues that are not evicted", _keeps_queues),
)
"""Requirements of Redis, embedded or named by REDIS_URL."""


def machine_require(var: Path) -> None:
    """Refuse a machine that lacks something.  Raises RequirementMissing."""
    _require("this machine", MACHINE, nearest(var))


def database_require(login: dict[str, Any]) -> None:
    """Refuse a PostgreSQL that lacks something.  Raises RequirementMissing, psycopg2.Error."""
    with closing(psycopg2.connect(**login)) as one, closing(psycopg2.connect(**login)) as other:
        one.autocommit = True
        with one.cursor() as cursor:
            cursor.execute(FACTS)
            row, columns = cursor.fetchone(), [column.name for column in cursor.description]
        facts = dict(zip(columns, row, strict=True))
        _require("the database", POSTGRES, facts | {"is_session": is_session(one, other)})


def is_session(one: Any, other: Any) -> bool:
    """Return whether each of two connections has a session of its own, which session locks need.

    A pooler in transaction mode gives the session of one that is idle to the other; if it takes sessions in
    turn, that needs several tries.  While the other is in a transaction the first is asked only if that has
    another session: with one session in all it would wait for ever.
    """
    own = _backend(one)
    for number in range(POOLER_TRIES if own != one.info.backend_pid else 1):
        try:
            held = _backend(other)  # begins a transaction, which stays open
        except psycopg2.OperationalError:  # in statement mode it is cut off for that
            _backend(one)  # unless the server itself is gone
            return False
        is_own = held != own and _backend(one) == own
        other.rollback()
        # Now and then once more: two sessions that are taken in turn would always match.
        if not is_own or (number % 2 and _backend(one) != own):
            return False
    return True


def _backend(link: Any) -> int:
    with link.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (pid,) = cursor.fetchone()
        return int(pid)


def redis_require(info: Mapping[str, Any]) -> None:
    """Refuse a Redis that lacks something, after what its INFO says.  Raises RequirementMissing."""
    _require("the server of REDIS_URL", REDIS, info)


def _require(whose: str, requirements: Iterable[Requirement], facts: Any) -> None:
    for one in requirements:
        if reason := one.unmet(facts):
            raise RequirementMissing(
                f"{whose} lacks what the pool needs ({one.needs.replace('`', '')}): {reason}; "
                "see docs/requirements.md"
            )
