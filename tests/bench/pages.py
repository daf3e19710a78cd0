"""Every list and form of the console over a large pool: CPU, queries, and what a first load weighs.

The pool is the demo's (40 miners, 8 tenants, 90 days), with copies of its rows: 10,000 sectors and
100,000 messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import django
import httpx

from tests.bench.pool import MESSAGES, SECTORS, timing
from tests.bench.proposals import cpu_of
from tests.bulk_rows import message_copies_insert, sector_copies_insert

CPU_LIMIT_MS: Final = 60.0
QUERIES_LIMIT: Final = 30.0
WEIGHT_LIMIT_KB: Final = 150.0
WARM, ASKED = 2, 8
"""Requests of a page before and in a measurement."""
ASSETS: Final = re.compile(r'(?:href|src)="(/static/[^"]+\.(?:css|js|woff2|svg))"')
READY_S: Final = 600


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    digits: int = 1


def cases() -> Iterator[Figure]:
    """Measure, one page after the other."""
    from tests.acceptance.pool import RunningPool
    from tests.bench.pool import client_of

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
    django.setup()
    from tests.demo_data import plain_addresses

    demo: dict[str, Any] = {"DEMO": "1", "POOLSITE_NETWORK": "", "SERVER_TIMING": "1"}
    pool = RunningPool(has_kernels=False, web_processes=1, **demo)
    try:
        pool.start(within_s=READY_S)
        rows_copy(pool)
        with closing(client_of(pool)) as client:
            weigh = weight_of(client)
            for name, address in plain_addresses().items():
                yield from measured(pool, client, name, address, weigh)
    finally:
        pool.__exit__()


def rows_copy(pool: Any) -> None:
    """Bring sectors and messages to their numbers."""
    landed = "id = (select max(id) from messages_message where state = 'LANDED')"
    proven = "id = (select min(id) from sectors_sector where state = 'PROVING')"
    [(messages, sectors)] = pool.rows_of(
        "select (select count(*) from messages_message), (select count(*) from sectors_sector)"
    )
    with pool.database() as link, link.cursor() as cursor:
        message_copies_insert(cursor, of=landed, first=1, last=MESSAGES - messages)
        sector_copies_insert(cursor, of=proven, first=1, last=SECTORS - sectors)
        link.commit()
        link.autocommit = True
        cursor.execute("vacuum analyze")


def measured(pool: Any, client: httpx.Client, name: str, address: str, weigh: Any) -> Iterator[Figure]:
    """Read a page; yield what it costs, and nothing where it leads elsewhere."""
    page = client.get(address)
    if page.status_code != 200 or page.history:
        yield Figure(f"{name}: answered {page.status_code}, measured no further", 0, "")
        return
    for _ in range(WARM):
        client.get(address)
    spent = cpu_of(pool.pid("web-1"))
    queries = max(timing(client.get(address))[1] for _ in range(ASKED))
    spent = cpu_of(pool.pid("web-1")) - spent
    yield Figure(f"{name}: CPU of the web process", spent / ASKED * 1000, "ms", CPU_LIMIT_MS)
    yield Figure(f"{name}: queries", queries, "", QUERIES_LIMIT, digits=0)
    yield Figure(f"{name}: first load, compressed", weigh(page), "kB", WEIGHT_LIMIT_KB)


def weight_of(client: httpx.Client) -> Any:
    """Return what weighs a page with all that it loads from us, as it is sent."""

    @cache
    def of_asset(path: str) -> int:
        with client.stream("GET", path) as answer:
            return sum(map(len, answer.iter_raw()))

    def weigh(page: httpx.Response) -> float:
        with client.stream("GET", str(page.url)) as answer:
            own = sum(map(len, answer.iter_raw()))
        return (own + sum(map(of_asset, sorted(set(ASSETS.findall(page.text)))))) / 1000

    return weigh


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
