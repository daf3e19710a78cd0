"""A thousand accepted deals whose data are here, and the messages that publish them on a devnet.

A pool and its chain run in this process (tests/integration/sealing/world.py); proposals and data come as by a
door.  The least number of messages is what their bytes need: a message has 64 KiB.
"""

from __future__ import annotations

import atexit
import importlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import django
import pytest

from tests.servers import TEMPLATE, PostgresServer, RedisServer

DEALS: Final = 1_000
EPOCHS: Final = 40
"""That publishing may take."""
DATA: Final = b"data of a deal" * 9
GAS_LIMIT_M: Final = 10.0
"""Millions of gas for each deal: 8.4 on mainnet, and a share of its message's."""
CPU_LIMIT_MS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    digits: int = 1


def desk_start() -> Any:
    """Start servers, a chain and a pool, with a miner that makes deals."""
    postgres, redis = PostgresServer(), RedisServer()
    for server in (postgres, redis):
        server.start()
        atexit.register(server.stop)
    os.environ.update(
        DJANGO_SETTINGS_MODULE="poolsite.settings.test",
        PGHOST=str(postgres.sockets),
        PGDATABASE=TEMPLATE,
        LOG_LEVEL="ERROR",
    )
    django.setup()
    folder = tempfile.TemporaryDirectory(prefix="pt-bench-")
    settings = importlib.import_module("django.conf").settings
    settings.REDIS_URL, settings.ALLOWED_HOSTS, settings.PIECES_DIR = (
        redis.url,
        ["*"],
        f"{folder.name}/pieces",
    )
    kernels = importlib.import_module("workers.processors.pool").ProcessorPool([])
    patch = pytest.MonkeyPatch()
    world = importlib.import_module("tests.integration.sealing.world").World(
        Path(folder.name), kernels, patch
    )
    for end in (folder.cleanup, patch.undo, kernels.close, world.close):
        atexit.register(end)
    desk = importlib.import_module("tests.integration.sealing.deal_desk").Desk(world)
    people = importlib.import_module("tests.people")
    values = {"waiting_deals": DEALS, "client_deals": DEALS}
    importlib.import_module("apps.market.services.markets").market_set(
        desk.miner, values=values, by=people.principal()
    )
    return desk


def cases() -> Iterator[Figure]:
    """Publish once; yield what it took."""
    desk = desk_start()
    client = importlib.import_module("tests.unit.devnet.people").STRANGER
    for number in range(DEALS):
        desk.stored(desk.signed(client, DATA, label=f"deal {number:04}"), DATA)
    deals = importlib.import_module("apps.market.models").Deal.objects
    messages = importlib.import_module("apps.messages.models").Message.objects.filter(kind="publish")
    size = sum(len(bytes(deal.proposal)) for deal in deals.all())
    most = importlib.import_module("apps.messages.services.validate").PARAMS_BYTES_MAX
    began, spent = desk.world.height, time.process_time()
    desk.world.until(lambda: not deals.filter(chain_deal=None).exists(), epochs=EPOCHS)
    spent = time.process_time() - spent

    failed = messages.exclude(exit_code=0).count()
    yield Figure(f"messages that publish {DEALS:,} deals", messages.count(), "", limit=-(-size // most))
    yield Figure("those that failed", failed, "", limit=0)
    used = sum(messages.values_list("gas_used", flat=True))
    yield Figure("gas of each deal", used / DEALS / 1e6, "M", limit=GAS_LIMIT_M)
    largest = max(messages.values_list("gas_limit", flat=True))
    yield Figure("largest gas limit of a message, of a block's", largest / 1e10 * 100, "%", limit=50)
    yield Figure("CPU of a deal, chain included", spent / DEALS * 1000, "ms", limit=CPU_LIMIT_MS)
    yield Figure("epochs until all are on chain", desk.world.height - began, "")


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
