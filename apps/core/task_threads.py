"""The threads of a task process: the one that was at work last is given the next task.

`ThreadPoolExecutor` gives it to the one that has rested longest.  So all eight stay at work in turn, each
with a database session of 6 MiB that holds the plans of all that any of them asks, though two would do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final, TypeVar

from celery.concurrency.thread import TaskPool as ThreadPool
from django.db import connections

T = TypeVar("T")

IDLE_S: Final = 60.0
"""A thread without a task for this long ends, and its database session with it."""
PATIENCE_S: Final = 0.05
"""So long a further thread leaves a task to those that have a session: to open one costs more than most
tasks.  Those that wait for others still hold none back for longer."""


class TaskThreads(Executor):
    """Threads that are started when they are needed, and end when they are not."""

    def __init__(self, most: int, *, idle_s: float = IDLE_S, patience_s: float = PATIENCE_S) -> None:
        self.most = most
        self.idle_s = idle_s
        self.patience_s = patience_s
        self._threads: set[threading.Thread] = set()
        self._idle: list[threading.Event] = []
        """One of each thread that waits for a task, the last that was at work last."""
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._lock = threading.Lock()
        self._over = threading.Event()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run something in a thread.  Raises RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._over.is_set():
                raise RuntimeError("these threads are shut down")
            self._waiting.append((future, lambda: fn(*args, **kwargs)))
            if self._idle:
                self._idle.pop().set()
            elif len(self._threads) < self.most:
                patience_s = self.patience_s if self._threads else 0.0
                thread = threading.Thread(target=self._live, args=(patience_s,), name="task")
                self._threads.add(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Refuse new tasks; waiting ones are still carried out, or cancelled."""
        with self._lock:
            self._over.set()
            cancelled = [future for future, _ in self._waiting] if cancel_futures else []
            if cancel_futures:
                self._waiting.clear()
            while self._idle:
                self._idle.pop().set()
            threads = list(self._threads)
        for future in cancelled:
            future.cancel()
        for thread in threads if wait else ():
            thread.join()

    def _live(self, patience_s: float) -> None:
        """Carry out what waits, rest, and end after a long rest."""
        try:
            wake = threading.Event()
            if patience_s:
                self._over.wait(patience_s)
            while (task := self._next(wake)) is not None:
                _carry_out(*task)
                # Else the thread's frame would keep the result alive until its next task.
                del task
        finally:
            connections.close_all()

    def _next(self, wake: threading.Event) -> tuple[Future[Any], Callable[[], Any]] | None:
        """Return what waits longest, or what comes within the time of rest; None: the thread ends."""
        while True:
            with self._lock:
                if self._waiting:
                    return self._waiting.popleft()
                if self._over.is_set():
                    self._threads.discard(threading.current_thread())
                    return None
                wake.clear()
                self._idle.append(wake)
            if wake.wait(self.idle_s):
                continue
            with self._lock:
                # A task may have been assigned between the timeout and the lock: then `wake` is not listed.
                if wake in self._idle:
                    self._idle.remove(wake)
                    self._threads.discard(threading.current_thread())
                    return None


def _carry_out(future: Future[Any], work: Callable[[], Any]) -> None:
    """Carry something out and keep what comes of it in its future."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  # as any executor: the future's result() raises it
        future.set_exception(error)
    else:
        future.set_result(result)


class TaskPool(ThreadPool):
    """Celery's pool of threads, with ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executor = TaskThreads(self.limit)
