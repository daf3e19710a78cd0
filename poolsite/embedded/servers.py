"""`make servers`: move a stopped pool from its embedded PostgreSQL and Redis to those of the environment.

Nothing writes meanwhile, so the copy is the pool: no recovery follows, as after a restore.  A kill at any
point leaves one pool: until `console.json` is written it is the embedded one, and nobody uses the copy; from
then on it is the copy, which starts in recovery unless the embedded one was made unusable before.
Run: python -m poolsite.embedded.servers
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import django
import psycopg2
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.utils.module_loading import import_string
from redis import Redis
from redis.exceptions import RedisError

from poolsite.console_folder import ConsoleFolder
from poolsite.embedded.database import CONNECT_S, login_of, program_run
from poolsite.embedded.errors import MoveRefused, StartupError
from poolsite.embedded.folders import folders_create
from poolsite.embedded.ownership import owned
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.postgres import cluster_of, require_same_major
from poolsite.embedded.preflight import require_own_folder
from poolsite.embedded.requirements import database_require, redis_require
from poolsite.embedded.restore import dump_load, server_running
from poolsite.settings.broker import broker_from_redis_url
from poolsite.settings.environment import database_from_url, env_redis_url

DUMP: Final = "database.dump"
MOVED: Final = {"cluster": "moved by make servers"}
"""Fingerprint of the database that was left: a start with it begins recovery."""
POOL_OF: Final = "select pool::text from messages_recovery where id = 1"
HAS_TABLES: Final = """
select to_regclass('messages_recovery') is not null,
       exists (select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
               where relkind in ('r', 'p') and nspname not in ('pg_catalog', 'information_schema'))
"""


def servers_named(env: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the new database in Django's terms, and both URLs.  Raises MoveRefused, ImproperlyConfigured."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        if not env.get(name):
            raise MoveRefused(f"{name}: missing; set it in the environment, not on make's command line")
    row = database_from_url(env["DATABASE_URL"])
    if not row["NAME"]:
        raise MoveRefused("DATABASE_URL: it names no database")
    redis_url = env_redis_url("REDIS_URL")
    broker_from_redis_url(redis_url)  # refuses what redis-py would with a part of the password
    return row, {"DATABASE_URL": env["DATABASE_URL"], "REDIS_URL": redis_url}


def redis_try(url: str) -> None:
    """Refuse a Redis that does not answer, or lacks something.  Raises MoveRefused, RequirementMissing."""
    try:
        with closing(Redis.from_url(url, socket_timeout=CONNECT_S, socket_connect_timeout=CONNECT_S)) as link:
            info: Any = link.info()
    except (RedisError, OSError) as error:
        raise MoveRefused(f"REDIS_URL: {' '.join(str(error).split())}") from None
    redis_require(info)


def target_try(row: dict[str, Any], *, pool: str) -> None:
    """Refuse one that holds anything but a copy of this pool.  Raises MoveRefused, RequirementMissing."""
    login = login_of(row)
    try:
        database_require(login | {"dbname": "postgres"})
        with closing(psycopg2.connect(**login, dbname="postgres")) as link, link.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [row["NAME"]])
            if cursor.fetchone() is None:
                return
        with closing(psycopg2.connect(**login, dbname=row["NAME"])) as link, link.cursor() as cursor:
            cursor.execute(HAS_TABLES)
            has_pool, has_tables = cursor.fetchone()
            if not has_tables:
                return
            found = None
            if has_pool:
                cursor.execute(POOL_OF)
                found = cursor.fetchone()
    except psycopg2.Error as error:
        raise MoveRefused(f"DATABASE_URL: {' '.join(str(error).split())}") from None
    if found is None or found[0] != pool:
        what = f"another pool ({found[0]})" if found else "tables of something else"
        raise MoveRefused(f"DATABASE_URL: the database {row['NAME']} has {what}: name an empty or a new one")


def move(paths: PoolPaths) -> str:
    """Move the pool in `paths`; return what is left to say of it.  Raises StartupError, psycopg2.Error."""
    target, urls = servers_named(os.environ)
    redis_try(urls["REDIS_URL"])
    cluster = cluster_of(paths)
    if not (cluster.data / "PG_VERSION").exists():
        raise MoveRefused(f"{paths.var} has no embedded database")
    aside = cluster.data.with_name(f"{cluster.data.name}.moved")
    if aside.exists():
        raise MoveRefused(f"{aside} exists, of an earlier move: remove it")
    with ExitStack() as held:
        lease = held.enter_context(owned(paths.var, patience_s=5.0))
        require_same_major(cluster)
        folders_create(paths)
        with server_running(cluster, log_folder=paths.log, lease=lease):
            pool = copy(paths, target)
            ConsoleFolder(pool=pool, is_joined=False, settings=urls).write(paths.var)
            # Only now is it the copy; what fails from here on costs no more than a recovery.
            try:
                _leave(database_from_url(paths.database_url))
                moved_note(paths, urls)
            except (psycopg2.Error, DatabaseError) as error:
                return f"It starts in recovery (docs/operations/recovery.md): {' '.join(str(error).split())}"
        cluster.data.rename(aside)
    return f"The embedded database is kept in {aside}; remove it once you have a backup"


def copy(paths: PoolPaths, target: dict[str, Any]) -> str:
    """Copy the embedded database, which runs; return the pool's id.  Raises StartupError."""
    source = database_from_url(paths.database_url)
    with (
        closing(psycopg2.connect(**login_of(source), dbname=source["NAME"])) as link,
        link.cursor() as cursor,
    ):
        cursor.execute(POOL_OF)
        (pool,) = cursor.fetchone() or (None,)
    if pool is None:
        raise MoveRefused(f"the database in {paths.var} has no pool yet")
    target_try(target, pool=pool)
    with TemporaryDirectory(dir=paths.var, prefix=".moving-") as folder:
        dump = Path(folder) / DUMP
        words = ("--format=custom", f"--file={dump}", str(source["NAME"]))
        program_run("pg_dump", *words, login=login_of(source))
        dump_load(target, dump)
    return str(pool)


