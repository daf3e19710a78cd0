"""What one evaluation of all checks costs of 2,000 hosts, 500 stores and 1,000,000 sectors.

CPU time is this process's and its database session's together: other work of the machine does not change it.
BENCH_SECTORS sets another number.  Run: python -m tests.bench checks
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from tests.bench.checks_pool import SECTORS, pool
from tests.bench.farm import backend_cpu_ms
from tests.bench.scale_pool import Figure, cpu_ms

TIMES: Final = 5
CPU_MS: Final = 300.0
STATEMENTS: Final = 80
PAGE_MS: Final = 400.0
PAGE_KIB: Final = 250.0


def evaluated() -> Any:
    """Evaluate all checks as the pool's alerts do."""
    evaluate = importlib.import_module("apps.checks.report.evaluate").evaluate
    data = importlib.import_module("apps.checks.selectors.data").CheckData
    return evaluate(data(importlib.import_module("apps.users.rules.principals").SYSTEM))


def cost_ms() -> tuple[float, float]:
    """Return the CPU time of an evaluation, of Python and of PostgreSQL; the best of some."""
    backend = pool().connection.connection.get_backend_pid()
    found = []
    for _ in range(TIMES):
        database, begin = backend_cpu_ms(backend), time.process_time()
        evaluated()
        found.append(((time.process_time() - begin) * 1000, backend_cpu_ms(backend) - database))
    return min(found, key=sum)


def statements() -> int:
    """Return how many statements an evaluation is."""
    seen: list[str] = []

    def noted(execute: Any, sql: str, *others: Any) -> Any:
        seen.append(sql)
        return execute(sql, *others)

    with pool().connection.execute_wrapper(noted):
        evaluated()
    return len(seen)


def page_cases() -> Iterator[Figure]:
    """Measure the lists of hosts and stores as the operator's browser gets them."""
    for path, name in (("/hosts/", "Hosts"), ("/storage/", "Storage"), ("/", "Today")):
        answer = pool().client.get(path)
        assert answer.status_code == 200, answer.content[:300]
        backend, size = pool().connection.connection.get_backend_pid(), len(answer.content) / 1024
        database = backend_cpu_ms(backend)
        python = cpu_ms(partial(pool().client.get, path), times=TIMES)
        own = (backend_cpu_ms(backend) - database) / (TIMES + 1)
        yield Figure(f"page {name}: CPU with PostgreSQL's", python + own, "ms", limit=PAGE_MS)
        yield Figure(f"page {name}: size", size, "KiB", limit=PAGE_KIB)


def cases() -> Iterator[Figure]:
    """Measure the checks with all provers there and with none, and the pages."""
    yield from checks_cases()
    yield from page_cases()


def checks_cases() -> Iterator[Figure]:
    """Measure the checks with all provers there, and with none."""
    for name, has_provers in (("", True), (", all provers gone", False)):
        pool().stores_told(has_provers=has_provers)
        report = evaluated()  # prepares what is prepared
        assert report.fails("stores_unproven") is not has_provers
        assert not any(result.is_broken for result in report.results)
        python, database = cost_ms()
        whose = f"all checks, {SECTORS:,} sectors{name}"
        yield Figure(f"{whose}: CPU with PostgreSQL's", python + database, "ms", limit=CPU_MS)
        yield Figure(f"{whose}: PostgreSQL's part", database, "ms")
        yield Figure(f"{whose}: statements", statements(), "", limit=STATEMENTS)


def run(figure: Figure) -> Figure:
    """Return what was measured."""
    return figure
