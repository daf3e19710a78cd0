"""Speed of the messager itself, in one process over PostgreSQL: push, read, choose, heads with nothing to do.

The node is the tests' tiny one and signatures are made in process, so that the figures are the messager's
and not the devnet's or the hub's.  Rows of a long history are there where that matters.
The peers' figures are those of the Go messager on 2 cores (SQLite, plain HTTP).
"""

from __future__ import annotations

import atexit
import importlib
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import django
import pytest
from django.core.management import call_command
from django.db import connection

from tests.servers import TEMPLATE, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HISTORY: Final = 100_000
"""Landed messages that lie in the table."""

BUNCH: Final = 50
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
        Case(f"push, {BUNCH} in flight in one insert", push_bunches, "pushes/s", 1175.0, 1170.0),
        Case("read by id", read_by_id, "reads/s", 2605.0, 2605.0),
        Case(f"choose, sign, store, publish {ROUND} messages", choose_round, "ms", 65.0),
        Case(f"a head with nothing to do, {SENDERS} senders", idle_head, "ms", None, 200.0),
    ]


def run(case: Case) -> Figure:
    """Measure one case in a fresh pool."""
    with bench_pool() as pool:
        return Figure(case.name, case.measure(pool), case.unit, case.peer, case.limit)


@cache
def server_start() -> PostgresServer:
    """Start the one database of this run and point Django at it."""
    server = PostgresServer()
    atexit.register(server.stop)
    server.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
    django.setup()
    connection.settings_dict.update(HOST=str(server.sockets), NAME=TEMPLATE)
    return server


@contextmanager
def bench_pool() -> Iterator[Any]:
    """Give the small pool of the tests, empty but for a history."""
    server_start()
    call_command("flush", verbosity=0, interactive=False)
    messaging = importlib.import_module("tests.messaging")  # only now: it needs Django's settings
    with pytest.MonkeyPatch.context() as patch, messaging.pool_world(patch) as pool:
        history_make()
        yield pool
    connection.close()


def history_make() -> None:
    """Fill the table with copies of one landed message."""
    from apps.messages.services.push import FIRST_VALUES, INSERTED

    columns = {
        **dict.fromkeys(("pushed_by", "kind", "params"), "''"),
        **{
            name: "0"
            for name, kind in INSERTED.items()
            if kind in ("bigint", "numeric", "float8", "smallint")
        },
        **FIRST_VALUES,
        "id": "'old-' || n",
        "tenant_id": "NULL",
        "urgent_epoch": "NULL",
        "state": "'LANDED'",
        "time_sensitive": "false",
        "to": "'f01000'",
        "from_addr": "'f0' || (n % 50)",
        "nonce": "n / 50",
        "wait": "''",
        "tipset_key": "'k'",
        "executed_key": "'k' || (n / 100)",
        "created_at": "now() - n * interval '1 second'",
        "updated_at": "now()",
    }
    names, values = ", ".join(f'"{name}"' for name in columns), ", ".join(columns.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO messages_message ({names}) SELECT {values} FROM generate_series(1, {HISTORY}) AS n"
        )
        cursor.execute("ANALYZE messages_message")


def rate(work: Callable[[int], object], count: int) -> float:
    """Give how many per second `work` does."""
    began = time.perf_counter()
    for number in range(count):
        work(number)
    return count / (time.perf_counter() - began)


def push_single(pool: Any) -> float:
    """Push through the service, one transaction each."""
    address = pool.address()
    pool.push("warm", address)
    return rate(lambda number: pool.push(f"m{number}", address), 500)


def push_bunches(pool: Any) -> float:
    """Push as many in one insert as are in flight on a socket."""
    from apps.messages.services import PushItem, messages_push
    from tests.people import principal

    address, caller = pool.address(), principal()

    def bunch(number: int) -> None:
        items = [
            PushItem(id=f"m{number}-{at}", to="f01000", from_=address, method=0, value=1)
            for at in range(BUNCH)
        ]
        messages_push(items, principal=caller)

    bunch(-1)
    return rate(bunch, 60) * BUNCH


def read_by_id(pool: Any) -> float:
    """Read messages as GetMessageByUid does, without the JSON-RPC around it."""
    from apps.api.rpc.messager_types import message_json
    from apps.messages.selectors import messages_visible
    from apps.users.principals import SYSTEM

    del pool

    def read(number: int) -> None:
        row = messages_visible(SYSTEM).get(pk=f"old-{number + 1}")
        message_json(row, head_height=10)

    read(0)
    return rate(read, 1000)


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
