"""Tests that meet a clock: whole pools, browsers, sockets and processes with a patience in seconds.

Only these carry the marker `timing`, and only these may be run once more after a failure (`tests.reruns`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SITE: Final = Path(__file__).parent.parent
TIMING: Final = (
    "tests/acceptance",
    "tests/browser",
    "tests/integration/dashboard/test_bell.py",
    "tests/integration/devnet",
    "tests/integration/gateway",
    "tests/integration/sealing",
    "tests/integration/security/test_incomplete_requests.py",
    "tests/integration/test_compat_ports.py",
    "tests/integration/test_database_recovers.py",
    "tests/integration/test_node_proxy.py",
    "tests/integration/test_other_network.py",
    "tests/integration/test_pool_kills.py",
    "tests/integration/test_refused_starts.py",
    "tests/integration/test_rpc_post.py",
    "tests/integration/test_supervisor.py",
    "tests/unit/apps/api/test_waits.py",
    "tests/unit/apps/chain/node/test_connections.py",
    "tests/unit/apps/chain/heads/test_notify.py",
    "tests/unit/apps/core/test_live.py",
    "tests/unit/apps/dashboard/test_live.py",
    "tests/unit/apps/gateway/hub/test_hedging.py",
    "tests/unit/embedded/test_redis.py",
    "tests/unit/workers/agent/test_children.py",
    "tests/unit/workers/console/test_gateway.py",
    "tests/unit/workers/processors/test_own_programs.py",
    "tests/unit/workers/processors/test_pool.py",
    "tests/unit/workers/snark/test_preparation.py",
    "tests/wire/gateway",
)
"""Folders and files, from the checkout on; `tests/unit/house/test_timing.py` finds each of them there."""


def is_timing(path: str) -> bool:
    """Return whether a test's file, or its node id, is one that meets a clock."""
    file = path.partition("::")[0]
    return any(file == one or file.startswith(f"{one}/") for one in TIMING)
