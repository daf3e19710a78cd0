"""`python -m tests.reruns`: run what failed beside other tests once more, alone, if it meets a clock.

A machine that stands still for longer than a test's patience is no fault of the product; anything else that
failed has failed.  Each second run is appended to RERUNS, and that file is printed: what stands there often
is mended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from tests.schedule import without_group
from tests.timing import SITE, is_timing

FAILED: Final = SITE / ".pytest_cache" / "v" / "cache" / "lastfailed"
RERUNS: Final = SITE / "var" / "test-reruns.txt"
"""A line each: when, commit, what came of it, and the test."""
FEW: Final = 8
"""More failures than these are no accident."""


def failed_ids() -> list[str]:
    """Return the node ids that failed in the run before."""
    return sorted(map(without_group, json.loads(FAILED.read_text()))) if FAILED.exists() else []


def say(text: str) -> None:
    """Write a line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Run the tests that failed again with these arguments; 0 if all of them may and do pass."""
    first = failed_ids()
    others = [name for name in first if not is_timing(name)]
    if others or not 0 < len(first) <= FEW:
        say(f"{len(first)} failed, {len(others)} of them meet no clock: nothing is run again")
        return 1
    say(f"{len(first)} that meet a clock failed beside others; once more, one at a time:")
    code = subprocess.run([sys.executable, "-m", "pytest", "-v", *arguments, *first], cwd=SITE).returncode
    note(first, set(failed_ids()) if code == 1 else (set() if code == 0 else set(first)))
    return code


def note(names: Sequence[str], failed: set[str]) -> None:
    """Append the second runs to the file, and print it."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=SITE, capture_output=True, text=True)
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    RERUNS.parent.mkdir(exist_ok=True)
    with RERUNS.open("a") as file:
        for name in names:
            word = "failed" if name in failed else "passed"
            file.write(f"{at} {commit.stdout.strip() or 'no commit'} {word} {name}\n")
    say(f"{RERUNS.relative_to(SITE)}, what was run a second time so far:\n{RERUNS.read_text()}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
