"""The log lines of a host's programs, as another process writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
import structlog
from workers.logs import logs_set_up
logs_set_up("sealer")
log = structlog.get_logger("x")
log.info("claimed", sector=3)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def lines_of(**env: str) -> list[str]:
    """What the program writes to standard error."""
    ordinary = {key: value for key, value in os.environ.items() if not key.startswith("LOG_")}
    done = subprocess.run(
        [sys.executable, "-c", SAYS], env={**ordinary, **env}, capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()


def test_an_event_is_one_line_of_json_that_names_the_program() -> None:
    claimed, failed = (json.loads(line) for line in lines_of())

    assert (claimed["event"], claimed["sector"], claimed["process"]) == ("claimed", 3, "sealer")
    assert claimed["timestamp"].endswith("Z")
    assert "ZeroDivisionError" in failed["exception"]


@pytest.mark.parametrize(("level", "count"), [("WARNING", 1), ("info", 2), ("nonsense", 2)])
def test_a_level_leaves_out_what_matters_less(level: str, count: int) -> None:
    assert len(lines_of(LOG_LEVEL=level)) == count


def test_text_can_be_read_by_a_person() -> None:
    assert "claimed" in lines_of(LOG_FORMAT="text")[0]
    assert not lines_of(LOG_FORMAT="text")[0].startswith("{")


def test_a_log_that_cannot_be_written_stops_no_work() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", f"{SAYS}\nprint('went on')"],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )

    assert done.stdout == "went on\n"
