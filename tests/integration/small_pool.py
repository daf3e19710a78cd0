"""A supervisor over children given as JSON: what the tests of the supervisor kill.

Run: python -m tests.integration.small_pool VAR '[{"name": …, "words": […], "after": […], …}]'
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from poolsite.embedded.children import Child, pause_even, ready_after
from poolsite.embedded.ownership import owned
from poolsite.embedded.supervisor import Supervisor


def child_of(row: dict[str, Any]) -> Child:
    """Turn one entry into a child."""
    how: dict[str, Any] = {}
    if row.get("once"):
        how |= {"once": True, "pause": pause_even, "tries": row.get("tries")}
    elif not row.get("says_ready"):
        how["ready"] = ready_after(0.0)
    if "pauses" in row:
        how["pause"] = row["pauses"].__getitem__
    if row.get("orphan_signal"):
        how["orphan_signal"] = signal.Signals(row["orphan_signal"])
    return Child(
        name=row["name"],
        argv=row["words"],
        after=frozenset(row.get("after", ())),
        stop_s=row.get("stop_s", 5.0),
        **how,
    )


def say(sentence: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def main() -> int:
    """Supervise until a signal."""
    var = Path(sys.argv[1])
    with owned(var, patience_s=5.0) as lease:
        children = [child_of(row) for row in json.loads(sys.argv[2])]
        return Supervisor(children, var=var, lease=lease, report=say).run()


if __name__ == "__main__":
    sys.exit(main())
