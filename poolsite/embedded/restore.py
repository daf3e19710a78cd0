"""`make restore`: load a backup into a stopped pool; the database that was there is kept under another name.

Run: python -m poolsite.embedded.restore FOLDER
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import psycopg2
from django.core.exceptions import ImproperlyConfigured
from psycopg2 import sql

from poolsite.embedded.backup import DUMP, Backup, database_url, secret_files
from poolsite.embedded.children import Slot
from poolsite.embedded.database import login_of, program_run
from poolsite.embedded.errors import BackupRefused, StartupError
from poolsite.embedded.folders import folders_create, passable_create
from poolsite.embedded.own_folder import console_folder
from poolsite.embedded.ownership import owned
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.pool import postgres_child
from poolsite.embedded.postgres import cluster_create, cluster_of, require_same_major
from poolsite.embedded.preflight import require_own_folder
from poolsite.private_files import private_write
from poolsite.settings.environment import database_from_url

if TYPE_CHECKING:
    from poolsite.embedded.postgres import Cluster

TICK_S: Final = 0.1
TIMEOUT: Final = b"SET transaction_timeout = 0;"
"""What our pg_restore sets first, and an older server does not know."""
TIMEOUT_SINCE: Final = 17
SCRIPT_HEAD: Final = 4096
"""Bytes at the beginning of a script in which that stands; later ones may be data."""


@contextmanager
def server_running(cluster: Cluster, *, log_folder: Path, lease: int) -> Iterator[None]:
    """Run the embedded PostgreSQL alone.  Raises BackupRefused if it ends before it is ready."""
    server = Slot(postgres_child(cluster))
    server.start(log_folder=log_folder, lease=lease)
    try:
        while not server.is_ready:
            server.poll(time.monotonic())
            if server.process is None:
                raise BackupRefused(f"PostgreSQL does not start: see {log_folder / 'postgres.log'}")
            time.sleep(TICK_S)
        yield
    finally:
        while server.process is not None:
            server.stop_step(time.monotonic())
            time.sleep(TICK_S)


def dump_load(row: dict[str, Any], dump: Path) -> str:
    """Load a dump in the place of the database that the settings name.  Raises BackupRefused.

    It goes into a new database, since `pg_restore --clean` drops only what the dump has.  All are renamed in
    one transaction, so that there is always one: a start that found none would make an empty one.
    Return what the replaced database is called now; empty if there was none.
    """
    name, login = str(row["NAME"]), login_of(row)
    new, old, older = (f"{name}_{word}" for word in ("restoring", "before_restore", "before_last_restore"))
    _database_drop(login, new)
    _database_drop(login, older)  # a restore that was killed before its end has left it
    program_run("createdb", "--maintenance-db=postgres", new, login=login)
    try:
        dump_read(new, dump, login=login)
        present = _databases(login)
        renames = [pair for pair in ((old, older), (name, old)) if pair[0] in present] + [(new, name)]
        _databases_rename(login, renames)
    except BackupRefused:
        _database_drop(login, new)
        raise
    with suppress(BackupRefused, OSError):  # the database is in its place: the next restore drops it
        _database_drop(login, older)
    return old if name in present else ""


def dump_read(database: str, dump: Path, *, login: dict[str, Any]) -> None:
    """Load a dump into an empty database, all of it or nothing.  Raises BackupRefused."""
    how = ("--no-owner", "--no-privileges")
    if _server_version(login) >= TIMEOUT_SINCE:
        program_run("pg_restore", "--single-transaction", *how, f"--dbname={database}", dump, login=login)
        return
    with TemporaryDirectory(dir=dump.parent) as folder:
        script = Path(folder) / "script.sql"
        program_run("pg_restore", *how, f"--file={script}", dump, login=login)
        with script.open("r+b") as file:
            begin = file.read(SCRIPT_HEAD)
            at = begin.find(TIMEOUT)
            if at >= 0:  # made a comment, of the same length
                file.seek(at)
                file.write(b"--" + TIMEOUT[2:])
        words = ("--single-transaction", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
        program_run("psql", *words, f"--dbname={database}", f"--file={script}", login=login)


def _server_version(login: dict[str, Any]) -> int:
    with _cursor(login) as cursor:
        cursor.execute("select current_setting('server_version_num')::int / 10000")
        return int(cursor.fetchone()[0])


def _databases(login: dict[str, Any]) -> set[str]:
    with _cursor(login) as cursor:
        cursor.execute("select datname from pg_database")
        return {name for (name,) in cursor.fetchall()}


def _database_drop(login: dict[str, Any], name: str) -> None:
    program_run("dropdb", "--maintenance-db=postgres", "--if-exists", name, login=login)


def _databases_rename(login: dict[str, Any], names: list[tuple[str, str]]) -> None:
    """Rename them all or none.  Raises BackupRefused if somebody is connected to one."""
    with _cursor(login) as cursor:
        cursor.execute("begin")
        for old, new in names:
            words = sql.Identifier(old), sql.Identifier(new)
            cursor.execute(sql.SQL("alter database {} rename to {}").format(*words))
        cursor.execute("commit")


@contextmanager
def _cursor(login: dict[str, Any]) -> Iterator[Any]:
    try:
        with closing(psycopg2.connect(**login, dbname="postgres")) as link:
            link.autocommit = True
            with link.cursor() as cursor:
                yield cursor
    except psycopg2.Error as error:
        raise BackupRefused(" ".join(str(error).split())) from None


def restore(paths: PoolPaths, folder: Path) -> str:
    """Load a backup into the pool in `paths`, which does not run.  Raises StartupError.

    Return the name of the database that was replaced.
    """
    with ExitStack() as held:
        passable_create(paths.var)
        lease = held.enter_context(owned(paths.var, patience_s=5.0))
        if not os.environ.get("DATABASE_URL"):
            cluster = cluster_of(paths)
            require_same_major(cluster)
            folders_create(paths)
            cluster_create(cluster, lease=lease)
            held.enter_context(server_running(cluster, log_folder=paths.log, lease=lease))
        return dump_load(database_from_url(database_url(paths)), folder / DUMP)


def main() -> int:
    """Restore after a confirmation; 0 if it was done, 1 with one sentence if nothing was changed."""
    parser = argparse.ArgumentParser(prog="make restore", description="Load a backup into a stopped pool.")
    parser.add_argument("folder", type=Path, help="one that `make backup` wrote")
    folder: Path = parser.parse_args().folder
    paths = PoolPaths.of_environment()
    try:
        require_own_folder(paths.var)
        console_folder(paths)
        backup = Backup.of_folder(folder)
        sys.stdout.write(
            f"Load the backup of {backup.taken_at} ({backup.var} on {backup.host}, {backup.version})\n"
            f"into the pool in {paths.var}, with its session key and tokens? Type yes: "
        )
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() != "yes":
            sys.stdout.write("Nothing was changed.\n")
            return 1
        replaced = restore(paths, folder)
    except (StartupError, ImproperlyConfigured) as refusal:
        sys.stderr.write(f"Nothing was changed: {refusal}.\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"Nothing was changed: {error.filename or paths.var}: {error.strerror}.\n")
        return 1
    try:
        for name in secret_files(folder):
            private_write(paths.var / name, (folder / name).read_text())
    except OSError as error:
        sys.stderr.write(f"The database is loaded; {error.filename} is not written: {error.strerror}.\n")
        return 1
    sys.stdout.write("The backup is loaded.\n")
    if replaced:
        sys.stdout.write(f"The database that it replaced is kept as {replaced} until the next restore.\n")
    sys.stdout.write("The pool now starts in recovery (docs/operations/recovery.md).\n")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
