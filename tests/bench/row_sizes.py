"""How much of the database a sector and a message take, indexes included: real rows, copied.

What docs/large-pools.md multiplies.  Run: python -m tests.bench row_sizes
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Iterator
from typing import Any, Final

import django

from tests.bench.pool import Figure
from tests.bulk_rows import row_copies_insert
from tests.servers import TEMPLATE, PostgresServer, RedisServer

COPIES: Final = 20_000
WINDOW_BYTES: Final = 420
"""Parameters of a SubmitWindowedPoSt of one partition, with a proof of 192 bytes."""
STEPS: Final = 16
"""Events of a sector's job, and"""
LINES: Final = 4
"""of a message's timeline."""


def fill() -> dict[str, tuple[str, int]]:
    """Make the rows; return by table what it holds and how many of its rows there are for each."""
    make = importlib.import_module("tests.factories")
    demo = importlib.import_module("tests.demo_data")
    people = importlib.import_module("tests.people")
    states = importlib.import_module("poolsite.wire.pipeline").SectorState
    messages = importlib.import_module("apps.messages.models")
    audit = importlib.import_module("apps.users.services.audit")
    make.head(1000)
    miner = make.miner(1000)
    host = make.worker("sealer-1")
    proven = {"comm_r": b"r" * 31 + b"\0", "comm_d": b"d" * 32, "expiration": 1_500_000}
    sector = make.sector(
        miner, state=states.PROVING, active=True, initial_pledge=2 * 10**17, store="store-1", **proven
    )
    make.events(sector, demo.STEPS[:1], worker=host)
    row = make.message(
        state="LANDED",
        params=os.urandom(WINDOW_BYTES),
        signed=os.urandom(WINDOW_BYTES + 200),
        kind="window_post",
    )
    messages.MessageEvent.objects.create(message=row, at=row.landed_at, event="landed", text="in epoch 990")
    make.sign_record(miner.worker)
    audit.audit_record(principal=people.principal(), action="message.push", target=row.id)
    return {
        "sectors_sector": ("sector", 1),
        "sectors_job": ("sector", 1),
        "sectors_jobevent": ("sector", STEPS),
        "messages_message": ("message", 1),
        "messages_messageevent": ("message", LINES),
        "wallets_signrecord": ("message", 1),
        "users_auditentry": ("change by a person or program", 1),
    }


CHANGED: Final[dict[str, dict[str, str]]] = {
    "sectors_sector": {"uuid": "gen_random_uuid()", "number": "100000 + n"},
    "sectors_job": {"uuid": "gen_random_uuid()", "sector_id": "n"},
    "messages_message": {
        "id": "'proving:' || gen_random_uuid()",
        "push_id": "'proving:' || gen_random_uuid()",
        "nonce": "1000000 + n",
        "cid": "one.cid || n",
        "unsigned_cid": "one.unsigned_cid || n",
    },
    "users_auditentry": {"entry_hash": "encode(sha256(n::text::bytea), 'hex')"},
}
"""Columns that differ between copies, as SQL over the series `n`."""


def bytes_a_row(cursor: Any, table: str) -> float:
    """Return the bytes of a row, its part of the indexes and of what is stored beside the table included."""
    rows = f"generate_series(1, {COPIES}) n"
    if table == "sectors_job":
        rows = "(select id as n from sectors_sector where number > 100000) s"
    of = f"ctid = (select ctid from {table} limit 1)"
    before = size(cursor, table)
    row_copies_insert(cursor, table, of=of, changed=CHANGED.get(table, {}), rows=rows)
    return (size(cursor, table) - before) / COPIES


def size(cursor: Any, table: str) -> int:
    """Return the bytes of a table with its indexes; of one in parts, of all of them."""
    cursor.execute(
        "select sum(pg_total_relation_size(relid)) from pg_partition_tree(%s) where isleaf", [table]
    )
    found = cursor.fetchone()[0]
    if found is None:
        cursor.execute("select pg_total_relation_size(%s)", [table])
        found = cursor.fetchone()[0]
    return int(found)


def cases() -> Iterator[Figure]:
    """Measure one table after the other."""
    postgres, redis = PostgresServer(), RedisServer()
    for server in (postgres, redis):
        server.start()
        atexit.register(server.stop)
    os.environ.update(
        DJANGO_SETTINGS_MODULE="poolsite.settings.test",
        PGHOST=str(postgres.sockets),
        PGDATABASE=TEMPLATE,
        REDIS_URL=redis.url,
    )
    django.setup()
    whole: dict[str, float] = {}
    tables = fill()
    with importlib.import_module("django.db").connection.cursor() as cursor:
        for table, (of, count) in tables.items():
            found = bytes_a_row(cursor, table)
            whole[of] = whole.get(of, 0.0) + count * found
            yield Figure(f"{table}, one row", found, "bytes", digits=0)
    for of, found in whole.items():
        yield Figure(f"a {of}, all its rows", found / 1024, "KiB")


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
