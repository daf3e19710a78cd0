"""How many files a process may open: each connection, mapped file and pipe is one."""

from __future__ import annotations

import resource
from typing import Final

FILES_WANTED: Final = 65_536


def files_limit_raise() -> None:
    """Allow this process and its children to open as many files as the machine allows.

    A web process has a descriptor for each browser and program that is connected, a child that makes the
    trees of 128 sectors seven for each.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def files_limit() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_WANTED if soft == resource.RLIM_INFINITY else soft
