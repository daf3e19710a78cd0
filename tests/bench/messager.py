"""Speed of the messager itself, in one process over PostgreSQL: push, read, choose, heads with nothing to do.

The node is the tests' tiny one and signatures are made in process, so that the figures are the messager's
and not the devnet's or the hub's.  Rows of a long history are there where that matters.
The peers' figures are those of the Go messager on 2 cores (SQLite, plain HTTP).
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import django
import pytest
from channels.layers import get_channel_layer
from django.db import connection

from poolsite.embedded.postgres import SETTINGS
from tests.servers import TEMPLATE, PostgresServer, RedisServer

HISTORY: Final = int(os.environ.get("BENCH_LANDED", "100000"))
"""Landed messages that lie in the table; BENCH_LANDED=5000000 shows what five millions change."""

QUEUE: Final = 10_000
QUEUE_SENDERS: Final = 50
"""Messages of the whole way, and how many addresses send them."""

ROUNDS_BESIDE: Final = 80
"""Rounds that another process chooses while pushes are timed."""

WAITERS: Final = 1_000
WAITED_S: Final = 20
"""Callers of WaitMessage, and how long they are watched."""

BATCH: Final = 50
"""Calls in flight on one socket."""

ROUND: Final = 100
"""Messages of one selection."""

SENDERS: Final = 1_000
"""Senders with nothing to do."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    name: str
    measure: Callable[[Any], float]
    """Gets the pool; gives the value."""
    unit: str
    peer: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None
    limit: float | None


def cases() -> list[Case]:
    """List the measurements."""
    return [
        Case("push, one at a time", push_single, "pushes/s", 1161.0),
        Case(f"push, {BATCH} in flight in one insert", push_batches, "pushes/s", 1175.0, 1170.0),
        Case("read by id, one at a time", read_by_id, "reads/s", 1204.0),
        Case(f"read by id, {BATCH} in flight in one query", read_batches, "reads/s", 2605.0, 2605.0),
        Case(f"choose, sign, store, publish {ROUND} messages", choose_round, "ms", 65.0),
        Case(f"a head with nothing to do, {SENDERS} senders", idle_head, "ms", None, 200.0),
        Case(
            f"push at 200/s while {ROUND} are chosen again and again, p99",
            push_while_choosing,
            "ms",
            None,
            20.0,
        ),
        Case(
            f"{QUEUE:,} pushed over {QUEUE_SENDERS} senders until all are signed and published",
            whole_way,
            "messages/s",
            None,
            400.0,
        ),
        Case(
            f"{WAITERS:,} callers of WaitMessage, a head each second, share of a core",
            waiters,
            "%",
            None,
            5.0,
        ),
    ]


def run(case: Case) -> Figure:
    """Measure one case in a fresh pool."""
    with bench_pool() as pool:
        return Figure(case.name, case.measure(pool), case.unit, case.peer, case.limit)


@cache
def server_start() -> PostgresServer:
    """Start the one database of this run, with a pool's settings, and point Django at it."""
    server = PostgresServer(SETTINGS)
    atexit.register(server.stop)
    server.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
    django.setup()
    connection.settings_dict.update(HOST=str(server.sockets), NAME=TEMPLATE)
    return server


@contextmanager
def bench_pool() -> Iterator[Any]:
    """Return the small pool of the tests, empty but for a history."""
    server_start()
    rest_clear()
    history_make()
    messaging = importlib.import_module("tests.messaging")  # only now: it needs Django's settings
    with pytest.MonkeyPatch.context() as patch, messaging.pool_world(patch) as pool:
        yield pool
    connection.close()


