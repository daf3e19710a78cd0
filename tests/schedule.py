"""Which worker runs what: a file stays whole, so that what it sets up is set up once; the longest first.

A file that came last would leave the other workers idle until its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xdist.scheduler import LoadGroupScheduling

if TYPE_CHECKING:
    import pytest

LONGEST: Final = (
    "pool",
    "devnet-machine",
    "tests/browser/test_pages.py",
    "snark",
    "pair",
    "lone",
    "tests/integration/sealing",
    "tests/integration/messages/test_restored_dump.py",
    "tests/integration/dashboard/test_growth.py",
    "tests/acceptance",
    "tests/browser",
    "tests/unit/workers/signer/test_kills.py",
    "tests/unit/apps/messages/test_recovery.py",
    "tests/integration",
)
"""Groups, files and folders in the order in which they begin; all else after them.

Of the first that begin side by side only `pool` compiles the sealing kernels: others find them compiled.
"""


class Schedule(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
    """Give each worker one group or one file after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return str(super()._split_scope(nodeid)).partition("::")[0]


def place(item: pytest.Item) -> int:
    """Return when a test's file or group begins, by its place in LONGEST."""
    group = item.get_closest_marker("xdist_group")
    scope = str(group.args[0]) if group else item.nodeid.partition("::")[0]
    named = (at for at, name in enumerate(LONGEST) if scope == name or scope.startswith(f"{name}/"))
    return next(named, len(LONGEST))


def without_group(nodeid: str) -> str:
    """Return the node id by which pytest finds a test: xdist writes the group behind it."""
    test, at, group = nodeid.rpartition("@")
    return test if at and "]" not in group else nodeid
