"""A program that takes several sectors in one request, as an operator may name one: it uses our kernels.

FAULTS names what it does wrong, by sector id (that of a C2, too): `error`, `hang`, `die`; `old` makes it
one that knows a sector a request only.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workers.processors.stages import STAGES, output_encode, task_decode

FAULTS = "BATCH_PROGRAM_FAULTS"
"""JSON: sector id → fault; under `log` the file that gets a line for each request."""
_faults: dict[str, str] = json.loads(os.environ.get(FAULTS, "{}"))
_lock = threading.Lock()
_cancelled: set[int] = set()
_together: dict[int, int] = {}
"""How many sectors each call's request has."""


def say(value: Any) -> None:
    """Write a line of the protocol."""
    with _lock:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def note(text: str) -> None:
    """Write a line for the test."""
    with _lock, Path(_faults["log"]).open("a") as file:
        file.write(text + "\n")


def sector_run(stage: str, request: Any) -> None:
    """Answer for one sector of a request."""
    number = request["id"]
    task = task_decode(STAGES[stage], request["task"])
    fault = _faults.get(str(getattr(task, "sector_id", "")))
    if fault == "die":
        os._exit(3)
    if fault == "hang":
        while number not in _cancelled:
            time.sleep(0.01)
        note(f"cancelled of {_together.get(number, 1)}")
        return
    if fault == "error":
        say({"id": number, "err_msg": "no such sector", "output": None})
        return
    output = STAGES[stage].run(task, progress=lambda done, total: tell(number, done, total))
    say({"id": number, "err_msg": None, "output": output_encode(STAGES[stage], output)})


def tell(number: int, done: int, total: int) -> None:
    """Report how far a sector is."""
    say({"id": number, "progress": {"done": done, "total": total}})


def main(stage: str, lines: Iterable[str]) -> None:
    """Serve one stage until stdin ends."""
    sectors = int(os.environ.get("POOLSITE_PROCESSOR_SECTORS", "1"))
    capability = "" if _faults.get("old") else " " + json.dumps({"sectors": sectors})
    sys.stdout.write(f"{stage} processor ready{capability}\n")
    sys.stdout.flush()
    for line in lines:
        request = json.loads(line)
        if "batch" in request:
            note(f"batch {len(request['batch'])}")
            _together.update(dict.fromkeys(request["batch"], len(request["batch"])))
        elif "cancel" in request:
            _cancelled.add(request["cancel"])
        else:
            if request["id"] not in _together:
                note("single")
            threading.Thread(target=sector_run, args=(stage, request), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin)
