"""The whole pool as `make up` runs it: starts, memory while idle, and the overview of a large pool over HTTP.

Rows are copies of real ones (a landed message, a proven sector): nothing is invented but their number.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool, descendants
from tests.bulk_rows import SECTOR_NUMBERS, message_copies_insert, sector_copies_insert
from tests.integration.pools import SITE

FIRST_START_LIMIT_S: Final = 300.0
LATER_START_LIMIT_S: Final = 20.0
MEMORY_LIMIT_MIB: Final = 2.5 * 1024
OVERVIEW_LIMIT_MS: Final = 100.0

MESSAGES, SECTORS = 100_000, 10_000
"""1 times; 10 times is measured too."""

WARM, ASKED = 20, 200
"""Requests before and in a measurement."""

QUIET_S: Final = 15.0
"""After the start, before memory is looked at: kernels are loaded, nothing is sealed."""


BARE: Final = SITE / "var" / "bench" / "environment"
"""That of `make up` in a fresh clone: libraries would load what they find of the tests' tools, too."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    digits: int = 1
    """After the point, when it is printed."""
    before: float | None = None
    """What was measured before it was mended, on another machine."""


def bare_python() -> Path:
    """Return the Python of an environment that has what the console needs, and none of the tests' tools."""
    BARE.parent.mkdir(parents=True, exist_ok=True)
    make = [sys.executable, *map(str, (SITE / ".ci" / "environment.py", BARE, SITE / "requirements.txt"))]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    return BARE / "bin" / "python"


def cases() -> Iterator[Figure]:
    """Measure, one after the other, on one pool."""
    began = time.monotonic()
    with RunningPool(has_kernels=False, SERVER_TIMING="1") as pool:
        yield Figure(
            "first start with compiled kernels missing, to a page",
            time.monotonic() - began,
            "s",
            FIRST_START_LIMIT_S,
        )
        miner = pool.wait_miner()
        pool.wait_all_up()
        [uuid] = pool.pledge(miner)
        pool.wait_active(miner, {0}, within_s=SEALED_S + 2 * PERIOD_S)
        pool.wait_state(uuid, "PROVING")
        yield Figure("stop", pool.stop(), "s")
        yield Figure("later start, to a page", pool.start(), "s", LATER_START_LIMIT_S)
        yield Figure("later start, until all processes are ready", pool.wait_all_up(), "s")
        time.sleep(QUIET_S)
        yield from memory(pool)
        yield from overview(pool, times=1)
        yield from overview(pool, times=10)


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case


def memory(pool: RunningPool) -> Iterator[Figure]:
    """Proportional share of memory of each process, by the supervisor's names, and their sum."""
    assert pool.supervisor is not None
    whole = 0.0
    for name, row in sorted(pool.rows().items()):
        if row["pid"] is None:
            continue
        share = sum(pss_mib(pid) for pid in (row["pid"], *descendants(row["pid"])))
        whole += share
        yield Figure(f"memory of {name} with all below it", share, "MiB")
    share = pss_mib(pool.supervisor.pid)
    yield Figure("memory of the supervisor", share, "MiB")
    yield Figure("memory of the idle pool", whole + share, "MiB", MEMORY_LIMIT_MIB)


def pss_mib(pid: int) -> float:
    """A process's proportional share of memory; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0


def overview(pool: RunningPool, *, times: int) -> Iterator[Figure]:
    """Median times of the page, logged in, one client."""
    messages_seed(pool, MESSAGES * times)
    sectors_seed(pool, SECTORS * times)
    with pool.database() as link:
        link.autocommit = True
        link.cursor().execute("vacuum analyze")
    limit = OVERVIEW_LIMIT_MS if times == 1 else None
    what = f"overview, {MESSAGES * times:,} messages, {SECTORS * times:,} sectors"
    with closing(client_of(pool)) as client:
        walls, servers, queries = [], [], []
        for at in range(WARM + ASKED):
            begin = time.perf_counter()
            answer = client.get("/")
            wall_ms = (time.perf_counter() - begin) * 1000
            assert answer.status_code == 200, answer.text[:500]
            assert "f-today" in answer.text, answer.text[:500]
            if at >= WARM:
                server_ms, count = timing(answer)
                walls.append(wall_ms)
                servers.append(server_ms)
                queries.append(count)
    yield Figure(f"{what}: wall, median", statistics.median(walls), "ms", limit)
    yield Figure(f"{what}: wall, 95 of 100 below", statistics.quantiles(walls, n=20)[18], "ms")
    yield Figure(f"{what}: server, median", statistics.median(servers), "ms", limit)
    yield Figure(f"{what}: server, the quickest of all", min(servers), "ms")
    yield Figure(f"{what}: SQL queries", statistics.median(queries), "")


def timing(answer: httpx.Response) -> tuple[float, int]:
    """Milliseconds and queries that the server tells of a request."""
    found = re.search(r'dur=([\d.]+).*desc="(\d+)"', answer.headers["Server-Timing"])
    assert found is not None
    return float(found.group(1)), int(found.group(2))


def client_of(pool: RunningPool) -> httpx.Client:
    """A logged-in person's browser, as far as HTTP goes."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{pool.port}", timeout=60, follow_redirects=True)
    page = client.get("/login/")
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found is not None
    entry = pool.operator
    form = {name: entry[name] for name in ("username", "password")}
    answer = client.post("/login/", data={**form, "csrfmiddlewaretoken": found.group(1)})
    assert answer.status_code == 200, answer.text[:500]
    return client


def messages_seed(pool: RunningPool, count: int) -> None:
    """Bring the messages to a number: landed ones of fifty senders, and one in fifty failed."""
    have = count_of(pool, "messages_message where id like 'seed-%%'")
    with pool.database() as link, link.cursor() as cursor:
        message_copies_insert(cursor, of="push_id = 'bootstrap-miner'", first=have + 1, last=count)
        link.commit()


def sectors_seed(pool: RunningPool, count: int) -> None:
    """Bring the sectors to a number, each with its job; the chain does not know them: they are not active."""
    have = count_of(pool, f"sectors_sector where number >= {SECTOR_NUMBERS}")
    with pool.database() as link, link.cursor() as cursor:
        sector_copies_insert(cursor, of="number = 0", first=have + 1, last=count)
        link.commit()


def count_of(pool: RunningPool, what: str) -> int:
    """Rows of a table."""
    return int(pool.rows_of(f"select count(*) from {what}")[0][0])
