"""A flood of 10,000 proposals of which ten are good, beside an operator's page: nothing but the flood waits.

The pool is that of `make up`.  The flood comes from one network address and is a third each of unsigned,
wrongly signed and signed proposals that the rules refuse; ten good clients of another address come meanwhile,
and come again while they are told so.  *Today* is read all the time, and how far the pool is behind.
Run the flood alone: python -m tests.bench.flood PORT MINER
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any, Final

import django

from tests.bench.proposals import cpu_of

PROPOSALS: Final = 9_990
A_SECOND: Final = 400
"""Proposals of the flood; one network address may send 50."""
THREADS: Final = 8
GOOD: Final = 10
GOOD_ADDRESS: Final = "127.0.0.2"
DATA: Final = b"data of a client"
AGAIN_S: Final = 1.0
"""Seconds after which a client comes again that was told so."""
QUIET_READS: Final = 40
READ_EVERY_S: Final = 0.25
SLOWER_LIMIT: Final = 4.0
"""Times the page may take beside the flood: this machine's cores run the flood's client, too."""
BEHIND_LIMIT: Final = 3
"""Epochs of a second."""
RETRY: Final = b"Please retry in some time."


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    peer: float | None = None
    digits: int = 1


def proposals(miner: str) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield headers and bodies of the flood."""
    from tests import mk20

    who = mk20.Mk20Client(seed=8)
    kind = {"Content-Type": "application/json"}
    body = json.dumps(mk20.document(who, SimpleNamespace(address=miner), DATA, duration=5)).encode()
    signed = who.header("POST", f"{mk20.PATH}/deal")
    name, _, signature = signed["Authorization"].rpartition(":")
    wrong = {"Authorization": f"{name}:{signature[::-1].lstrip('=')}"}
    return itertools.cycle([(kind, body), (kind | wrong, body), (kind | signed, body)])


def flood(port: int, miner: str) -> None:
    """Send the flood at its pace, and print how often each status was answered."""
    from tests.mk20 import PATH

    told: Counter[str] = Counter()
    began = time.monotonic()

    def send(first: int) -> None:
        connection = HTTPConnection("127.0.0.1", port)
        for number, (headers, body) in zip(range(first, PROPOSALS, THREADS), proposals(miner), strict=False):
            time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
            connection.request("POST", f"{PATH}/deal", body=body, headers=headers)
            answer = connection.getresponse()
            said = answer.read()
            is_told_again = answer.status == 429 and RETRY in said
            told["again" if is_told_again else str(answer.status)] += 1

    threads = [threading.Thread(target=send, args=[first]) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps([told, time.monotonic() - began]))


def good_send(port: int, miner: str, seed: int, accepted: Callable[[float], None]) -> None:
    """Propose one good deal, again and again while told so; `accepted` hears how many seconds that took."""
    from tests import mk20

    who, path, began = mk20.Mk20Client(seed=seed), f"{mk20.PATH}/deal", time.monotonic()
    body = json.dumps(mk20.document(who, SimpleNamespace(address=miner), DATA + bytes([seed])))
    while True:
        with closing(HTTPConnection("127.0.0.1", port, source_address=(GOOD_ADDRESS, 0))) as connection:
            headers = who.header("POST", path) | {"Content-Type": "application/json"}
            connection.request("POST", path, body=body, headers=headers)
            answer = connection.getresponse()
            said = answer.read()
        if answer.status == 200:
            return accepted(time.monotonic() - began)
        assert RETRY in said, (answer.status, said)
        time.sleep(AGAIN_S)


def reads(client: Any, pool: Any, count: int, *, until: Callable[[], bool]) -> tuple[list[float], int]:
    """Read *Today* `count` times and on until something; return milliseconds, and the most epochs behind."""
    walls: list[float] = []
    behind = 0
    while len(walls) < count or not until():
        begin = time.perf_counter()
        answer = client.get("/")
        walls.append((time.perf_counter() - begin) * 1000)
        assert answer.status_code == 200, answer.status_code
        height = pool.chain.height()
        [(known,)] = pool.rows_of("select max(height) from chain_head where is_canonical")
        behind = max(behind, height - known)
        time.sleep(READ_EVERY_S)
    return walls, behind


def web_cpu_s(pool: Any) -> float:
    """Return the CPU seconds of all web processes of a pool."""
    return sum(cpu_of(pool.pid(name)) for name in pool.rows() if name.startswith("web-"))


def cases() -> Iterator[Figure]:
    """Measure, one after the other, on one pool."""
    from tests.acceptance.pool import RunningPool
    from tests.bench.pool import client_of

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
    django.setup()
    with RunningPool() as pool:
        miner = pool.wait_miner()
        pool.wait_all_up()
        answer = pool.ask("PATCH", f"/api/v1/miners/{miner}/market", json={"is_open": True})
        assert answer.status_code == 200, answer.text
        with closing(client_of(pool)) as client:
            began, idle = time.monotonic(), web_cpu_s(pool)
            quiet, _ = reads(client, pool, QUIET_READS, until=lambda: True)
            idle = (web_cpu_s(pool) - idle) / (time.monotonic() - began)
            began, busy = time.monotonic(), web_cpu_s(pool)
            words = [sys.executable, "-m", "tests.bench.flood", str(pool.port), miner]
            env = {**os.environ, "DJANGO_SETTINGS_MODULE": "poolsite.settings.test"}
            child = subprocess.Popen(words, stdout=subprocess.PIPE, env=env)
            took: list[float] = []
            clients = [
                threading.Timer(number + 1, good_send, (pool.port, miner, 20 + number, took.append))
                for number in range(GOOD)
            ]
            for one in clients:
                one.start()
            walls, behind = reads(client, pool, 0, until=lambda: child.poll() is not None)
            busy = web_cpu_s(pool) - busy - idle * (time.monotonic() - began)
            for one in clients:
                one.join()
        assert child.stdout is not None
        told, sent_s = json.loads(child.stdout.read())
        deals = pool.read("/api/v1/deals?state=ACCEPTED")["results"]
    yield from figures(quiet, walls, behind, took, told, sent_s)
    yield Figure("CPU of the web processes for a proposal of the flood", busy / PROPOSALS * 1000, "ms")
    assert len(deals) == len(took) == GOOD, (len(deals), took)


def figures(
    quiet: list[float],
    walls: list[float],
    behind: int,
    took: list[float],
    told: dict[str, int],
    sent_s: float,
) -> Iterator[Figure]:
    """Return what was measured."""
    words = ", ".join(f"{count:,} {status}" for status, count in sorted(told.items()))
    before = statistics.median(quiet)
    beside = statistics.median(walls)
    yield Figure(f"flood of {PROPOSALS:,} proposals ({words})", PROPOSALS / sent_s, "proposals/s")
    yield Figure("Today before the flood, median", before, "ms")
    yield Figure("Today beside the flood, median", beside, "ms", before * SLOWER_LIMIT)
    yield Figure("Today beside the flood, 95 of 100 below", statistics.quantiles(walls, n=20)[18], "ms")
    yield Figure("the pool behind its chain, at most", behind, "epochs", BEHIND_LIMIT, digits=0)
    yield Figure("a good proposal among them, accepted after at most", max(took), "s", AGAIN_S)


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case


if __name__ == "__main__":
    django.setup()
    flood(int(sys.argv[1]), sys.argv[2])
