"""The step before all others: make the database, migrate, make operator and tokens.  Safe to run twice.

One process for the three: each start of Django costs a second that a person waits.
Run: python -m poolsite.embedded.preparation
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import django
import psycopg2
from django.core.management import CommandError, call_command
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


def main() -> int:
    """Bring the database to this version and the pool's people to life; 1 with one sentence if refused."""
    if "DATABASE_URL" not in os.environ:
        database_make(database_from_url(Places.of_environment().database_url))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
    django.setup()
    call_command("migrate", interactive=False, skip_checks=True)
    try:
        with Path(os.devnull).open("w") as nowhere:  # its words hold the password, which no log may have
            call_command("bootstrap", skip_checks=True, stdout=nowhere)
            if (
                "CHAIN_URLS" in os.environ
            ):  # a network without rules is refused before anything is bound to it
                call_command("network", skip_checks=True, stdout=nowhere)
    except CommandError as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
