"""The step before all others: make the database if it is missing, then migrate.  Safe to run twice.

Run: python -m poolsite.embedded.schema
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import Any

import psycopg2
from django.core.management import execute_from_command_line
from psycopg2 import errors, sql

from poolsite.embedded.places import Places
from poolsite.settings.environment import database_from_url


def database_make(row: dict[str, Any]) -> None:
    """Create the database that the settings name, if the server has none of that name."""
    login = {"host": row["HOST"], "user": row["USER"], "password": row["PASSWORD"], "port": row["PORT"]}
    present = {name: value for name, value in login.items() if value}
    with closing(psycopg2.connect(**present, dbname="postgres")) as link:
        link.autocommit = True
        with link.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [row["NAME"]])
            if cursor.fetchone() is None:
                try:
                    cursor.execute(sql.SQL("create database {}").format(sql.Identifier(row["NAME"])))
                except errors.DuplicateDatabase:
                    return  # another start was faster


def main() -> None:
    """Bring the embedded or the named database to this version."""
    if "DATABASE_URL" not in os.environ:
        database_make(database_from_url(Places.of_environment().database_url))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    execute_from_command_line([sys.argv[0], "migrate", "--no-input", "--skip-checks"])


if __name__ == "__main__":
    main()
