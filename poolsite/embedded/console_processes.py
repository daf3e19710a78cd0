"""How the console's processes and steps run as a pool's children."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolsite.embedded.children import Child, pause_even
from poolsite.embedded.paths import SITE

if TYPE_CHECKING:
    from poolsite.embedded.options import Options

ROOT_IS_MEANT: Final = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"}
"""The pool runs as whoever starts it, root too; Celery's advice would be no event in the log."""

ARENAS: Final = "2"
"""Heaps of a console process: the C library would give each of a dozen threads its own, which grows alone."""

WORKER_ENV: Final = {**ROOT_IS_MEANT, "DATABASE_CONN_MAX_AGE": "600", "CELERY_SKIP_CHECKS": "1"}
"""Of a task process: its threads keep their database connections for ten minutes, and it leaves out
Django's checks: they load every page and view, 22 MiB that no task needs."""

DOOR_ENV: Final = {"DATABASE_CONN_MAX_AGE": "600"}
"""Environment of the process of libp2p doors: a request opens no connection of its own."""


def celery(queues: str, options: Options) -> tuple[str, ...]:
    """Return the words of a worker for some queues: nothing prefetched, no gossip, no banner.

    What its threads are stands in the settings: Celery takes no class for them here.
    """
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO")
    threads = ("--concurrency", str(options.task_threads))
    return ("-m", "celery", "-q", "-A", "poolsite", "worker", *threads, "-Q", queues, *quiet)


def process(name: str, *arguments: str | int | Path, after: Collection[str], **how: Any) -> Child:
    """Describe a process of the console that stays; all of them give heartbeats."""
    return Child(
        name=name,
        argv=[sys.executable, *map(str, arguments)],
        after=frozenset(after),
        cwd=SITE,
        env={"POOLSITE_PROCESS": name, "MALLOC_ARENA_MAX": ARENAS, **how.pop("env", {})},
        sends_heartbeats=True,
        **how,
    )


def step(name: str, *arguments: str | int | Path, after: Collection[str], **how: Any) -> Child:
    """Describe a step that must succeed once, run by this environment's Python."""
    return process(name, *arguments, after=after, once=True, pause=pause_even, **how)
