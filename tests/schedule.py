"""Which worker runs what: a file stays whole, so that what it sets up is set up once; the longest first.

A file that came last would leave the other workers idle until its end, and files that wait for clocks would
leave cores idle if they ran side by side: one worker at a time runs those, one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from xdist.scheduler import LoadGroupScheduling

if TYPE_CHECKING:
    import pytest

LONGEST: Final = (
    "pool",
    "browser",
    "devnet-machine",
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
WAITING: Final = (
    "pool",
    "browser",
    "tests/integration/devnet",
    "tests/integration/gateway",
    "tests/integration/security/test_incomplete_requests.py",
    "tests/integration/test_node_proxy.py",
    "tests/integration/test_supervisor.py",
)
"""Groups, files and folders that wait for clocks, and for other processes, for much of their time."""


class Schedule(LoadGroupScheduling):  # type: ignore[misc]  # xdist has no types
    """Assign one group or file after the other to each worker; what waits, to one worker at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return str(super()._split_scope(nodeid)).partition("::")[0]

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(self.following(node), last=False)
        super()._assign_work_unit(node)

    def following(self, node: Any) -> str:
        """Return what a worker runs next: the first that waits unless another has such, then of the rest."""
        others = (units for other, units in self.assigned_work.items() if other is not node)
        unfinished = (scope for units in others for scope, tests in units.items() if not all(tests.values()))
        is_taken = any(map(is_waiting, unfinished))
        wanted = (scope for scope in self.workqueue if is_waiting(scope) != is_taken)
        return str(next(wanted, next(iter(self.workqueue))))


def is_waiting(scope: str) -> bool:
    """Return whether a group or file waits for clocks."""
    return any(is_in(scope, name) for name in WAITING)


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
