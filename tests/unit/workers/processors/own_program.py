"""A program of a host's own that stands where ours would: what the tests of child processes start."""

from __future__ import annotations

import sys
import textwrap

from workers.processors.pool_child import ChildSpec
from workers.processors.tasks import (
    TreeDTask,
)

TASK = TreeDTask("StackedDrg2KiBV1_1", "/staged", "/cache")
GREET = """
print("tree_d processor ready", flush=True)
"""
"""What it says first."""


def foreign(tmp_path, body, *, stages=("tree_d",), **options):
    """A user's own processor: a program that we did not write."""
    program = tmp_path / "processor.py"
    program.write_text("import json, os, sys, time\n" + textwrap.dedent(body))
    return ChildSpec(stages, command=(sys.executable, str(program)), **options)