def rest_clear() -> None:
    """Empty every table, but leave the landed messages of the history."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no look at keys: all of them go
        for table in connection.introspection.table_names(cursor):
            if table in ("django_migrations", "django_content_type", "auth_permission"):
                continue
            kept = " WHERE id NOT LIKE 'old-%'" if table == "messages_message" else ""
            cursor.execute(f'DELETE FROM "{table}"{kept}')
        cursor.execute("SET session_replication_role = origin")


def history_make() -> None:
    """Fill the table with copies of one landed message, once; indexes are built after the rows are there."""
    from apps.messages.services.push import FIRST_VALUES, INSERTED

    columns = {
        **dict.fromkeys(("pushed_by", "kind", "params", "error"), "''"),
        **{
            name: "0"
            for name, kind in INSERTED.items()
            if kind in ("bigint", "numeric", "float8", "smallint")
        },
        **FIRST_VALUES,
        "id": "'old-' || n",
        "push_id": "'old-' || n",
        "tenant_id": "NULL",
        "urgent_epoch": "NULL",
        "state": "'LANDED'",
        "time_sensitive": "false",
        "to": "'f01000'",
        "from_addr": "'f0' || (n % 50)",
        "nonce": "n / 50",
        "wait": "''",
        "height": "-1000000",
        "landed_at": "now() - n * interval '1 second'",
        "tipset_key": "'k'",
        "executed_key": "'k' || (n / 100)",
        "created_at": "now() - n * interval '1 second'",
        "updated_at": "now() - n * interval '1 second'",
    }
    names, values = ", ".join(f'"{name}"' for name in columns), ", ".join(columns.values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messages_message")
        if cursor.fetchone() == (HISTORY,):
            return
        cursor.execute(
            "SELECT pg_get_indexdef(i.indexrelid), i.indexrelid::regclass::text FROM pg_index i"
            " LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid"
            " WHERE i.indrelid = 'messages_message'::regclass AND c.oid IS NULL"
        )
        indexes = cursor.fetchall()
        for _, name in indexes:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute("SET maintenance_work_mem = '1GB'; SET session_replication_role = replica")
        cursor.execute(
            f"INSERT INTO messages_message ({names}) SELECT {values} FROM generate_series(1, {HISTORY}) AS n"
        )
        for definition, _ in indexes:
            cursor.execute(definition)
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE messages_message")


@contextmanager
def redis_layer() -> Iterator[None]:
    """Tell changes over Redis, as the pool does."""
    from channels.layers import channel_layers
    from django.test import override_settings

    redis = RedisServer()
    redis.start()
    layers = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis.url], "prefix": "bench"},
        }
    }
    try:
        with override_settings(CHANNEL_LAYERS=layers, REDIS_URL=redis.url):
            channel_layers.backends.clear()
            yield
    finally:
        channel_layers.backends.clear()
        redis.stop()


def rate(work: Callable[[int], object], count: int) -> float:
    """Return how many per second `work` does."""
    began = time.perf_counter()
    for number in range(count):
        work(number)
    return count / (time.perf_counter() - began)


def push_single(pool: Any) -> float:
    """Push through the service, one transaction each."""
    address = pool.address()
    pool.push("warm", address)
    return rate(lambda number: pool.push(f"m{number}", address), 500)


def push_batches(pool: Any) -> float:
    """Push as many in one insert as are in flight on a socket."""
    from apps.messages.rules.push_items import PushItem
    from apps.messages.services.push import messages_push
    from tests.people import principal

    address, caller = pool.address(), principal()

    def batch(number: int) -> None:
        items = [
            PushItem(id=f"m{number}-{at}", to="f01000", from_=address, method=0, value=1)
            for at in range(BATCH)
        ]
        messages_push(items, principal=caller)

    batch(-1)
    return rate(batch, 60) * BATCH


def read_by_id(pool: Any) -> float:
    """Read messages as GetMessageByUid does, without the JSON-RPC around it."""
    from apps.api.rpc.services.messager.reads import reads_answer
    from apps.users.rules.principals import SYSTEM

    del pool
    reads_answer([(SYSTEM, "old-1")])
    return rate(lambda number: reads_answer([(SYSTEM, f"old-{number + 1}")]), 1000)


def read_batches(pool: Any) -> float:
    """Read as many in one query as are in flight on a socket."""
    from apps.api.rpc.services.messager.reads import reads_answer
    from apps.users.rules.principals import SYSTEM

    del pool

    def batch(number: int) -> None:
        reads_answer([(SYSTEM, f"old-{number * BATCH + at + 1}") for at in range(BATCH)])

    batch(0)
    return rate(batch, 100) * BATCH


def choose_round(pool: Any) -> float:
    """Choose, sign, store and publish one sender's messages; the best of some rounds."""
    from apps.messages.models import Sender

    best = float("inf")
    for turn in range(4):
        address = pool.address()
        for number in range(ROUND):
            pool.push(f"{turn}-{number}", address)
        Sender.objects.filter(address=address).update(quota=ROUND)
        began = time.perf_counter()
        pool.choose()
        best = min(best, time.perf_counter() - began)
        for _ in range(3):
            pool.step()
    return best * 1000


def idle_head(pool: Any) -> float:
    """Do what a head makes due where no sender has anything to send."""
    from apps.messages.models import Sender

    Sender.objects.bulk_create(Sender(address=f"f0{number}") for number in range(100, 100 + SENDERS))
    pool.step()
    best = float("inf")
    for _ in range(5):
        pool.node.mine()
        began = time.perf_counter()
        pool.settle()
        best = min(best, time.perf_counter() - began)
    return best * 1000


