"""Counts of the hosts on which another level wins over a shared setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import connection

from apps.sectors.models import HostReport, Worker

OVERRIDES: Final = f"""
SELECT regexp_replace(one ->> 'key', '^threads[.][0-9]+[.]', 'sealing.'), one ->> 'origin',
  count(DISTINCT report.id)
FROM {HostReport._meta.db_table} report
JOIN {Worker._meta.db_table} worker ON worker.id = report.worker_id
CROSS JOIN LATERAL jsonb_array_elements(report.settings) one
WHERE worker.retired_at IS NULL AND one ->> 'origin' = ANY(%(levels)s)
  AND (%(tenant)s::bigint IS NULL OR worker.tenant_id = %(tenant)s)
  AND (%(group)s = '' OR worker."group" = %(group)s)
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
"""  # noqa: S608  # names of tables


def overrides_count(tenant_id: int | None, group: str, *, levels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count a tenant's or group's hosts (None: all) that obey one of these levels, by key and level.

    A rule of a host's thread counts as one of `sealing.`, over which it wins.
    """
    counts: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(OVERRIDES, {"levels": list(levels), "tenant": tenant_id, "group": group})
        for key, origin, count in cursor.fetchall():
            counts.setdefault(key, {})[origin] = count
    return counts
