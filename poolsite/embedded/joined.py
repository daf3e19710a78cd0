"""What a console machine looks at when it starts in a pool that others have made: it adds nothing to it.

Loaded by name once Django is set up (`preparation`, `console`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError
from redis.exceptions import RedisError

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.addresses import node_address
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.core import clock
from apps.core.consoles import consoles_seen, probes_differing
from apps.core.redis_clients import redis_client
from apps.core.versions import migrations_missing
from apps.messages.selectors.recovery import recovery_row
from apps.messages.services.recovery.detect import restore_check
from apps.users.services.site_key import OtherKey, site_key_require
from poolsite.console_folder import console_id
from poolsite.embedded.attempts import attempt_until_available
from poolsite.embedded.installation import (
    require_database,
    require_own_redis,
    require_same_nodes,
    require_version,
)


def joined_prepare(pool: str) -> None:
    """Refuse what is not this machine's pool; wait while its database is unavailable.

    Not for a shared folder that hangs: what needs none goes on, and the web process compares them beside.
    Raises ImproperlyConfigured, RequirementMissing.
    """
    joined_require(pool, run=attempt_until_available)
    attempt_until_available(lambda: restore_check(now=clock.now()))


def joined_require(pool: str, *, run: Callable[[Callable[[], object]], None]) -> None:
    """Compare database, version, key, name, nodes and Redis with those of the pool; changes none of them.

    Raises ImproperlyConfigured, RequirementMissing.
    """
    run(require_database)
    run(partial(require_pool, pool))
    run(require_tables)
    run(require_key)
    run(require_own_name)
    run(require_same_nodes)
    run(require_own_redis)


def redis_require_answer() -> None:
    """Refuse a Redis that this machine does not reach.  Raises ImproperlyConfigured."""
    try:
        redis_client().ping()
    except (RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ImproperlyConfigured(f"REDIS_URL: not reached from this machine: {reason}") from None


def require_pool(pool: str) -> None:
    """Refuse another pool's database, or one that has none.  Raises ImproperlyConfigured."""
    try:
        found = recovery_row()
    except ProgrammingError:
        raise ImproperlyConfigured("DATABASE_URL: the database has no pool's tables") from None
    if found.pk is None:
        raise ImproperlyConfigured("DATABASE_URL: the database has no pool's rows")
    if str(found.pool) != pool:
        raise ImproperlyConfigured(
            f"DATABASE_URL: it is another pool's database ({found.pool}); this machine joined {pool}"
        )


def require_tables() -> None:
    """Refuse a database that excludes this version, or that it would migrate.

    Raises ImproperlyConfigured.
    """
    if require_version():
        return
    if missing := migrations_missing():
        raise ImproperlyConfigured(
            f"version: the database lacks {missing[0]} of this version, and a machine that joined migrates "
            "nothing at a start: run `make migrate` here first, or the pool's version"
        )


def require_key() -> None:
    """Refuse another key than the pool's.  Raises ImproperlyConfigured."""
    try:
        site_key_require()
    except OtherKey:
        raise ImproperlyConfigured(
            "SECRET_KEY: the pool's secrets are encrypted with another key than this machine has: set the "
            "pool's, or join again (docs/operations/consoles.md)"
        ) from None


def require_own_name() -> None:
    """Refuse the name of another machine that works: each would be taken for the other.

    Raises ImproperlyConfigured.
    """
    own = console_id(settings.VAR)
    for seen in consoles_seen():
        if seen.works and seen.row.machine == settings.MACHINE_NAME and seen.row.folder != own:
            raise ImproperlyConfigured(
                f"POOLSITE_MACHINE: another console machine that works is called {settings.MACHINE_NAME}: "
                "set the name under which this one joined"
            )


def nodes_report() -> None:
    """Report the nodes that this machine does not reach: without any it only stands by."""
    for text in settings.CHAIN_URLS:
        address = node_address(text)
        try:
            ChainClient([link_to(address.http_url, address.token)]).chain_head()
        except (NodeUnavailable, NodeRefused) as error:
            reason = " ".join(error.reason.split())
            sys.stderr.write(f"CHAIN_URLS: {address.http_url} is not reached from this machine: {reason}\n")


def folders_compare() -> None:
    """Report what this machine cannot read of what others wrote into the shared folders."""
    for one in probes_differing():
        sys.stderr.write(
            "{setting}: {folder} lacks what {machine} wrote there ({reason}): mount the same folder on every "
            "console machine\n".format(**one)
        )
