"""Which console processes at work on this database are of versions that do not know a migration."""

from __future__ import annotations

import json
from typing import Final

from django.db import connection

from apps.core.leader import BLOCKS_LOCK, FOLLOWER_LOCK
from apps.core.versions import is_known_to

AT_WORK: Final = """
select process || ' on ' || machine, knows from core_processlease
where until > clock_timestamp() and not is_given_up order by 1
"""
NAMELESS: Final = """
select count(*) from pg_locks
join pg_database on pg_database.oid = pg_locks.database
left join pg_stat_activity on pg_stat_activity.pid = pg_locks.pid
where pg_database.datname = current_database() and locktype = 'advisory' and granted
and classid = 0 and objsubid = 1 and objid = any(%s::oid[])
and not exists (select from core_processlease where session = application_name)
"""
"""Leaders without a lease: of versions before there were leases."""


def processes_older(needs: str) -> list[str]:
    """Return the processes at work whose version does not know the migration `needs`, in words.

    A database without leases is new, or of a version that is no longer at work where this is asked.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from information_schema.columns"
            " where table_name = 'core_processlease' and column_name = 'knows')"
        )
        if cursor.fetchone() == (False,):
            return []
        cursor.execute(AT_WORK)
        older = [name for name, knows in cursor.fetchall() if not is_known_to(json.loads(knows), needs)]
        cursor.execute(NAMELESS, [[FOLLOWER_LOCK, BLOCKS_LOCK]])
        older += ["a leader of a version without leases"] * cursor.fetchone()[0]
    return older
