"""Which versions of the console a database allows, beside each other and after each other.

A version is known by the migrations that it has.  A database may have more of them: a newer console has
expanded its tables, and this version goes on, until a contract step names a migration that it must know.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from django.apps import apps
from django.db import connection

APPLIED: Final = "select app || '.' || name from django_migrations"
CONTRACTS: Final = "select migration, needs from core_contractstep order by migration"


@cache
def migrations_known() -> frozenset[str]:
    """Return this version's migrations, as `app.name`; loads none of them."""
    return frozenset(
        f"{config.label}.{file.stem}"
        for config in apps.get_app_configs()
        for file in (Path(config.path) / "migrations").glob("[0-9]*.py")
    )


@cache
def migrations_newest() -> dict[str, str]:
    """Return the name of each app's newest migration in this version."""
    return dict(name.split(".", 1) for name in sorted(migrations_known()))


def is_known_to(newest: dict[str, str], needs: str) -> bool:
    """Return whether a version whose newest migrations are these has the migration `needs`."""
    app, name = needs.split(".", 1)
    return newest.get(app, "") >= name


def has_contract_steps() -> bool:
    """Return whether the database records contract steps: older ones say nothing of who may run."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('core_contractstep') is not null")
        return bool(cursor.fetchone()[0])


def version_refusal() -> str:
    """Return why the database no longer allows this version; empty if it does.  Raises DatabaseError."""
    if not has_contract_steps():
        return ""
    with connection.cursor() as cursor:
        cursor.execute(CONTRACTS)
        for migration, needs in cursor.fetchall():
            if needs not in migrations_known():
                return (
                    f"the database no longer allows this version: {migration} was applied, and only "
                    f"versions that have {needs} may run since"
                )
    return ""


def migrations_missing() -> list[str]:
    """Return this version's migrations that the database lacks, sorted.  Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(APPLIED)
        return sorted(migrations_known().difference(name for (name,) in cursor.fetchall()))
