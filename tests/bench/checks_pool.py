"""The pool of 2,000 hosts and 500 stores that `tests.bench.checks` measures, on a PostgreSQL of its own."""

from __future__ import annotations

import atexit
import importlib
import os
from functools import cache
from typing import Any, Final

import django

from tests.bulk_rows import row_copies_insert
from tests.servers import TEMPLATE, PostgresServer, RedisServer

HOSTS: Final = 2_000
"""Sealing hosts; provers come beside them."""
PROVERS: Final = 20
STORES: Final = 500
ATTACHED: Final = 4
"""Sealing hosts that have a store attached."""
MINERS: Final = 20
SECTORS: Final = int(os.environ.get("BENCH_SECTORS") or 1_000_000)
LEASED: Final = 10_000
"""Sectors under way, each with a job that a host holds."""
UUID: Final = {"uuid": "gen_random_uuid()"}
DISKS: Final = {
    "cpus": 64,
    "ram_bytes": 1 << 40,
    "disk_free_bytes": 1 << 39,
    "disk_total_bytes": 1 << 40,
    "disks": [
        {
            "folder": f"/mnt/nvme{one}",
            "disk": f"nvme{one}",
            "free_bytes": 1 << 41,
            "total_bytes": 1 << 42,
            "sealing": {"sectors": 3, "total_bytes": 1 << 42, "free_bytes": 1 << 41, "reason": ""},
        }
        for one in range(4)
    ],
}


def one_of(table: str, name: str, count: int) -> str:
    """Return the key of one of the rows of such a name, in turn over the series `n`; they are read once."""
    return f"(array(select id from {table} where name like '{name}-%' order by id))[n % {count} + 1]"