def _leave(source: dict[str, Any]) -> None:
    """Mark the embedded database: should anybody start it again, that begins recovery."""
    with closing(psycopg2.connect(**login_of(source), dbname=source["NAME"])) as link:
        link.autocommit = True
        with link.cursor() as cursor:
            cursor.execute("update messages_recovery set fingerprint = %s", [json.dumps(MOVED)])


def moved_note(paths: PoolPaths, urls: dict[str, str]) -> None:
    """Note in the new database that it is the pool's."""
    os.environ.update(
        urls,
        DJANGO_SETTINGS_MODULE="poolsite.settings.embedded",
        POOLSITE_VAR=str(paths.var),
        LOG_LEVEL="ERROR",
    )
    django.setup()
    import_string("apps.messages.services.recovery.detect.database_moved_note")()


def main() -> int:
    """Move after a confirmation; 0 if it was done, 1 with one sentence if nothing was changed."""
    paths = PoolPaths.of_environment()
    try:
        require_own_folder(paths.var)
        if ConsoleFolder.of(paths.var) is not None:
            raise MoveRefused(f"the pool in {paths.var} is on servers of its own already (console.json)")
        target, _urls = servers_named(os.environ)
        sys.stdout.write(
            f"Move the stopped pool in {paths.var} to the database {target['NAME']} on {target['HOST']},\n"
            "and to the Redis of REDIS_URL?  Type yes: "
        )
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            sys.stdout.write("Nothing was changed.\n")
            return 1
        left = move(paths)
    except (StartupError, ImproperlyConfigured, ValueError, OSError, psycopg2.Error) as refusal:
        sys.stderr.write(f"The pool was not moved: {' '.join(str(refusal).split())}.\n")
        return 1
    sys.stdout.write(f"The pool is on servers of its own; {paths.var}/console.json has them. {left}.\n")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
