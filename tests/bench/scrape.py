"""What one scrape of `/metrics` costs of 1,000 miners with all their windows, and of 2,000 hosts.

CPU time is this process's and its database session's together, of the hosts of `tests.bench.checks`.
Run: BENCH_SECTORS=100000 python -m tests.bench scrape
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.bench.checks_pool import UUID, pool
from tests.bench.farm import backend_cpu_ms
from tests.bench.scale_pool import Figure
from tests.bulk_rows import row_copies_insert

MINERS: Final = 1_000
WINDOWS: Final = 48
SENDERS: Final = 1_000
MESSAGES: Final = 10_000
"""Messages that have not landed."""
FAILURES: Final = 10_000
TIMES: Final = 5
OBJECTS_MS: Final = 400.0
OBJECTS_STATEMENTS: Final = 10
SCRAPE_STATEMENTS: Final = 60


def fill() -> None:
    """Add miners, windows, wins, senders, wallets, messages and failures."""
    make, connection = pool().make, pool().connection
    window_post = importlib.import_module("apps.proving.models").WindowPost
    miner = make.miner(5000, qa_power=1)
    post = {"open_epoch": 980, "close_epoch": 999, "challenge_epoch": 970, "randomness": b"r"}
    post = window_post.objects.create(
        miner=miner, deadline_index=0, state="LANDED", landed_height=990, **post
    )
    address = make.bls(1)
    make.wallet(address)
    make.sender(address)
    make.spend(address)
    message = make.message("first", from_addr=address)

    def copies(table: str, of: str, changed: dict[str, str], rows: str) -> None:
        row_copies_insert(cursor, table, of=of, changed=changed, rows=rows)

    with connection.cursor() as cursor:
        numbers = f"generate_series(1, {MINERS - 1}) n"
        named = {**UUID, "actor_id": "5000 + n", "qa_power": "n", "create_message_id": "null"}
        copies("miners_miner", f"id = {miner.pk}", named, numbers)
        changed = {**UUID, "miner_id": "m.id", "deadline_index": "n", "state": "'LANDED'"}
        windows = f"generate_series(1, {WINDOWS - 1}) n, (select id from miners_miner) m"
        copies("proving_windowpost", f"id = {post.pk}", changed, windows)
        numbers = f"generate_series(2, {SENDERS}) n"
        named = {"address": "'f3sender' || n", "from_addr": "'f3sender' || n", **UUID}
        copies("wallets_wallet", "id > 0", named, numbers)
        copies("messages_sender", "id > 0", named, numbers)
        copies("messages_gasspend", "id > 0", named, numbers)
        changed = {
            "id": "'open-' || n",
            "push_id": "'open-' || n",
            "from_addr": f"'f3sender' || (n % {SENDERS} + 2)",
        }
        copies("messages_message", f"id = '{message.pk}'", changed, f"generate_series(1, {MESSAGES}) n")
        failed = {"is_error": "true", "event": "'FAIL'", "at": "now()", "seq": "null"}
        of = "id = (select min(id) from sectors_jobevent)"
        hosts = "(array(select id from sectors_worker))[n % 2000 + 1]"
        failures = f"generate_series(1, {FAILURES}) n"
        copies("sectors_jobevent", of, {**failed, "worker_id": hosts}, failures)
        cursor.execute("vacuum analyze")


def objects() -> Any:
    """Read the figures of single objects."""
    data = importlib.import_module("apps.checks.selectors.data").CheckData
    system = importlib.import_module("apps.users.rules.principals").SYSTEM
    return list(importlib.import_module("apps.checks.report.object_metrics").objects_figures(data(system)))


def scrape() -> Any:
    """Read everything."""
    answer = pool().client.get("/metrics")
    assert answer.status_code == 200, answer.content[:300]
    return answer


def cost(work: Callable[[], Any]) -> tuple[float, float, int]:
    """Return the CPU time of Python and of PostgreSQL, the best of some, and the statements."""
    seen: list[str] = []

    def noted(execute: Any, sql: str, *others: Any) -> Any:
        seen.append(sql)
        return execute(sql, *others)

    work()
    backend = pool().connection.connection.get_backend_pid()
    found = []
    for _ in range(TIMES):
        database, begin = backend_cpu_ms(backend), time.process_time()
        work()
        found.append(((time.process_time() - begin) * 1000, backend_cpu_ms(backend) - database))
    with pool().connection.execute_wrapper(noted):
        work()
    return (*min(found, key=sum), len(seen))


def cases() -> Iterator[Figure]:
    """Measure the figures of single objects, and the whole scrape."""
    pool()
    fill()
    settings = importlib.import_module("django.conf").settings
    for most in (100, 1_000):
        settings.METRICS_OBJECTS = most
        python, database, statements = cost(objects)
        whose = f"single objects, {most} of each named"
        yield Figure(f"{whose}: CPU with PostgreSQL's", python + database, "ms", limit=OBJECTS_MS)
        yield Figure(f"{whose}: PostgreSQL's part", database, "ms")
    yield Figure("single objects: statements", statements, "", limit=OBJECTS_STATEMENTS)
    settings.METRICS_OBJECTS = 100
    python, database, statements = cost(scrape)
    yield Figure("scrape: CPU with PostgreSQL's", python + database, "ms")
    yield Figure("scrape: statements", statements, "", limit=SCRAPE_STATEMENTS)
    yield Figure("scrape: size", len(scrape().content) / 1024, "KiB")


def run(figure: Figure) -> Figure:
    """Return what was measured."""
    return figure
