"""The step before all others: make the database, migrate, make operator and tokens.  Safe to run twice.

One process for the three: each start of Django costs a second that a person waits.  A database that recovers
or restarts, or a full disk, is waited for; what waiting cannot fix ends `make up` with one sentence.
Run: python -m poolsite.embedded.preparation
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import Any

import django
import psycopg2
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.utils.module_loading import import_string
from psycopg2 import errors, sql

from poolsite.console_folder import ConsoleFolder
from poolsite.embedded.attempts import UNAVAILABLE, attempt_until_available
from poolsite.embedded.children import HOPELESS
from poolsite.embedded.database import login_of
from poolsite.embedded.errors import RequirementMissing
from poolsite.embedded.paths import PoolPaths
from poolsite.settings.environment import database_from_url


def database_create(row: dict[str, Any]) -> None:
    """Create the database that the settings name, if the server has none of that name."""
    with closing(psycopg2.connect(**login_of(row), dbname="postgres")) as link:
        link.autocommit = True
        with link.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [row["NAME"]])
            if cursor.fetchone() is None:
                try:
                    cursor.execute(sql.SQL("create database {}").format(sql.Identifier(row["NAME"])))
                except errors.DuplicateDatabase:
                    return  # another start was faster


def prepare(*, take_over: bool = False) -> None:
    """Migrate the database to this version, and create the pool's operator and tenant."""
    if not os.environ.get("DATABASE_URL"):
        row = database_from_url(PoolPaths.of_environment().database_url)
        attempt_until_available(lambda: database_create(row))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    django.setup()
    if not take_over:
        attempt_until_available(import_string("poolsite.demo.start.demo_require"))
    folder = ConsoleFolder.of(PoolPaths.of_environment().var)
    if folder is not None and folder.is_joined and not take_over:
        import_string("poolsite.embedded.joined.joined_prepare")(folder.pool)
    else:
        import_string("poolsite.embedded.installation.install")(take_over=take_over)
    if not take_over:
        attempt_until_available(import_string("poolsite.demo.start.demo_settle"))


def main() -> int:
    """Prepare the pool; return HOPELESS if only an operator can fix it, 1 if trying again may help."""
    try:
        prepare()
    except CommandError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return refusal.returncode
    except (ImproperlyConfigured, RequirementMissing, *UNAVAILABLE) as refusal:
        sys.stderr.write(f"{' '.join(str(refusal).split())}\n")
        return HOPELESS
    return 0


if __name__ == "__main__":
    sys.exit(main())
