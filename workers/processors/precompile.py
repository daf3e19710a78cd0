"""`python -m workers precompile`: compile the kernels that the stages need, once per machine."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workers.kernels.cache import cache_folder, cache_tidy
from workers.kernels.cpu import path_name
from workers.kernels.precompile import KERNELS, precompile
from workers.processors.errors import BadInput
from workers.processors.stages import stage_named

if TYPE_CHECKING:
    from workers.processors.stages import Stage


def main(arguments: Sequence[str]) -> int:
    """Compile or load all kernels, or those of some stages; a JSON line each on stdout."""
    parser = argparse.ArgumentParser(prog="python -m workers precompile", description=__doc__)
    parser.add_argument("stage", nargs="*", type=_stage, help="only what these stages need")
    stages = parser.parse_args(arguments).stage
    names = [name for stage in stages for name in stage.kernels] or list(KERNELS)
    started = time.monotonic()

    def report(kernel: str, done: int, total: int) -> None:
        _say({"kernel": kernel, "done": done, "total": total, "seconds": time.monotonic() - started})

    precompile(names, report=report)
    cache_tidy()
    _say(
        {
            "ready": True,
            "path": path_name(),
            "cache": str(cache_folder()),
            "seconds": time.monotonic() - started,
        }
    )
    return 0


def _stage(name: str) -> Stage:
    """Read a stage's name as argparse wants it."""
    try:
        return stage_named(name)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _say(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
