"""The step before all others: make the database, migrate, make operator and tokens.  Safe to run twice.

One process for the three: each start of Django costs a second that a person waits.  A database that recovers
or restarts, or a full disk, is waited for; what waiting cannot fix ends `make up` with one sentence.
Run: python -m poolsite.embedded.preparation
"""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import django
import psycopg2
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError, connection, connections
from django.db.migrations.loader import MigrationLoader
from psycopg2 import errors, sql

from poolsite.embedded.children import HOPELESS
from poolsite.embedded.database import CONNECT_S, login_of
from poolsite.embedded.options import SEED_VARIABLE
from poolsite.embedded.paths import PoolPaths
from poolsite.settings.environment import database_from_url

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_S: Final = 1.0
"""Between two attempts at a database that is away."""

UNAVAILABLE: Final = (OperationalError, InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError)
DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

PERMANENT: Final = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "permission denied for database",
    "invalid connection option",
    "invalid dsn",
    "unsupported startup parameter",
)
"""Texts of an OperationalError that only an operator can fix; libpq has no code for a refused connection."""


def database_create(row: dict[str, Any]) -> None:
    """Create the database that the settings name, if the server has none of that name."""
    with closing(psycopg2.connect(**login_of(row), dbname="postgres", connect_timeout=CONNECT_S)) as link:
        link.autocommit = True
        with link.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [row["NAME"]])
            if cursor.fetchone() is None:
                try:
                    cursor.execute(sql.SQL("create database {}").format(sql.Identifier(row["NAME"])))
                except errors.DuplicateDatabase:
                    return  # another start was faster


def is_temporary(error: Exception) -> bool:
    """Return whether waiting may fix a fault: the server is unavailable or recovering, the disk is full."""
    if isinstance(error, UNAVAILABLE):
        return not any(text in str(error) for text in PERMANENT)
    return isinstance(error, OSError) and error.errno in DISK_ERRORS


def attempt_until_available(act: Callable[[], object]) -> None:
    """Repeat `act` while it fails with a temporary fault; each new reason is logged once."""
    logged = ""
    while True:
        try:
            act()
        except (*UNAVAILABLE, OSError) as error:
            if not is_temporary(error):
                raise
            reason = " ".join(str(error).split())
            if reason != logged:
                logged = reason
                sys.stderr.write(f"waiting for the database: {reason}\n")
            connections.close_all()
            time.sleep(RETRY_S)
        else:
            return


def require_known_tables() -> None:
    """Refuse a database that a newer version has migrated.  Raises ImproperlyConfigured."""
    loader = MigrationLoader(connection)
    known = set(loader.disk_migrations)
    for (app, _name), one in loader.disk_migrations.items():
        known.update(one.replaces, [(app, getattr(one, "formerly", ""))])
    if unknown := sorted(set(loader.applied_migrations or ()) - known):
        raise ImproperlyConfigured(
            f"the database was migrated by a newer version ({'.'.join(unknown[0])}): "
            "start that version, or load the backup that was taken before the upgrade"
        )


def bootstrap() -> None:
    """Make the operator, the first tenant and its tokens; look at the network of nodes that are not ours."""
    with Path(os.devnull).open("w") as nowhere:  # its words hold the password, which no log may have
        call_command("bootstrap", skip_checks=True, stdout=nowhere)
        if "CHAIN_URLS" in os.environ:  # a network without rules is refused before anything is bound to it
            is_toxic = bool(os.environ.get(SEED_VARIABLE))
            call_command("network", skip_checks=True, stdout=nowhere, refuse_public=is_toxic)


def prepare() -> None:
    """Migrate the database to this version, and create the pool's operator and tenant."""
    if "DATABASE_URL" not in os.environ:
        row = database_from_url(PoolPaths.of_environment().database_url)
        attempt_until_available(lambda: database_create(row))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    django.setup()
    attempt_until_available(require_known_tables)
    attempt_until_available(lambda: call_command("migrate", interactive=False, skip_checks=True))
    attempt_until_available(bootstrap)


def main() -> int:
    """Prepare the pool; return 1 if it was refused, HOPELESS if only an operator can fix it."""
    try:
        prepare()
    except CommandError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except (ImproperlyConfigured, *UNAVAILABLE) as refusal:
        sys.stderr.write(f"{' '.join(str(refusal).split())}\n")
        return HOPELESS
    return 0


if __name__ == "__main__":
    sys.exit(main())