class ChecksPool:
    """The rows: real ones by the tests' factories, then copies of them."""

    def __init__(self) -> None:
        postgres, redis = PostgresServer(), RedisServer()
        postgres.start()
        redis.start()
        atexit.register(postgres.stop)
        atexit.register(redis.stop)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="poolsite.settings.test",
            PGHOST=str(postgres.sockets),
            PGDATABASE=TEMPLATE,
            LOG_LEVEL="ERROR",
        )
        django.setup()
        settings = importlib.import_module("django.conf").settings
        settings.REDIS_URL = redis.url
        settings.ALLOWED_HOSTS = ["*"]
        self.make: Any = importlib.import_module("tests.factories")
        people = importlib.import_module("tests.people")
        people.operator_person("boss")
        self.client = importlib.import_module("tests.page_client").signed_in("boss")
        self.connection = importlib.import_module("django.db").connection
        with self.connection.cursor() as cursor:
            self.fill(cursor)
            cursor.execute("vacuum analyze")

    def fill(self, cursor: Any) -> None:
        """Make miners, hosts, stores, sectors and the newest steps of jobs."""
        make = self.make
        make.head(1000)
        make.network()
        self.miners = [
            make.miner(1000 + number, live_sectors=SECTORS // MINERS, active_sectors=SECTORS // MINERS)
            for number in range(MINERS)
        ]
        for miner in self.miners:
            make.deadlines(miner, live=dict.fromkeys(range(6), "later"))
        pedigree = make.worker("sealer-0", kinds=["seal"], hardware=DISKS, slots={"PC1": 4, "C2": 1})
        store = make.store(pedigree, "store-0")
        prover = make.worker("prover-0", kinds=["window_post"], hardware=DISKS)
        make.store(prover, "store-0")
        self.copies(cursor, "sectors_worker", f"id = {pedigree.pk}", HOSTS - 1, self.host("sealer"))
        self.copies(cursor, "sectors_worker", f"id = {prover.pk}", PROVERS - 1, self.host("prover"))
        named = {"uid": "'store-uid-' || n", "name": "'store-' || n"}
        self.copies(cursor, "sectors_store", f"id = {store.pk}", STORES - 1, named)
        of_store = one_of("sectors_store", "store", STORES)
        attached = {
            "store_id": of_store,
            "worker_id": one_of("sectors_worker", "sealer", HOSTS),
            "path": "'/mnt/store/' || n",
            "since": "one.since - interval '1 day'",
        }
        of = f"worker_id = {pedigree.pk}"
        rows = f"generate_series(1, {STORES * ATTACHED - 1}) n"
        row_copies_insert(cursor, "sectors_storeattachment", of=of, changed=attached, rows=rows)
        attached["worker_id"] = one_of("sectors_worker", "prover", PROVERS)
        rows = f"generate_series(1, {STORES - 1}) n"
        row_copies_insert(
            cursor, "sectors_storeattachment", of=f"worker_id = {prover.pk}", changed=attached, rows=rows
        )
        cursor.execute(
            "insert into sectors_storesample (store_id, at, used_bytes)"
            " select id, now() - h * interval '1 hour', 500000000000"
            " from sectors_store, generate_series(1, 200) h"
        )
        cursor.execute("update sectors_storeattachment set since = since - interval '1 day'")
        self.stores_told()
        self.sectors(cursor)

    def stores_told(self, *, has_provers: bool = True) -> None:
        """Tell which stores each host reads; without provers none of those is there."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "update sectors_worker w set stores = coalesce((select jsonb_agg(s.name) from sectors_store s"
                " join sectors_storeattachment a on a.store_id = s.id where a.worker_id = w.id), '[]'),"
                " seen_at = now() + interval '2 hours'"
            )
            if not has_provers:
                cursor.execute(
                    "update sectors_worker set retired_at = now(), stores = '[]' where name like 'prover-%'"
                )
            else:
                cursor.execute("update sectors_worker set retired_at = null")

    def sectors(self, cursor: Any) -> None:
        """Insert the proven sectors and those under way."""
        make, states = self.make, importlib.import_module("poolsite.wire.pipeline").SectorState
        first = self.miners[0]
        proven = {
            "state": states.PROVING,
            "active": True,
            "deadline": 0,
            "partition": 0,
            "expiration": 1_500_000,
        }
        done = make.sector(first, number=0, store="store-0", comm_r=b"r" * 31 + b"\0", **proven)
        begun = make.sector(first, number=1, state=states.PC1_DONE, ticket_epoch=900)
        miner = f"(array{[row.pk for row in self.miners]})[n % {MINERS} + 1]"
        cursor.execute(
            "select indexname, indexdef from pg_indexes where tablename = 'sectors_sector'"
            " and indexdef not like '%UNIQUE%'"
        )
        indexes = cursor.fetchall()
        cursor.execute("set session_replication_role = replica; set maintenance_work_mem = '512MB'")
        for name, _ in indexes:
            cursor.execute(f'drop index "{name}"')
        changed = {
            **UUID,
            "number": "n",
            "miner_id": miner,
            "store": f"'store-' || (n % {STORES})",
            "deadline": "n % 6",
        }
        rows = f"generate_series(10, {SECTORS}) n"
        row_copies_insert(cursor, "sectors_sector", of=f"id = {done.pk}", changed=changed, rows=rows)
        changed = {**UUID, "number": f"{SECTORS} + n", "miner_id": miner}
        rows = f"generate_series(1, {LEASED}) n"
        row_copies_insert(cursor, "sectors_sector", of=f"id = {begun.pk}", changed=changed, rows=rows)
        for _, text in indexes:
            cursor.execute(text)
        cursor.execute("reset session_replication_role; reset maintenance_work_mem; analyze")
        host = one_of("sectors_worker", "sealer", HOSTS)
        changed = {
            **UUID,
            "sector_id": "s.id",
            "miner_id": "miner",
            "state": "'LEASED'",
            "worker_id": host,
            "sticky_worker_id": host,
            "lease_until": "now() + interval '1 hour'",
        }
        live = f"(select number as n, id, miner_id as miner from sectors_sector where number > {SECTORS}) s"
        row_copies_insert(cursor, "sectors_job", of=f"sector_id = {begun.pk}", changed=changed, rows=live)
        make.events(begun, [("PC1", "PC1_DONE", 100.0)])
        changed = {
            "worker_id": host,
            "at": "now() - n * interval '1 second'",
            "ms": "100000 + n",
            "job_id": "j.id",
        }
        jobs = "(select id, row_number() over () as n from sectors_job where state = 'LEASED') j"
        of = "id = (select min(id) from sectors_jobevent)"
        row_copies_insert(cursor, "sectors_jobevent", of=of, changed=changed, rows=jobs)

    def host(self, kind: str) -> dict[str, str]:
        """Return what differs of hosts."""
        return {
            "uid": f"'{kind}-uid-' || n",
            "name": f"'{kind}-' || n",
            "host": f"'{kind}-machine-' || n",
        }

    def copies(self, cursor: Any, table: str, of: str, count: int, changed: dict[str, str]) -> None:
        """Insert so many copies of a row."""
        rows = f"generate_series(1, {count}) n"
        row_copies_insert(cursor, table, of=of, changed={**UUID, **changed}, rows=rows)


@cache
def pool() -> ChecksPool:
    """Make it once."""
    return ChecksPool()
