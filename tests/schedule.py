"""Which worker runs what: a file stays whole, so that what it sets up is set up once; the longest first.

A file that came last would leave the other workers idle until its end.
"""

from __future__ import annotations

from typing import Final

import pytest
from xdist.scheduler import LoadGroupScheduling

LONGEST: Final = (
    "pool",
    "browser",
    "snark",
    "tests/integration/messages/test_restored_dump.py",
    "tests/integration/dashboard/test_growth.py",
    "pair",
    "lone",
    "tests/integration/sealing",
    "tests/acceptance",
    "tests/unit/workers/signer/test_kills.py",
    "tests/unit/apps/messages/test_recovery.py",
    "tests/integration",
)
"""Groups, files and folders in the order in which they begin; all else after them.

Of the first that begin side by side only `pool` compiles the sealing kernels: others find them compiled.
"""


class Schedule(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
    """Assign one group or file after the other to each worker."""

    def _split_scope(self, nodeid: str) -> str:
        return str(super()._split_scope(nodeid)).partition("::")[0]


def is_in(scope: str, name: str) -> bool:
    """Return whether a group or file is the named one, or lies in the named folder."""
    return scope == name or scope.startswith(f"{name}/")


def place(item: pytest.Item) -> int:
    """Return when a test's file or group begins, by its place in LONGEST."""
    group = item.get_closest_marker("xdist_group")
    scope = str(group.args[0]) if group else item.nodeid.partition("::")[0]
    named = (at for at, name in enumerate(LONGEST) if is_in(scope, name))
    return next(named, len(LONGEST))


def without_group(nodeid: str) -> str:
    """Return the node id by which pytest finds a test: xdist writes the group behind it."""
    test, at, group = nodeid.rpartition("@")
    return test if at and "]" not in group else nodeid