def push_while_choosing(pool: Any) -> float:
    """Push one message each 5 ms while another process chooses rounds; the 99th percentile of the pushes."""
    from apps.messages.models import Sender

    quiet = pool.address()
    pool.push("warm", quiet)
    busy = [pool.address(fil=10_000) for _ in range(ROUNDS_BESIDE)]
    for address in busy:
        for number in range(ROUND):
            pool.push(f"{address}-{number}", address)
    Sender.objects.filter(address__in=busy).update(quota=ROUND)
    connection.close()  # a fork must not share it
    other = multiprocessing.get_context("fork").Process(target=rounds_choose, args=(pool, busy))
    other.start()
    took = []
    for number in range(600):
        began = time.perf_counter()
        pool.push(f"quiet-{number}", quiet)
        took.append(time.perf_counter() - began)
        time.sleep(max(0.005 - took[-1], 0))
    was_busy = other.is_alive()
    other.terminate()
    other.join()
    assert was_busy, "the other process ran out of rounds"
    return sorted(took)[len(took) * 99 // 100] * 1000


def rounds_choose(pool: Any, addresses: list[str]) -> None:
    """Choose one sender's messages after the other, in a process of its own."""
    from apps.chain.node.client import ChainClient
    from apps.chain.node.link import NodeLink
    from apps.messages.services.publish import messages_publish
    from apps.messages.services.select import sender_select

    client = ChainClient([NodeLink(pool.link.url, "")])
    for address in addresses:
        done = sender_select(address=address, head=pool.head, client=client, now=pool.now)
        messages_publish(done.filled, now=pool.now)


def whole_way(pool: Any) -> float:
    """Push, choose, sign, store and publish a long queue of secp256k1 senders, as fast as one process can.

    The tests' node answers and signatures are made in the same process, so that both cost it time too.
    """
    from apps.messages.models import Message, Sender
    from apps.messages.rules.push_items import PushItem
    from apps.messages.services.publish import messages_publish
    from apps.messages.services.push import messages_push
    from apps.messages.services.select import sender_select
    from tests.people import principal

    caller = principal()
    addresses = [pool.address(fil=10_000) for _ in range(QUEUE_SENDERS)]
    pool.push("warm", addresses[0])
    pool.step()
    Sender.objects.bulk_create([Sender(address=one) for one in addresses[1:]], ignore_conflicts=True)
    Sender.objects.update(quota=QUEUE)
    began = time.perf_counter()
    for start in range(0, QUEUE, BATCH):
        items = [
            PushItem(
                id=f"q{number}",
                to="f01000",
                from_=addresses[number % QUEUE_SENDERS],
                method=0,
                value=1 + number % 7,
            )
            for number in range(start, start + BATCH)
        ]
        messages_push(items, principal=caller)
    for address in addresses:
        while True:
            done = sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)
            messages_publish(done.filled, now=pool.now)
            if not done.has_more:
                break
    took = time.perf_counter() - began
    left = Message.objects.filter(push_id__startswith="q").exclude(state="FILLED", published_at__isnull=False)
    assert not left.exists()
    return QUEUE / took


def waiters(pool: Any) -> float:
    """Let many callers wait for their messages while heads pass; percent of a core that this costs.

    Each second a head is told and one of the messages changes, as in a pool at work.
    """

    address = pool.address()
    for number in range(WAITERS):
        pool.push(f"w{number}", address)
    with redis_layer():
        return asyncio.run(waiting())


async def calm() -> None:
    """Return when this process has next to nothing to do."""
    while True:
        cpu = time.process_time()
        await asyncio.sleep(1)
        if time.process_time() - cpu < 0.02:
            return


async def waiting() -> float:
    """Wait with many callers; gives percent of a core."""
    from apps.api.rpc.services.messager.waits import GROUP, message_wait
    from apps.users.rules.principals import SYSTEM

    layer: Any = get_channel_layer()
    calls = [
        asyncio.create_task(message_wait(viewer=SYSTEM, id=f"w{number}", confidence=5))
        for number in range(WAITERS)
    ]
    await calm()  # all have looked once
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(WAITED_S):
        await layer.group_send(GROUP, {"type": "live.change", "kind": "head", "pk": number, "tenant": None})
        event = {"type": "live.change", "kind": "message", "pk": f"w{number}", "tenant": None}
        await layer.group_send(GROUP, event)
        await asyncio.sleep(1)
    share = (time.process_time() - cpu) / (time.perf_counter() - began)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    return 100 * share
