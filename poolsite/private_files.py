"""Files that only their owner may read, written whole or not at all: for the console and for workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

LOCK_CHECK_S: Final = 1.0


def private_folder(path: Path) -> None:
    """Make a folder that only we may enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def private_write(path: Path, text: str) -> None:
    """Write a file of mode 600 in one step: a kill or a full disk leaves the old one.  Raises OSError."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(path: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Lock a file while one beside it is read, changed and written.

    Threads of one process wait for each other too; `on_wait` is called every second while one waits.
    """
    with path.open("a") as file:
        while on_wait is not None and not _try_lock(file):
            on_wait()
            time.sleep(LOCK_CHECK_S)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[str]) -> bool:
    """Lock a file unless another holds it; return whether it is ours."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
