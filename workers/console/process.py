"""What every worker program does at its start and end: one per folder, refusals in a sentence, signals."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from workers.config_mistakes import BadConfig
from workers.host_folder import uid_of

MISCONFIGURED: Final = 2
"""Exit code of a start that its command line or file forbids, as of a command line that cannot be parsed."""


class AlreadyRunning(Exception):
    """Another worker owns the folder; one sentence for the terminal."""


class FolderGone(Exception):
    """A worker's folder is not there any more, or another one; one sentence for the terminal."""


@contextmanager
def starting(folder: Path) -> Iterator[None]:
    """Name the path that a start cannot use, in this folder or a store.  Raises BadConfig."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise BadConfig(f"{place} cannot be used: {error.strerror}: check the path and its disk") from None


@contextmanager
def owned(folder: Path, *, name: str) -> Iterator[Callable[[], None]]:
    """Own a worker's folder alone; the lock goes with the process.  Raises AlreadyRunning, BadConfig.

    What it gives raises FolderGone once the folder is another one, as the bare place of a disk that is gone.
    """
    path = folder / f"{name}.lock"
    with ExitStack() as opened:
        with starting(folder):
            folder.mkdir(parents=True, exist_ok=True)
            uid_of(folder)  # else what cannot be written is found while leases are kept
            lock = opened.enter_context(path.open("a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"a {name} is already running in {folder} (`make up` starts one): stop it, or give this one a"
                " folder of its own with --dir FOLDER (DIR=FOLDER for make)"
            ) from None

        def require() -> None:
            try:
                if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    return
            except FileNotFoundError:
                pass
            raise FolderGone(
                f"{folder} is no longer the folder that this worker started in: mount its disk and restart it"
            )

        yield require


def stop_on_signal() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def refuse(reason: str, *, code: int = 1) -> int:
    """Print why on the terminal; return the exit code."""
    sys.stderr.write(f"{reason}\n")
    return code
