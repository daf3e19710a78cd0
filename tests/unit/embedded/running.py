"""A pool's folder with its embedded PostgreSQL alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2

from poolsite.embedded import database, restore
from poolsite.embedded.folders import folders_create
from poolsite.embedded.ownership import owned
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.postgres import cluster_create, cluster_of
from poolsite.embedded.preparation import database_create
from poolsite.settings.environment import database_from_url


@contextmanager
def running(paths: PoolPaths) -> Iterator[Any]:
    """Run what a backup needs of a pool: its owner and its PostgreSQL; gives a cursor."""
    paths.var.mkdir(mode=0o711, exist_ok=True)
    with owned(paths.var) as lease:
        folders_create(paths)
        cluster = cluster_of(paths)
        cluster_create(cluster, lease=lease)
        with restore.server_running(cluster, log_folder=paths.log, lease=lease):
            row = database_from_url(paths.database_url)
            database_create(row)
            with closing(psycopg2.connect(**database.login_of(row), dbname=row["NAME"])) as link:
                link.autocommit = True
                with link.cursor() as cursor:
                    yield cursor
