"""What a large pool costs: lists, exports, and what runs at each head, at 100,000 sectors and 40 miners.

Everything runs in this process on a PostgreSQL of its own; the node stands in this process too and hands
out its answers as JSON text, so that reading them is measured and making them is not.  CPU time is this
process's (`process_time`): the machine's other work does not change it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.bench import scale_plans
from tests.bench.scale_heads import (
    head_all,
    head_calls,
    head_compared,
    head_fault,
    head_proved,
    head_read,
    head_unchanged,
    wallets_calls,
    wallets_cpu,
)
from tests.bench.scale_pool import MESSAGES, PAGE, Figure, cpu_ms, pool


def page(path: str) -> Any:
    """Ask for a page of the REST interface, and check that it came."""
    answer = pool().client.get(path, headers=pool().token)
    assert answer.status_code == 200, answer.content[:300]
    assert len(answer.json()["results"]) >= PAGE // 2
    return answer


def sectors_rest() -> Figure:
    """CPU of a row of `GET /api/v1/sectors`."""
    cost = cpu_ms(lambda: page(f"/api/v1/sectors?limit={PAGE}"))
    return Figure("GET /api/v1/sectors, CPU of a row", cost / PAGE * 1000, "µs", limit=200, before=900)


def messages_rest() -> Figure:
    """CPU of a row of `GET /api/v1/messages`."""
    cost = cpu_ms(lambda: page(f"/api/v1/messages?limit={PAGE // 2}"))
    return Figure("GET /api/v1/messages, CPU of a row", cost / (PAGE // 2) * 1000, "µs", limit=200)


PAGES: Final = {"/": "Today", "/messages/": "Messages", "/wallets/": "Wallets", "/miners/f01000/": "a miner"}
"""Pages that name wallets, whose pool has 10,000."""


def page_html(path: str) -> Callable[[], Figure]:
    """Return how much CPU a page takes once its checks were evaluated."""

    def cost() -> Figure:
        def ask() -> None:
            answer = pool().client.get(path)
            assert answer.status_code == 200, answer.content[:300]

        return Figure(f"page {PAGES[path]}, CPU", cpu_ms(ask), "ms", limit=60)

    return cost


def resident_mib() -> float:
    """This process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Download:
    """What was seen of one download."""

    first_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    lines: int = 0


async def download(path: str) -> Download:
    """Fetch a file through the ASGI app, forgetting its bytes, as a browser does that writes them to disk."""
    app = importlib.import_module("django.core.asgi").get_asgi_application()
    cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in pool().client.cookies.items())
    where, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": "GET",
        "path": where,
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver"), (b"cookie", cookies.encode())],
    }
    begin, cpu, idle = time.perf_counter(), time.process_time(), resident_mib()
    seen, left = Download(), asyncio.Event()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await left.wait()
        asked = True
        return {"type": "http.request"}

    async def send(event: dict[str, Any]) -> None:
        body = event.get("body", b"")
        if body and not seen.first_s and seen.lines + body.count(b"\n") > 1:
            seen.first_s = time.perf_counter() - begin
        seen.lines += body.count(b"\n")
        seen.peak_mib = max(seen.peak_mib, resident_mib() - idle)

    await app(scope, receive, send)
    seen.cpu_s = time.process_time() - cpu
    return seen


@cache
def export(path: str) -> Download:
    """Download once, after a short one that loads what any download needs."""
    asyncio.run(download(path + ("&" if "?" in path else "?") + "q=5"))
    return asyncio.run(download(path))


def sectors_first() -> Figure:
    """Time to the first byte of 100,000 sectors."""
    first_ms = export("/sectors.csv").first_s * 1000
    return Figure("sectors.csv of 100,000, first byte", first_ms, "ms", limit=1000, before=170_000)


def sectors_memory() -> Figure:
    """Memory above idle while 100,000 sectors are sent."""
    peak_mib = export("/sectors.csv").peak_mib
    return Figure("sectors.csv of 100,000, memory above idle", peak_mib, "MiB", limit=50, before=1_430)


def sectors_cpu() -> Figure:
    """CPU of a row of the export."""
    seen = export("/sectors.csv")
    return Figure("sectors.csv, CPU of a row", seen.cpu_s / seen.lines * 1e6, "µs", limit=200, before=488)


def messages_first() -> Figure:
    """Time to the first byte of the messages."""
    first_ms = export("/messages.csv").first_s * 1000
    return Figure(f"messages.csv of {MESSAGES:,}, first byte", first_ms, "ms", limit=1000, before=13_800)


def messages_memory() -> Figure:
    """Memory above idle while the messages are sent."""
    return Figure(
        f"messages.csv of {MESSAGES:,}, memory above idle", export("/messages.csv").peak_mib, "MiB", limit=50
    )


def messages_cpu() -> Figure:
    """CPU of a row of the export."""
    seen = export("/messages.csv")
    return Figure("messages.csv, CPU of a row", seen.cpu_s / seen.lines * 1e6, "µs", limit=200, before=264)


def cases() -> list[Callable[[], Figure]]:
    """Return what is measured."""
    return [
        sectors_rest,
        messages_rest,
        *(page_html(path) for path in PAGES),
        sectors_first,
        sectors_memory,
        sectors_cpu,
        messages_first,
        messages_memory,
        messages_cpu,
        head_unchanged,
        head_fault,
        head_all,
        head_proved,
        head_compared,
        head_calls,
        head_read,
        wallets_calls,
        wallets_cpu,
        *scale_plans.cases(),
    ]


def run(case: Callable[[], Figure]) -> Figure:
    """Measure one."""
    return case()
