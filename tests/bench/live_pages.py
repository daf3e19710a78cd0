"""How soon open pages show a change: 1,000 changes a minute, with one page open and with a hundred and fifty.

The pool is that of `make up`, with 10,000 messages.  Another process changes rows as the services do (a
transaction, then `publish`); pages are the operator's sockets of the page Messages.  Both clocks are the
machine's monotonic one: from the commit until the new number arrives in a fragment.  What a browser takes to
put a fragment into its page is not in it.
Run the changes alone: python -m tests.bench.live_pages COUNT A_MINUTE (in the pool's environment)
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import Final

A_MINUTE: Final = 1_000
CHANGES: Final = 1_000
SHOWN: Final = 40
"""The newest messages: all of them are on the first page of the list."""
MESSAGES: Final = 10_000
PAGES: Final = (1, 150)
LIMIT_MS: Final = 1_000.0
FIRST_GAS: Final = 1_000_000
"""The gas that change 0 writes; each change writes one more, so that a fragment tells which it shows."""
SETTLES_S: Final = 3.0
"""After the last change, before pages are closed."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    before: float | None = None


def rows_change(count: int, a_minute: int) -> None:
    """Change messages at an even pace, and print of each when it was committed, in seconds."""
    import django

    django.setup()
    from django.db import transaction

    from apps.core.live import Change, publish
    from apps.messages.models import Message

    ids = list(
        Message.objects.filter(pk__startswith="seed-").order_by("-created_at").values_list("pk", "tenant")
    )
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number * 60 / a_minute - time.monotonic()))
        key, tenant = ids[number % SHOWN]
        with transaction.atomic():
            Message.objects.filter(pk=key).update(gas_used=FIRST_GAS + number)
            publish(Change("message", key, tenant))
        sys.stdout.write(f"{json.dumps([number, time.monotonic()])}\n")
        sys.stdout.flush()


class OpenPage:
    """A page's socket: when each change was first seen in it."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}
        self.resyncs = 0

    async def read(self, socket: object) -> None:
        async for text in socket:  # type: ignore[attr-defined]
            at = time.monotonic()
            self.resyncs += "f-resync" in text
            for row in re.findall(r'data-label="Gas used">([^<]+)<', text):
                number = int(re.sub(r"\D", "", row) or 0) - FIRST_GAS
                if number >= 0:
                    self.seen.setdefault(number, at)


async def watched(
    port: int, cookie: str, env: dict[str, str], count: int
) -> tuple[list[OpenPage], list[float]]:
    """Return the pages after all changes, and when each change was committed."""
    from websockets.asyncio.client import connect

    pages = [OpenPage() for _ in range(count)]
    async with AsyncExitStack() as opened, asyncio.TaskGroup() as readers:
        origin = f"http://127.0.0.1:{port}"
        for page in pages:
            socket = await opened.enter_async_context(
                connect(
                    f"ws://127.0.0.1:{port}/ws/live/?page=messages",
                    origin=origin,  # type: ignore[arg-type]
                    additional_headers={"Cookie": cookie},
                    max_size=None,
                )
            )
            readers.create_task(page.read(socket))
        words = [sys.executable, "-m", "tests.bench.live_pages", str(CHANGES), str(A_MINUTE)]
        child = await asyncio.create_subprocess_exec(*words, env=env, stdout=subprocess.PIPE)
        said, _ = await child.communicate()
        assert child.returncode == 0, child.returncode
        await asyncio.sleep(SETTLES_S)
        await opened.aclose()
    return pages, [at for _, at in map(json.loads, said.splitlines())]


def cases() -> Iterator[Figure]:
    """Measure, one after the other, on one pool."""
    from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
    from tests.bench.pool import client_of, messages_seed

    with RunningPool() as pool:
        miner = pool.wait_miner()
        pool.wait_all_up()
        [uuid] = pool.pledge(miner)
        pool.wait_state(uuid, "PROVING", within_s=SEALED_S + 2 * PERIOD_S)
        messages_seed(pool, MESSAGES)
        with closing(client_of(pool)) as client:
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        env = {**os.environ, **pool.env, "DJANGO_SETTINGS_MODULE": "poolsite.settings.embedded"}
        for count in PAGES:
            yield from figures(*asyncio.run(watched(pool.port, cookie, env, count)))


def figures(pages: list[OpenPage], committed: list[float]) -> Iterator[Figure]:
    """Return how late changes were in all pages, and how many never came."""
    late = [
        (page.seen[number] - at) * 1000
        for page in pages
        for number, at in enumerate(committed)
        if number in page.seen
    ]
    expected = len(pages) * len(committed)
    minutes = (committed[-1] - committed[0]) / 60
    what = f"{(len(committed) - 1) / minutes:,.0f} changes a minute, open pages: {len(pages)}"
    yield Figure(f"{what}: change to page, median", statistics.median(late), "ms")
    hundredths = statistics.quantiles(late, n=100)
    yield Figure(f"{what}: change to page, 99 of 100 below", hundredths[98], "ms", LIMIT_MS)
    yield Figure(f"{what}: the latest", max(late), "ms")
    yield Figure(f"{what}: not seen in a fragment", expected - len(late), "changes", 0.0)
    yield Figure(f"{what}: pages told to fetch again", sum(page.resyncs for page in pages), "")


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case


if __name__ == "__main__":
    rows_change(int(sys.argv[1]), int(sys.argv[2]))
