"""The large pool that `tests.bench.scale` measures: 100,000 sectors and 40 miners on an own PostgreSQL."""

from __future__ import annotations

import atexit
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import django

from tests.bulk_rows import row_copies_insert
from tests.servers import TEMPLATE, PostgresServer, RedisServer

SECTORS: Final = 100_000
MINERS: Final = 40
MESSAGES: Final = 10_000
WALLETS: Final = 10_000
PER_BATCH: Final = 250
PARAMS_BYTES: Final = 47 * 1024
"""Of one pre-commit batch on a network with proofs of 192 bytes and 250 sectors."""
BATCH_EVERY: Final = 25
"""One message in so many is a batch's."""
DEADLINES: Final = 48
HEIGHT: Final = 10_000
COMM_R: Final = b"r" * 31 + b"\0"
EXPIRATION: Final = 1_500_000
"""Epoch until which each sector lives."""
PLEDGE: Final = 2 * 10**17
"""Initial pledge of a sector, in attoFIL."""
PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None
    before: float | None = None
    """What was measured before it was mended, on another machine."""


class Pool:
    """A database with many rows, and the operator's browser."""

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
        self.factories = importlib.import_module("tests.factories")
        self.people = importlib.import_module("tests.people")
        self.people.operator_person("boss")
        self.token = self.people.bearer(self.people.operator_token())
        self.client = importlib.import_module("tests.page_client").signed_in("boss")
        self.fill()

    def fill(self) -> None:
        """Make the rows: real ones by the tests' factories, then copies of them."""
        connection = importlib.import_module("django.db").connection
        states = importlib.import_module("poolsite.wire.pipeline").SectorState
        make = self.factories
        make.head(1000)
        make.network()
        self.miners = [make.miner(1000 + number) for number in range(MINERS)]
        first = self.miners[0]
        batch = make.batch(first, params=os.urandom(PARAMS_BYTES), message_id="batch-0", state="LANDED")
        make.message("batch-0", state="LANDED", params=os.urandom(PARAMS_BYTES), from_addr=make.bls(1))
        proven = {
            "state": states.PROVING,
            "active": True,
            "comm_r": COMM_R,
            "comm_d": b"d" * 32,
            "expiration": EXPIRATION,
            "initial_pledge": PLEDGE,
        }
        make.sector(
            first, number=0, precommit_batch=batch, commit_batch=batch, deadline=0, partition=0, **proven
        )
        make.wallet()
        rows = SECTORS // PER_BATCH
        with connection.cursor() as cursor:
            of = "message_id = 'batch-0'"
            change = {"uuid": "gen_random_uuid()", "message_id": "'batch-' || n"}
            row_copies_insert(
                cursor, "sectors_batch", of=of, changed=change, rows=f"generate_series(1, {rows}) n"
            )
            change = {
                "id": "'batch-' || n",
                "push_id": "'batch-' || n",
                "nonce": "n",
                "cid": "''",
                "unsigned_cid": "''",
            }
            for name in ("params", "signed"):  # most messages are proofs of windows
                change[name] = (
                    f"case n % {BATCH_EVERY} when 0 then one.params else substr(one.params, 1, 400) end"
                )
            row_copies_insert(
                cursor,
                "messages_message",
                of="id = 'batch-0'",
                changed=change,
                rows=f"generate_series(1, {MESSAGES}) n",
            )
            batch_of = f"(select id from sectors_batch where message_id = 'batch-' || (n / {PER_BATCH} + 1))"
            ids = ", ".join(str(miner.pk) for miner in self.miners)
            change = {
                "uuid": "gen_random_uuid()",
                "number": "n",
                "miner_id": f"(array[{ids}])[n % {MINERS} + 1]",
                "precommit_batch_id": batch_of,
                "commit_batch_id": batch_of,
                "partition": f"n / {MINERS} % 48 / 48",
                "deadline": f"n / {MINERS} % 48",
            }
            row_copies_insert(
                cursor,
                "sectors_sector",
                of="number = 0",
                changed=change,
                rows=f"generate_series(1, {SECTORS - 1}) n",
            )
            change = {"uuid": "gen_random_uuid()", "sector_id": "n", "miner_id": "m"}
            rest = "(select id as n, miner_id as m from sectors_sector where number > 0) s"
            row_copies_insert(
                cursor,
                "sectors_job",
                of="sector_id = (select min(id) from sectors_sector)",
                changed=change,
                rows=rest,
            )
            change = {"address": "'f0' || (500000 + n)", "label": "''", "actor_id": "500000 + n"}
            row_copies_insert(
                cursor,
                "wallets_wallet",
                of="id = (select min(id) from wallets_wallet)",
                changed=change,
                rows=f"generate_series(1, {WALLETS - 1}) n",
            )
            cursor.execute("vacuum analyze")


@cache
def pool() -> Pool:
    """Start everything once."""
    return Pool()


def cpu_ms(do: Callable[[], Any], *, times: int = 3) -> float:
    """Milliseconds of this process's CPU that something takes; the best of some."""
    do()
    found = []
    for _ in range(times):
        begin = time.process_time()
        do()
        found.append((time.process_time() - begin) * 1000)
    return min(found)
