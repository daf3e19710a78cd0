"""Preparing the database at a start: check whose it is, migrate it, create what is missing.

Another pool may be using it, and Redis: a start adds, or is refused in one sentence; it resets nothing.
Loaded by name once Django is set up (`preparation`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import UniqueConstraint
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from apps.chain.node.addresses import node_address
from apps.chain.selectors.nodes import nodes_configured
from apps.core.errors import DomainError
from apps.core.leader import PREPARE_LOCK, Leadership, database_is_led, database_params
from apps.core.liveness import redis_claim
from apps.core.redis_clients import redis_client
from apps.core.versions import has_contract_steps, migrations_missing, version_refusal
from apps.messages.selectors.recovery import recovery_row
from poolsite.embedded.attempts import RETRY_S, attempt_until_available
from poolsite.embedded.database import CONNECT_S
from poolsite.embedded.errors import RequirementMissing
from poolsite.embedded.options import SEED_VARIABLE
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.requirements import database_require, redis_require

IDLE_WAIT_S: Final = 20.0
"""A server notices within 15 s that a machine is lost, with the timeouts of our connections."""


def require_database() -> None:
    """Refuse a server that lacks what the pool needs.  Raises RequirementMissing."""
    database_require(database_params() | {"connect_timeout": CONNECT_S})


def require_version() -> bool:
    """Return whether a newer version has migrated the database, and allows this one.

    Raises ImproperlyConfigured if it does not.
    """
    if refusal := version_refusal():
        raise ImproperlyConfigured(
            f"{refusal}: start a newer one, or load the backup from before the upgrade"
        )
    loader = MigrationLoader(connection)
    known = set(loader.disk_migrations)
    for (app, _name), one in loader.disk_migrations.items():
        known.update(one.replaces, [(app, getattr(one, "formerly", ""))])
    unknown = sorted(set(loader.applied_migrations or ()) - known)
    if unknown and not has_contract_steps():
        raise ImproperlyConfigured(
            f"the database was migrated by a newer version ({'.'.join(unknown[0])}): "
            "start that version, or load the backup that was taken before the upgrade"
        )
    if unknown and (missing := migrations_missing()):
        raise ImproperlyConfigured(
            f"a newer version has begun to migrate the database ({'.'.join(unknown[-1])}), and it lacks "
            f"{missing[0]} of this one: run `make migrate` of the newer version"
        )
    if unknown:
        sys.stderr.write(
            f"the database was migrated by a newer version ({'.'.join(unknown[-1])}), which allows this one\n"
        )
    return bool(unknown)


def tables_complete(*, by_command: bool, verbosity: int) -> None:
    """Migrate the database to this version: by command beside consoles at work, at a start only if none is.

    One that a newer version has migrated, and that allows this one, stays as it is.  Raises
    ImproperlyConfigured, CommandError.
    """
    if require_version():
        return
    executor = MigrationExecutor(connection)
    if not by_command and executor.migration_plan(executor.loader.graph.leaf_nodes()):
        require_idle("the database would be migrated", instead=", or run `make migrate` here")
    call_command("migrate", interactive=False, skip_checks=True, verbosity=verbosity)
    constraints_complete()


def require_idle(what: str, *, instead: str = "") -> None:
    """Refuse an act if another pool is using this database.  Raises ImproperlyConfigured.

    The server may notice only after some seconds that the processes of a lost machine are gone.
    """
    until = time.monotonic() + IDLE_WAIT_S
    while database_is_led():
        if time.monotonic() > until:
            raise ImproperlyConfigured(
                f"{what}, but another pool's follower or block process works on it: "
                f"stop that pool first{instead}"
            )
        time.sleep(RETRY_S)


def require_same_nodes() -> None:
    """Refuse other nodes than those of a pool that is running.  Raises ImproperlyConfigured."""
    configured = nodes_configured()
    try:
        named = {node_address(text).http_url for text in settings.CHAIN_URLS}
    except DomainError as refusal:
        raise ImproperlyConfigured(refusal.reason) from None
    if configured and configured != named:
        require_idle("CHAIN_URLS differs from what this database's pool was started with")


def require_own_redis() -> None:
    """Refuse a Redis of REDIS_URL that lacks what the pool needs, or that serves another pool.

    One that does not answer now is used once it does: the pool runs without it meanwhile; but a password
    that is refused, or a certificate that is not trusted, no waiting changes.  Processes that have ended
    count as working until they have been silent for a while.  Raises RequirementMissing.
    """
    pool, until = str(recovery_row().pool), time.monotonic() + IDLE_WAIT_S
    try:
        redis_require(redis_client().info())
        while not redis_claim(pool):
            if time.monotonic() > until:
                raise RequirementMissing(
                    "another pool's processes work with the Redis of REDIS_URL, and the two would take each "
                    "other's tasks: use another server, or another database number at the end of the URL"
                )
            time.sleep(RETRY_S)
    except (RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, (AuthenticationError, NoPermissionError)) or isinstance(
            error.__context__, SSLCertVerificationError
        ):
            raise RequirementMissing(f"REDIS_URL cannot be used: {reason}") from None
        sys.stderr.write(f"REDIS_URL was not checked: {reason}\n")


@contextmanager
def prepare_lock() -> Iterator[None]:
    """Keep other starts on this database waiting: two would make the same tables and tokens."""
    with Leadership(PREPARE_LOCK) as turn:
        is_told = False
        while not turn.try_lead():
            if not is_told:
                is_told = True
                sys.stderr.write("waiting for another start that prepares this database\n")
            time.sleep(RETRY_S)
        yield


def bootstrap(*, take_over: bool = False) -> None:
    """Create the operator, the first tenant and its tokens; check the network of nodes that are not ours.

    A takeover leaves that check to the next start: once tokens are replaced nothing may refuse it.
    """
    with Path(os.devnull).open("w") as nowhere:  # its words hold the password, which no log may have
        call_command("bootstrap", skip_checks=True, stdout=nowhere, take_over=take_over)
        # A network without rules is refused before anything is bound to it.
        if os.environ.get("CHAIN_URLS") and not take_over:
            is_toxic = bool(os.environ.get(SEED_VARIABLE))
            call_command("network", skip_checks=True, stdout=nowhere, refuse_public=is_toxic)


def constraints_complete() -> None:
    """Add the unique constraints that a PostgreSQL before 15 has left out, when it made the tables.

    Raises ImproperlyConfigured if rows violate one: they were written twice, and a person decides.
    """
    with connection.cursor() as cursor:
        cursor.execute("select indexrelid::regclass::text from pg_index where indisunique")
        known = {name.strip('"') for (name,) in cursor.fetchall()}
    for model in apps.get_models():
        for one in model._meta.constraints:
            if isinstance(one, UniqueConstraint) and one.nulls_distinct is False and one.name not in known:
                try:
                    with connection.schema_editor() as editor:
                        editor.add_constraint(model, one)
                except IntegrityError as error:
                    reason = " ".join(str(error).split())
                    raise ImproperlyConfigured(
                        f"an earlier PostgreSQL has left out the constraint {one.name}, and rows of "
                        f"{model._meta.db_table} violate it: {reason}"
                    ) from None


def migrate() -> None:
    """Migrate the database to this version while consoles of others work on it, once, for all consoles.

    Raises ImproperlyConfigured, RequirementMissing, CommandError, and what waiting cannot fix.
    """
    attempt_until_available(require_database)
    with prepare_lock():
        attempt_until_available(lambda: tables_complete(by_command=True, verbosity=1))


def install(*, take_over: bool = False) -> None:
    """Migrate the database to this version, and create the pool's operator and tenant.

    Raises ImproperlyConfigured, RequirementMissing, CommandError, and what waiting cannot fix.
    """
    attempt_until_available(require_database)
    with prepare_lock():
        attempt_until_available(lambda: tables_complete(by_command=False, verbosity=int(not take_over)))
        attempt_until_available(require_same_nodes)
        if take_over:
            require_idle("tokens and the operator's password would be replaced")
        attempt_until_available(lambda: bootstrap(take_over=take_over))
    is_others = PoolPaths.of_environment().redis_url != settings.REDIS_URL  # ours starts beside this step
    if is_others and not take_over:
        attempt_until_available(require_own_redis)
